// Runs of a last layer that observables absorb (absorption.py). After U, a run's Z is U^+ Z U = cos Z - sin X of its
// virtual qubit before it, up to diagonals: the layer is never applied, and <X>, <Y> and <Z> before it are all that counts.

// Cosine and sine of the whole angle of its RY.
QTM_DEVICE RealTurn turn_of_moment(const Arguments& a, long long sample, int moment) {
    const RealTurn half = Factors(a, a.factors, sample).turn[a.moment_run[moment]];
    return {half.cosine * half.cosine - half.sine * half.sine, 2 * half.cosine * half.sine};
}

// <X> and <Y> as read, and <Z>.
struct Bloch {
    Real x, y, z;

    QTM_DEVICE Bloch(const Arguments& a, long long sample, int moment) {
        const Real* reads = a.reads + sample * a.num_reads;
        x = reads[a.num_slots_read + 2 * moment];
        y = reads[a.num_slots_read + 2 * moment + 1];
        z = reads[a.moment_slot[moment]];
    }
};

QTM_DEVICE Real value_of_moment(const Arguments& a, long long sample, int moment) {
    const RealTurn turn = turn_of_moment(a, sample, moment);
    const Bloch bloch(a, sample, moment);
    return turn.cosine * bloch.z - turn.sine * bloch.x;
}

// The gradient with respect to the value of a moment.
QTM_DEVICE Real cotangent_of_moment(const Arguments& a, long long sample, int moment) {
    Real sum = 0;
    for (int i = a.moment_begin[moment]; i < a.moment_begin[moment + 1]; ++i)
        sum += a.moment_weight[i] * a.cotangent[sample * a.num_observables + a.moment_observable[i]];
    return sum;
}

// X and Y of a moment at the places of a thread.
QTM_DEVICE Complex moment_of(const Arguments& a, const Block& block, const Place& at, int moment, const Tile& ket) {
    const unsigned mask = a.moment_sign[moment], of_register = mask >> a.thread_bits & unsigned(registers - 1);
    Complex found = {Real(0), Real(0)};
    for_each_flipped(a, block, at, a.moment_flip[moment], [&](int r, Complex to) {
        const Real y = to.im * ket.re[r] - to.re * ket.im[r];
        found.re += to.re * ket.re[r] + to.im * ket.im[r];
        found.im += is_odd(of_register & unsigned(r)) ? -y : y;
    });
    if (is_odd(mask & at.high)) found.im = -found.im;
    return found;
}

// What of X the moments of a view leave in the bra.
QTM_DEVICE void add_moments(const Arguments& a, const Block& block, const Place& at, Tile& bra) {
    for (int moment = a.view_moment_begin[a.view]; moment < a.view_moment_begin[a.view + 1]; ++moment) {
        const Real weight =
            cotangent_of_moment(a, at.sample, moment) * turn_of_moment(a, at.sample, moment).sine;
        for_each_flipped(a, block, at, a.moment_flip[moment], [&](int r, Complex ket) {
            bra.re[r] -= weight * ket.re;
            bra.im[r] -= weight * ket.im;
        });
    }
}
