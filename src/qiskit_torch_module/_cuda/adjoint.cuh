// The way back: passes over tiles of ket and bra. After RY of a run, Im<b|X|k>, Im<b|Y|k> and Im<b|Z|k> of its virtual
// qubit are added up; then both states go back before it (Jones and Gacon, arXiv:2009.02823).

constexpr int sums_at_once = 3 * register_bits;
typedef Sums<sums_at_once> TileSums;

// Im(conj(b) k) of a register.
QTM_DEVICE Real overlap(const Tile& bra, const Tile& ket, int r) {
    return bra.re[r] * ket.im[r] - bra.im[r] * ket.re[r];
}

// Whether a pass is more than a phase.
QTM_DEVICE bool has_runs(const Arguments& a, int pass) {
    bool found = false;
    QTM_UNROLL
    for (int q = 0; q < register_bits; ++q) found = found || a.pass_run[pass * register_bits + q] >= 0;
    return found;
}

// Moments of the runs of a pass, X, Y and Z of each, at the places of a thread. What turns about Y alone needs no other.
QTM_DEVICE void measure(const Arguments& a, int pass, const Tile& bra, const Tile& ket, TileSums& sums) {
    QTM_UNROLL
    for (int q = 0; q < register_bits; ++q) {
        Real x = 0, y = 0;
        const int run = a.pass_run[pass * register_bits + q];
        if (run >= 0) {
            QTM_UNROLL
            for (int r = 0; r < registers; ++r) {
                if (r >> q & 1) continue;
                const int s = r | 1 << q;
                y += (bra.re[s] * ket.re[r] + bra.im[s] * ket.im[r]) - (bra.re[r] * ket.re[s] + bra.im[r] * ket.im[s]);
            }
            if (!a.run_is_real[run]) {
                QTM_UNROLL
                for (int r = 0; r < registers; ++r) {
                    if (r >> q & 1) continue;
                    const int s = r | 1 << q;
                    x += (bra.re[s] * ket.im[r] - bra.im[s] * ket.re[r]) +
                         (bra.re[r] * ket.im[s] - bra.im[r] * ket.re[s]);
                }
            }
        }
        sums.value[3 * q] = x;
        sums.value[3 * q + 1] = y;
    }
    // Z of all bits from the same products, none of which is kept: registers are short here.
    Real z[register_bits] = {};
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) {
        const Real product = overlap(bra, ket, r);
        QTM_UNROLL
        for (int q = 0; q < register_bits; ++q) z[q] += r >> q & 1 ? -product : product;
    }
    QTM_UNROLL
    for (int q = 0; q < register_bits; ++q) sums.value[3 * q + 2] = z[q];
}

// Im<b|P|k> of products of Z of register bits, at the places of a thread: a Walsh transform, which is left in shared
// memory, in a part of the thread's own.
QTM_DEVICE void transform(const Arguments& a, const Block& block, const Place& at, const Tile& bra, const Tile& ket) {
    Real transformed[registers];
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) transformed[r] = overlap(bra, ket, r);
    walsh(transformed);
    Real* own = exchange_of(a, block, at) + at.thread;
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) own[r << a.thread_bits] = transformed[r];
}

// Those of rotations in the phase of a pass, so many from `first` on.
QTM_DEVICE void measure_phase(const Arguments& a, const Block& block, int first, int end, const Place& at,
                              FewSums& sums) {
    const Real* own = exchange_of(a, block, at) + at.thread;
    QTM_UNROLL
    for (int i = 0; i < sums_of_few; ++i) {
        const unsigned mask = first + i < end ? a.rotation_mask[first + i] : 0;
        const unsigned bits = mask >> a.thread_bits & unsigned(registers - 1);
        const Real sum = own[bits << a.thread_bits];
        sums.value[i] = is_odd(mask & at.high) ? -sum : sum;
    }
}

// One exchange of a tile on the way back.
QTM_DEVICE void exchange_back(const Arguments& a, const Block& block, int pass,
                              Registers<Tile>& tile) {
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        put(a, map_of_own(a, pass), block, at, tile[thread]);
    }
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        take(a, map_of_before(a, pass), block, at, tile[thread]);
    }
}

// Passes `pass_end` - 1 down to `pass_begin`. With `seeds`, the bra is made of the ket and the cotangent.
QTM_KERNEL(adjoint, QTM_MOST_THREADS) {
    Registers<Tile> ket(block), bra(block);
    Registers<TileSums> sums(block);
    Registers<FewSums> phase_sums(block);
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        load(a, map_of_pass(a, a.pass_end - 1), at, a.ket, ket[thread]);
        if (!a.seeds) load(a, map_of_pass(a, a.pass_end - 1), at, a.bra, bra[thread]);
        if (a.seeds && a.state_phase < 0) show(a, block, at, ket[thread]);
        if (a.seeds && a.state_phase >= 0) {
            seed_of_state(a, block, a.pass_end - 1, at, bra[thread]);
            Real sum = 0;
            QTM_UNROLL
            for (int r = 0; r < registers; ++r) sum -= overlap(bra[thread], ket[thread], r);
            QTM_UNROLL
            for (int i = 0; i < sums_of_few; ++i) phase_sums[thread].value[i] = i == 0 ? sum : Real(0);
        }
    }
    if (a.seeds && a.state_phase < 0) {
        QTM_GROUP_PHASE {
            bra[thread] = Tile();
            add_terms(a, block, Place(a, block, thread), bra[thread]);
        }
    }
    if (a.seeds && a.state_phase >= 0)
        write_sums(a, block, a.num_slots, phase_sums, [&](int i) { return i == 0 ? a.num_slots - 1 : -1; });
    for (int pass = a.pass_end - 1; true; --pass) {
        const bool turns = a.pass_turns[pass];
        if (has_runs(a, pass)) {
            QTM_GROUP_PHASE {
                measure(a, pass, bra[thread], ket[thread], sums[thread]);
                const Place at(a, block, thread);
                const Factors factors(a, a.factors, at.sample);
                if (turns) rotate<true>(a, pass, factors, ket[thread], bra[thread]);
            }
            write_sums(a, block, a.num_slots, sums, [&](int i) {
                const int run = a.pass_run[pass * register_bits + i / 3];
                return run < 0 ? -1 : 3 * run + i % 3;
            });
        }
        const int end = a.pass_rotation_begin[pass + 1];
        for (int first = a.pass_rotation_begin[pass]; first < end; first += sums_of_few) {
            QTM_GROUP_PHASE {
                const Place at(a, block, thread);
                if (first == a.pass_rotation_begin[pass]) transform(a, block, at, bra[thread], ket[thread]);
                measure_phase(a, block, first, end, at, phase_sums[thread]);
            }
            write_sums(a, block, a.num_slots, phase_sums,
                       [&](int i) { return first + i < end ? a.rotation_slot[first + i] : -1; });
        }
        QTM_GROUP_PHASE {
            const Place at(a, block, thread);
            const Factors factors(a, a.factors, at.sample);
            multiply_phase<true>(a, pass, factors, at.high, ket[thread], bra[thread]);
        }
        if (pass == a.pass_begin) break;
        if (!a.pass_exchanges[pass]) continue;
        exchange_back(a, block, pass, ket);
        exchange_back(a, block, pass, bra);
    }
    if (!a.stores) return;
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        if (!a.ends) store(a, map_of_pass(a, a.pass_begin), at, a.ket_before, ket[thread]);
        store(a, map_of_pass(a, a.pass_begin), at, a.bra, bra[thread]);
    }
}
