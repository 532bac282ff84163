// The bras that start the way back.

// The bra at an address: half of the gradient with respect to the state, without the phase that the ket lacks.
QTM_DEVICE Complex seed_at(const Arguments& a, long long sample, unsigned address) {
    const unsigned index = image_of(address ^ a.state_base, a.state_index);
    if (index >> a.state_bits != 0) return {Real(0), Real(0)};
    const Complex phase = *Factors(a, a.factors, sample).phase;
    const Complex gradient = reinterpret_cast<const Complex*>(a.cotangent)[(sample << a.state_bits) + index];
    return conjugated(phase) * Complex{Real(0.5) * gradient.re, Real(0.5) * gradient.im};
}

// Through shared memory, each thread through a part of its own, so that the code is there once and not for each register.
QTM_DEVICE void seed_of_state(const Arguments& a, const Block& block, int pass, const Place& at, Tile& bra) {
    const unsigned* map = map_of_pass(a, pass);
    Real* real = exchange_of(a, block, at) + at.thread;
    Real* imaginary = real + (1 << (a.thread_bits + register_bits));
    QTM_NO_UNROLL
    for (int r = 0; r < registers; ++r) {
        const Complex b = seed_at(a, at.sample, image_of(at.high | unsigned(r) << a.thread_bits, map));
        real[r << a.thread_bits] = b.re;
        imaginary[r << a.thread_bits] = b.im;
    }
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) {
        bra.re[r] = real[r << a.thread_bits];
        bra.im[r] = imaginary[r << a.thread_bits];
    }
}

// What the terms of a flip and a kind multiply amplitudes with, register by register: their signs are those of where an
// amplitude comes from.
QTM_DEVICE void weigh(const Arguments& a, const Block& block, const Place& at, int part, Real (&weight)[registers]) {
    const Real* cotangent = a.cotangent + at.sample * a.num_observables;
    const unsigned high = at.high ^ a.flip_place[part / 2];
    Real* column = column_of(a, block, at);
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) column[r << a.thread_bits] = Real(0);
    for (int slot = a.part_begin[part]; slot < a.part_begin[part + 1]; ++slot) {
        const int observable = a.slot_observable[slot], moment = -1 - observable;
        const Real of_slot = observable >= 0 ? cotangent[observable]
                                             : cotangent_of_moment(a, at.sample, moment) *
                                                   turn_of_moment(a, at.sample, moment).cosine;
        for (int t = a.slot_term_begin[slot]; t < a.slot_term_begin[slot + 1]; ++t) {
            const unsigned mask = a.term_sign[t];
            const Real term = a.term_weight[t] * of_slot;
            column[register_of(a, mask) << a.thread_bits] += is_odd(mask & high) ? -term : term;
        }
    }
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) weight[r] = column[r << a.thread_bits];
    walsh(weight);
}

// bra += sum_m cotangent[m] O_m ket, of all terms in a view, whose ket is shown.
QTM_DEVICE void add_terms(const Arguments& a, const Block& block, const Place& at, Tile& bra) {
    add_moments(a, block, at, bra);
    for (int part = 2 * a.view_flip_begin[a.view]; part < 2 * a.view_flip_begin[a.view + 1]; ++part) {
        if (a.part_begin[part] == a.part_begin[part + 1]) continue;
        Real weight[registers];
        weigh(a, block, at, part, weight);
        const bool is_imaginary = part & 1;
        for_each_flipped(a, block, at, a.flip_place[part / 2], [&](int r, Complex ket) {
            bra.re[r] += weight[r] * (is_imaginary ? ket.im : ket.re);
            bra.im[r] += weight[r] * (is_imaginary ? -ket.re : ket.im);
        });
    }
}

// A group of threads for a tile of a view, where no tile holds the state. The first view starts the bra.
QTM_KERNEL(seed, QTM_MOST_THREADS) {
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        Tile ket;
        load(a, map_of_view(a), at, a.ket, ket);
        show(a, block, at, ket);
    }
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        Tile bra = {};
        if (a.view > 0) load(a, map_of_view(a), at, a.bra, bra);
        add_terms(a, block, at, bra);
        store(a, map_of_view(a), at, a.bra, bra);
    }
}
