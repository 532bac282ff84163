// The way back: passes over tiles of ket and bra. After RY of a run, Im<b|X|k>, Im<b|Y|k> and Im<b|Z|k> of its virtual
// qubit are added up; then both states go back before it (Jones and Gacon, arXiv:2009.02823).

constexpr int sums_at_once = 3 * register_bits;
typedef Sums<sums_at_once> TileSums;

// Im(conj(b) k) of a register.
QTM_DEVICE Real overlap(const Tile& bra, const Tile& ket, int r) {
    return bra.re[r] * ket.im[r] - bra.im[r] * ket.re[r];
}

// Moments of the runs of a pass, X, Y and Z of each, at the places of a thread.
QTM_DEVICE void measure(const Constants& c, int pass, const Tile& bra, const Tile& ket, TileSums& sums) {
    QTM_UNROLL
    for (int q = 0; q < register_bits; ++q) {
        Real x = 0, y = 0, z = 0;
        const int run = c.pass_run()[pass * register_bits + q];
        if (run >= 0) {
            const bool is_real = c.run_is_real()[run];
            QTM_UNROLL
            for (int r = 0; r < registers; ++r) {
                if (r >> q & 1) continue;
                const int s = r | 1 << q;
                y += (bra.re[s] * ket.re[r] + bra.im[s] * ket.im[r]) - (bra.re[r] * ket.re[s] + bra.im[r] * ket.im[s]);
            }
            if (!is_real) {
                QTM_UNROLL
                for (int r = 0; r < registers; ++r) {
                    if (r >> q & 1) continue;
                    const int s = r | 1 << q;
                    x += (bra.re[s] * ket.im[r] - bra.im[s] * ket.re[r]) +
                         (bra.re[r] * ket.im[s] - bra.im[r] * ket.re[s]);
                    z += overlap(bra, ket, r) - overlap(bra, ket, s);
                }
            }
        }
        sums.value[3 * q] = x;
        sums.value[3 * q + 1] = y;
        sums.value[3 * q + 2] = z;
    }
}

// Im<b|P|k> of products of Z, those of rotations in the phase of a pass, `sums_at_once` from `first` on.
QTM_DEVICE void measure_phase(const Constants& c, int first, int end, const Place& at, const Tile& bra, const Tile& ket,
                              TileSums& sums) {
    Real overlaps[registers];
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) overlaps[r] = overlap(bra, ket, r);
    QTM_UNROLL
    for (int i = 0; i < sums_at_once; ++i) {
        Real sum = 0;
        if (first + i < end) {
            const unsigned mask = c.rotation_mask()[first + i];
            const unsigned bits = mask >> c.thread_bits() & unsigned(registers - 1);
            QTM_UNROLL
            for (int r = 0; r < registers; ++r) sum += is_odd(bits & unsigned(r)) ? -overlaps[r] : overlaps[r];
            if (is_odd(mask & at.high)) sum = -sum;
        }
        sums.value[i] = sum;
    }
}

// Adds up over the threads of a tile and writes what has a slot.
template <class Slot>
QTM_DEVICE void write_sums(const Arguments& a, const Constants& c, const Block& block, Registers<TileSums>& sums,
                           Slot slot_of) {
    const int bits = c.thread_bits();
    const auto write = [&](const Place& at, int i, Real sum) {
        const int slot = slot_of(i);
        if (slot < 0 || !at.acts) return;
        a.partial[((at.sample * c.num_slots() + slot) << c.tile_bits()) + at.tile] = sum;
    };
    sum_over_lanes<sums_at_once>(block, sums, bits < lane_bits ? bits : lane_bits);
    if (bits <= lane_bits) {
        QTM_GROUP_PHASE {
            const Place at(a, c, block, thread);
            if (at.thread == 0) {
                QTM_UNROLL
                for (int i = 0; i < sums_at_once; ++i) write(at, i, sums[thread].value[i]);
            }
        }
        return;
    }
    // Behind the tile: sums of the warps.
    Real* of_warp = reinterpret_cast<Real*>(block.shared) + (2 << (bits + register_bits));
    QTM_PHASE {
        if (thread % lanes == 0) {
            QTM_UNROLL
            for (int i = 0; i < sums_at_once; ++i)
                of_warp[thread / lanes * sums_at_once + i] = sums[thread].value[i];
        }
    }
    QTM_PHASE {
        if (thread < sums_at_once) {
            const Place at(a, c, block, thread);
            Real sum = 0;
            for (int warp = 0; warp < block.threads / lanes; ++warp) sum += of_warp[warp * sums_at_once + thread];
            write(at, thread, sum);
        }
    }
}

