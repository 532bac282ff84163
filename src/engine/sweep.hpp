// The sweeps over the state: phases and real rotations, coset by coset. Included by isa/*.cpp.
//
// A sweep gathers one coset base + span{x_1, ..., x_k} of amplitudes into a block that fits the L1 cache. There the k
// virtual qubits of its runs are the plain bits 0 to k - 1, whatever CNOTs came before; base is chosen so that every
// character z_j of the runs vanishes on it.

template <class Real, int lanes>
struct Sweep {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using Run = RunFactors<Real, lanes>;
    using Space = Workspace<Real, lanes>;

    // Calls visit(base) for every coset of sweep s; keeps the positions of the phase's groups in step (Gray code).
    template <class Visit>
    static void for_each_coset(const ProgramView& p, Space& space, int s, int phase, Visit visit) {
        const int basis_begin = p.sweep_basis_begin[s];
        const int count = p.sweep_basis_begin[s + 1] - basis_begin;
        const int group_begin = phase > 0 ? p.phase_group_begin[phase] : 0;
        const int group_end = phase > 0 ? p.phase_group_begin[phase + 1] : 0;
        for (int g = group_begin; g < group_end; ++g) space.position[g] = 0;
        uint32_t base = 0;
        for (uint64_t coset = 1;; ++coset) {
            visit(base);
            if (coset == uint64_t(1) << count) break;
            const int flipped = __builtin_ctzll(coset);
            base ^= p.sweep_basis[basis_begin + flipped];
            for (int g = group_begin; g < group_end; ++g)
                space.position[g] ^= p.group_basis[p.group_basis_begin[g] + flipped];
        }
    }

    // block[j] *= phase(base + offset j), or its conjugate.
    template <bool conjugate>
    static void apply_phase(const ProgramView& p, const Space& space, int phase, C* block, int size) {
        for (int g = p.phase_group_begin[phase]; g < p.phase_group_begin[phase + 1]; ++g) {
            const int count = p.group_character_begin[g + 1] - p.group_character_begin[g];
            const int low_count = count / 2;
            const C* low = space.table + p.group_table_begin[g];
            const C* high = low + (size_t(1) << low_count);
            const uint32_t low_mask = (uint32_t(1) << low_count) - 1, position = space.position[g];
            const uint32_t* offset = p.group_offset + p.group_offset_begin[g];
            for (int j = 0; j < size; ++j) {
                const uint32_t y = position ^ offset[j];
                const C factor = product<false, Real, lanes>(low[y & low_mask], high[y >> low_count]);
                block[j] = product<conjugate, Real, lanes>(factor, block[j]);
            }
        }
    }

    static void gather(const C* state, uint32_t base, const uint32_t* offset, C* block, int size) {
        for (int j = 0; j < size; ++j) block[j] = state[base ^ offset[j]];
    }

    static void scatter(C* state, uint32_t base, const uint32_t* offset, const C* block, int size) {
        for (int j = 0; j < size; ++j) state[base ^ offset[j]] = block[j];
    }

    // [[1, -t], [t, 1]] on each of `count` bits (ascending) of the block; real and imaginary parts alike.
    template <int count>
    static void rotate_by_tangent(C* block, int bits, const int* bit, const V* tangent) {
        V* data = reinterpret_cast<V*>(block);
        size_t step[1 << count];
        step[0] = 0;
        V t[count];
        for (int q = 0; q < count; ++q) {
            t[q] = tangent[q];
            for (int i = 0; i < 1 << q; ++i) step[(1 << q) + i] = step[i] + (size_t(2) << bit[q]);
        }
        for (size_t j = 0; j < size_t(1) << (bits - count); ++j) {
            size_t index = j;
            for (int q = 0; q < count; ++q) {
                const size_t low = (size_t(1) << bit[q]) - 1;
                index = ((index & ~low) << 1) | (index & low);
            }
            for (int part = 0; part < 2; ++part) {
                V* at = data + 2 * index + part;
                V x[1 << count];
#pragma GCC unroll 8
                for (int i = 0; i < 1 << count; ++i) x[i] = at[step[i]];
#pragma GCC unroll 3
                for (int q = 0; q < count; ++q) {
#pragma GCC unroll 8
                    for (int i = 0; i < 1 << count; ++i) {
                        if (i >> q & 1) continue;
                        const V x0 = x[i], x1 = x[i | 1 << q];
                        x[i] = x0 - t[q] * x1;
                        x[i | 1 << q] = x1 + t[q] * x0;
                    }
                }
#pragma GCC unroll 8
                for (int i = 0; i < 1 << count; ++i) at[step[i]] = x[i];
            }
        }
    }

