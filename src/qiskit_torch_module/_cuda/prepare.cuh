// From inputs and weights to what the sweeps multiply with: sines, factors of runs and of characters, sample by sample.
// The counterpart on the CPU is src/engine/angles.hpp. All in double precision until it is stored for the sweeps: terms
// of an angle cancel, and what rounds sines of quarter turns would shrink the state with every one of them.

typedef ComplexOf<double> Double2;

// The factors of a run: (diagonal: left) (RY: cosine, sine) (diagonal: right), and the phase that these leave out.
struct RunFactors {
    double cosine, sine;
    Double2 left, right, phase;
};

struct Half {
    double sine, cosine;
};

struct RealTurn {
    Real cosine, sine;
};

// Those of a sample.
struct Factors {
    Half* half;
    RunFactors* run;
    RealTurn* turn;  // the RY of runs, for sweeps
    Complex* character;
    Complex* phase;  // what the ket lacks to be the state

    QTM_DEVICE Factors(const Arguments& a, char* factors, long long sample) {
        half = reinterpret_cast<Half*>(factors + sample * a.sample_bytes);
        run = reinterpret_cast<RunFactors*>(half + a.num_angles);
        turn = reinterpret_cast<RealTurn*>(run + a.num_runs);
        character = reinterpret_cast<Complex*>(turn + a.num_runs);
        phase = character + a.num_characters;
    }
};

QTM_DEVICE double variable(const Arguments& a, long long sample, int index) {
    const int num_inputs = a.num_inputs;
    return index < num_inputs ? a.inputs[sample * num_inputs + index] : a.weights[index - num_inputs];
}

QTM_DEVICE double angle_of(const Arguments& a, long long sample, int angle) {
    double theta = a.angle_constant[angle];
    for (int t = a.angle_term_begin[angle]; t < a.angle_term_begin[angle + 1]; ++t) {
        double term = a.term_coefficient[t];
        for (int f = a.term_factor_begin[t]; f < a.term_factor_begin[t + 1]; ++f)
            term *= variable(a, sample, a.factor_variable[f]);
        theta += term;
    }
    return theta;
}

QTM_DEVICE Half half_of(double theta) {
    const double half = 0.5 * theta, turns = rounded(half * 0.15915494309189535);
    const double reduced = (half - turns * 6.283185307179586) - turns * 2.4492935982947064e-16;
    Half found;
    sine_cosine_of_pi(reduced * 0.31830988618379067, found.sine, found.cosine);
    return found;
}

// z / |z|, or 1 where z vanishes; also |z|.
QTM_DEVICE Double2 unit(Double2 z, double& modulus) {
    const double square = z.re * z.re + z.im * z.im;
    const bool vanishes = square < 1e-290;
    modulus = vanishes ? 0 : square_root(square);
    if (vanishes) return {1, 0};
    return {z.re / modulus, z.im / modulus};
}

// One rotation onto a|0><0| + b|1><0| + ... in SU(2).
QTM_DEVICE void multiply_up(int axis, Half half, Double2& a, Double2& b) {
    const double s = half.sine, c = half.cosine;
    const Double2 a0 = a, b0 = b;
    if (axis == 0) {
        a = {c * a0.re + s * b0.im, c * a0.im - s * b0.re};
        b = {c * b0.re + s * a0.im, c * b0.im - s * a0.re};
    } else if (axis == 1) {
        a = {c * a0.re - s * b0.re, c * a0.im - s * b0.im};
        b = {s * a0.re + c * b0.re, s * a0.im + c * b0.im};
    } else {
        a = {c * a0.re + s * a0.im, c * a0.im - s * a0.re};
        b = {c * b0.re - s * b0.im, c * b0.im + s * b0.re};
    }
}

// A run split into diagonals and RY. Below the smallest angle the split is arbitrary, but left * right is not: the
// product stays exact. What turns about Y alone stays as it is, at every angle.
QTM_DEVICE RunFactors factors_of(const Arguments& a, const Half* half, int run) {
    const Double2 one = {1, 0};
    Double2 up = one, down = {0, 0};
    for (int g = a.run_gate_begin[run]; g < a.run_gate_begin[run + 1]; ++g)
        multiply_up(a.gate_axis[g], half[a.gate_angle[g]], up, down);
    if (a.run_is_real[run]) return {up.re, down.re, one, one, one};
    RunFactors found;
    const Double2 unit_up = unit(up, found.cosine), unit_down = unit(down, found.sine);
    found.left = conjugated(unit_up) * unit_down;
    found.right = conjugated(unit_up * unit_down);
    const Double2 turned = conjugated(found.left) * down;
    found.phase = {found.cosine * up.re + found.sine * turned.re, found.cosine * up.im + found.sine * turned.im};
    return found;
}

QTM_DEVICE Double2 factor_of_source(const Factors& factors, int kind, int index) {
    if (kind == 1) return factors.run[index].left;
    if (kind == 2) return factors.run[index].right;
    // exp(-i theta/2 Z) is diag(1, exp(i theta)) up to a phase; exp(i theta) = (c + is)^2.
    const Half half = factors.half[index];
    return {half.cosine * half.cosine - half.sine * half.sine, 2 * half.cosine * half.sine};
}

QTM_DEVICE Complex stored(Double2 factor) { return {Real(factor.re), Real(factor.im)}; }

// Everything but the phases of rotations, of runs and of the circuit is in the ket.
QTM_DEVICE Double2 phase_of_sample(const Arguments& a, const Factors& factors) {
    const Half global = factors.half[a.state_phase];
    Double2 found = {global.cosine, global.sine};
    for (int run = 0; run < a.num_runs; ++run) found = found * factors.run[run].phase;
    for (int s = 0; s < a.character_source_begin[a.num_characters]; ++s) {
        if (a.source_kind[s] != 0) continue;
        const Half half = factors.half[a.source_index[s]];
        found = found * Double2{half.cosine, -half.sine};
    }
    return found;
}

// A block for each sample. What has no digits left is no number, and neither is what comes of it.
QTM_KERNEL(prepare, 128) {
    const long long sample = block.index;
    const Factors factors(a, a.factors, sample);
    const double unresolved = sizeof(Real) == 4 ? 8388608.0 : 4503599627370496.0;
    QTM_PHASE {
        bool is_sound = true;
        for (int i = thread; i < a.num_inputs + (sample == 0 ? a.num_weights : 0); i += block.threads)
            is_sound = is_sound && magnitude(variable(a, sample, i)) < 1e300;
        for (int angle = thread; angle < a.num_angles; angle += block.threads) {
            const double theta = angle_of(a, sample, angle);
            const bool has_digits = magnitude(theta) < unresolved;
            is_sound = is_sound && has_digits;
            factors.half[angle] = half_of(has_digits ? theta : no_number());
        }
        if (!is_sound) *a.flag = 1;
    }
    QTM_PHASE {
        for (int run = thread; run < a.num_runs; run += block.threads) {
            const RunFactors found = factors_of(a, factors.half, run);
            factors.run[run] = found;
            factors.turn[run] = {Real(found.cosine), Real(found.sine)};
        }
    }
    QTM_PHASE {
        for (int k = thread; k < a.num_characters; k += block.threads) {
            Double2 found = {1, 0};
            for (int s = a.character_source_begin[k]; s < a.character_source_begin[k + 1]; ++s)
                found = found * factor_of_source(factors, a.source_kind[s], a.source_index[s]);
            factors.character[k] = stored(found);
        }
        if (thread == 0 && a.state_phase >= 0) *factors.phase = stored(phase_of_sample(a, factors));
    }
}
