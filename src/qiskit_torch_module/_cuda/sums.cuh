// Sums over a tile, and signs of the registers of a thread.

constexpr int sums_of_few = 4;
typedef Sums<sums_of_few> FewSums;

// Sums over registers with the signs of all masks of register bits: a Walsh transform.
QTM_DEVICE void walsh(Real (&of_register)[registers]) {
    QTM_UNROLL
    for (int q = 0; q < register_bits; ++q) {
        QTM_UNROLL
        for (int r = 0; r < registers; ++r) {
            if (r >> q & 1) continue;
            const Real even = of_register[r], odd = of_register[r | 1 << q];
            of_register[r] = even + odd;
            of_register[r | 1 << q] = even - odd;
        }
    }
}

// Adds up over the threads of a tile and writes what has a slot, of so many that a sample has.
template <int count, class Slot>
QTM_DEVICE void write_sums(const Arguments& a, const Block& block, int num_slots, Registers<Sums<count>>& sums,
                           Slot slot_of) {
    const int bits = a.thread_bits;
    const auto write = [&](const Place& at, int i, Real sum) {
        const int slot = slot_of(i);
        if (slot < 0 || !at.acts) return;
        a.partial[((at.sample * num_slots + slot) << a.tile_bits) + at.tile] = sum;
    };
    sum_over_lanes<count>(block, sums, bits < lane_bits ? bits : lane_bits);
    if (bits <= lane_bits) {
        QTM_GROUP_PHASE {
            const Place at(a, block, thread);
            if (at.thread == 0) {
                QTM_UNROLL
                for (int i = 0; i < count; ++i) write(at, i, sums[thread].value[i]);
            }
        }
        return;
    }
    // Behind the tile: sums of the warps.
    Real* of_warp = reinterpret_cast<Real*>(block.shared) + a.tile_numbers;
    QTM_PHASE {
        if (thread % lanes == 0) {
            QTM_UNROLL
            for (int i = 0; i < count; ++i)
                of_warp[thread / lanes * count + i] = sums[thread].value[i];
        }
    }
    QTM_PHASE {
        if (thread < count) {
            const Place at(a, block, thread);
            Real sum = 0;
            for (int warp = 0; warp < block.threads / lanes; ++warp) sum += of_warp[warp * count + thread];
            write(at, thread, sum);
        }
    }
}