    static void rotate_fully(C* block, int bits, int bit, V cosine, V sine) {
        const size_t stride = size_t(1) << bit;
        for (size_t high = 0; high < size_t(1) << bits; high += 2 * stride) {
            for (size_t j = high; j < high + stride; ++j) {
                const C x0 = block[j], x1 = block[j + stride];
                block[j] = {cosine * x0.re - sine * x1.re, cosine * x0.im - sine * x1.im};
                block[j + stride] = {sine * x0.re + cosine * x1.re, sine * x0.im + cosine * x1.im};
            }
        }
    }

    // All RY of a sweep, or their inverses, on one block. By tangent, the amplitudes grow by 1 / product of cosines.
    template <bool inverse>
    static void rotate(C* block, int bits, const Run* run) {
        int bit[3], pending = 0;
        V tangent[3];
        for (int q = 0; q < bits; ++q) {
            if (!run[q].by_tangent) {
                rotate_fully(block, bits, q, run[q].cosine, inverse ? -run[q].sine : run[q].sine);
                continue;
            }
            bit[pending] = q;
            tangent[pending] = inverse ? -run[q].tangent : run[q].tangent;
            if (++pending == 3) {
                rotate_by_tangent<3>(block, bits, bit, tangent);
                pending = 0;
            }
        }
        if (pending == 2) rotate_by_tangent<2>(block, bits, bit, tangent);
        if (pending == 1) rotate_by_tangent<1>(block, bits, bit, tangent);
    }

    // target = (RY of sweep s) (phase, if any) source; source and target may be the same state.
    static void forward(const ProgramView& p, Space& space, int s, int phase, const C* source, C* target) {
        const int bits = p.sweep_bits[s], size = 1 << bits;
        const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
        const Run* run = space.run + p.sweep_run_begin[s];
        const bool rotates = s < p.layer_sweep_begin[p.num_layers];
        for_each_coset(p, space, s, phase, [&](uint32_t base) {
            C* block = space.block_ket;
            gather(source, base, offset, block, size);
            if (phase > 0) apply_phase<false>(p, space, phase, block, size);
            if (rotates) rotate<false>(block, bits, run);
            scatter(target, base, offset, block, size);
        });
    }

    // state = conj(phase) (inverse RY of sweep s) block, the last step of the adjoint of `forward`.
    static void undo_block(const ProgramView& p, Space& space, int s, int phase, C* state, uint32_t base, C* block) {
        const int bits = p.sweep_bits[s];
        const bool rotates = s < p.layer_sweep_begin[p.num_layers];
        if (rotates) rotate<true>(block, bits, space.run + p.sweep_run_begin[s]);
        if (phase > 0) apply_phase<true>(p, space, phase, block, 1 << bits);
        scatter(state, base, p.sweep_offset + p.sweep_offset_begin[s], block, 1 << bits);
    }

    // Moments Im<b|P|k> of the virtual qubits of a sweep: P = X, Y, Z.
    struct Moments {
        V x, y, z;
    };

    // X and Y of one bit of a block: the off-diagonal part of the transition matrix.
    template <bool with_x>
    static void add_flip_moments(const C* bra, const C* ket, int bits, int bit, Moments& moments) {
        const size_t stride = size_t(1) << bit;
        V x0{}, x1{}, y0{}, y1{};
        for (size_t high = 0; high < size_t(1) << bits; high += 2 * stride) {
            for (size_t j = high; j < high + stride; ++j) {
                const C b0 = bra[j], b1 = bra[j + stride], k0 = ket[j], k1 = ket[j + stride];
                y0 += b1.re * k0.re + b1.im * k0.im;
                y1 += b0.re * k1.re + b0.im * k1.im;
                if constexpr (with_x) {
                    x0 += b0.re * k1.im - b0.im * k1.re;
                    x1 += b1.re * k0.im - b1.im * k0.re;
                }
            }
        }
        moments.x += x0 + x1;
        moments.y += y0 - y1;
    }

    // Z of all bits of a block at once: fold Im(conj(b) k) bit by bit. Overwrites `folded` (2^bits vectors).
    static void add_sign_moments(const C* bra, const C* ket, int bits, V* folded, Moments* moments) {
        for (size_t j = 0; j < size_t(1) << bits; ++j) folded[j] = bra[j].re * ket[j].im - bra[j].im * ket[j].re;
        for (int q = bits - 1; q >= 0; --q) {
            const size_t half = size_t(1) << q;
            V difference{};
            for (size_t j = 0; j < half; ++j) {
                difference += folded[j] - folded[j + half];
                folded[j] += folded[j + half];
            }
            moments[q].z += difference;
        }
    }
};