// One exchange of a tile on the way back.
QTM_DEVICE void exchange_back(const Arguments& a, const Constants& c, const Block& block, int pass,
                              Registers<Tile>& tile) {
    QTM_GROUP_PHASE {
        const Place at(a, c, block, thread);
        put(c, map_of_own(c, pass), block, at, tile[thread]);
    }
    QTM_GROUP_PHASE {
        const Place at(a, c, block, thread);
        take(c, map_of_before(c, pass), block, at, tile[thread]);
    }
}

// Passes `pass_end` - 1 down to `pass_begin`. With `seeds`, the bra is made of the ket and the cotangent.
QTM_KERNEL(adjoint, QTM_MOST_THREADS) {
    const Constants c{a.constants};
    Registers<Tile> ket(block), bra(block);
    Registers<TileSums> sums(block);
    QTM_GROUP_PHASE {
        const Place at(a, c, block, thread);
        load(c, a.pass_end - 1, at, a.ket, ket[thread]);
        if (a.seeds)
            seed(a, c, a.pass_end - 1, at, bra[thread]);
        else
            load(c, a.pass_end - 1, at, a.bra, bra[thread]);
        if (a.seeds && c.state_phase() >= 0) {
            Real sum = 0;
            QTM_UNROLL
            for (int r = 0; r < registers; ++r) sum -= overlap(bra[thread], ket[thread], r);
            QTM_UNROLL
            for (int i = 0; i < sums_at_once; ++i) sums[thread].value[i] = i == 0 ? sum : Real(0);
        }
    }
    if (a.seeds && c.state_phase() >= 0)
        write_sums(a, c, block, sums, [&](int i) { return i == 0 ? c.num_slots() - 1 : -1; });
    for (int pass = a.pass_end - 1; true; --pass) {
        const bool turns = c.pass_turns()[pass];
        QTM_GROUP_PHASE {
            measure(c, pass, bra[thread], ket[thread], sums[thread]);
            const Place at(a, c, block, thread);
            const Factors factors(c, a.factors, at.sample);
            if (turns) rotate<true>(c, pass, factors, ket[thread], bra[thread]);
        }
        write_sums(a, c, block, sums, [&](int i) {
            const int run = c.pass_run()[pass * register_bits + i / 3];
            return run < 0 ? -1 : 3 * run + i % 3;
        });
        const int end = c.pass_rotation_begin()[pass + 1];
        for (int first = c.pass_rotation_begin()[pass]; first < end; first += sums_at_once) {
            QTM_GROUP_PHASE {
                const Place at(a, c, block, thread);
                measure_phase(c, first, end, at, bra[thread], ket[thread], sums[thread]);
            }
            write_sums(a, c, block, sums,
                       [&](int i) { return first + i < end ? c.rotation_slot()[first + i] : -1; });
        }
        QTM_GROUP_PHASE {
            const Place at(a, c, block, thread);
            const Factors factors(c, a.factors, at.sample);
            multiply_phase<true>(c, pass, factors, at.high, ket[thread], bra[thread]);
        }
        if (pass == a.pass_begin) break;
        if (!c.pass_exchanges()[pass]) continue;
        exchange_back(a, c, block, pass, ket);
        exchange_back(a, c, block, pass, bra);
    }
    if (!a.stores) return;
    QTM_GROUP_PHASE {
        const Place at(a, c, block, thread);
        store(c, a.pass_begin, at, a.ket_before, ket[thread]);
        store(c, a.pass_begin, at, a.bra, bra[thread]);
    }
}
