// Sums with signs (-1)^{z.i} over the index: the Walsh-Hadamard transform.
// Included by isa/*.cpp.

template <class Real, int lanes, int lane_bits>
struct Walsh {
    using V = Vector<Real, lanes>;
    using L = Layout<lanes, lane_bits>;

    // data[z] <- sum_i (-1)^{z.i} data[i], in place, three bits a pass; the team's threads share every pass.
    static void transform(const Team& team, V* data, int num_qubits) {
        const int bits = num_qubits - L::lane_bits;
        team.meet();
        int bit = 0;
        for (; bit + 3 <= bits; bit += 3) pass<3>(team, data, bits, bit);
        if (bits - bit == 2) pass<2>(team, data, bits, bit);
        if (bits - bit == 1) pass<1>(team, data, bits, bit);
        const auto [begin, end] = team.share(L::vectors(num_qubits));
        for (int lane_bit = 0; lane_bit < L::lane_bits; ++lane_bit) {
            const V signs = lane_signs<Real, lanes>(uint32_t(1) << lane_bit);
            for (size_t i = begin; i < end; ++i)
                data[i] = flip_lanes<Real, lanes>(data[i], uint32_t(1) << lane_bit) + signs * data[i];
        }
        team.meet();
    }

    template <int count>
    static void pass(const Team& team, V* data, int bits, int bit) {
        const size_t stride = size_t(1) << bit;
        const auto [begin, end] = team.share(uint64_t(1) << (bits - count));
        for (size_t number = begin; number < end; ++number) {
            // `count` zeros inserted at `bit`
            const size_t j = (number & ~(stride - 1)) << count | (number & (stride - 1));
            V x[1 << count];
#pragma GCC unroll 8
            for (int i = 0; i < 1 << count; ++i) x[i] = data[j + i * stride];
#pragma GCC unroll 3
            for (int q = 0; q < count; ++q) {
#pragma GCC unroll 8
                for (int i = 0; i < 1 << count; ++i) {
                    if (i >> q & 1) continue;
                    const V x0 = x[i], x1 = x[i | 1 << q];
                    x[i] = x0 + x1;
                    x[i | 1 << q] = x0 - x1;
                }
            }
#pragma GCC unroll 8
            for (int i = 0; i < 1 << count; ++i) data[j + i * stride] = x[i];
        }
        team.meet();
    }

    // Energies of the basis states in vector i.
    using Energy = Vector<NumberOf<Real>, lanes>;
    static Energy energy(const ProgramView& p, int64_t first, size_t i) {
        const auto* energies = [&] {
            if constexpr (sizeof(NumberOf<Real>) == sizeof(float))
                return p.energy_single + first;
            else
                return p.energy_double + first;
        }();
        if constexpr (!L::is_spread) return broadcast<NumberOf<Real>, lanes>(energies[i]);
        Energy found;
        for (uint32_t first = 0; first < uint32_t(lanes); first += 1 << lane_bits)
            __builtin_memcpy(reinterpret_cast<NumberOf<Real>*>(&found) + first, energies + (i << lane_bits),
                             sizeof(NumberOf<Real>) << lane_bits);
        return found;
    }

    // sum_i energy[i] weight(i) over the vectors of this thread's share.
    template <class Weight>
    static V sum_of_energies(const Team& team, const ProgramView& p, int64_t first, Weight weight) {
        const auto [begin, end] = team.share(L::vectors(p.num_qubits));
        V sum[4] = {};  // that do not wait for each other
        uint64_t i = begin;
        for (; i + 4 <= end; i += 4)
#pragma GCC unroll 4
            for (uint64_t j = 0; j < 4; ++j) sum[j] += weight(i + j) * energy(p, first, i + j);
        for (; i < end; ++i) sum[0] += weight(i) * energy(p, first, i);
        return sum_over_state((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }

    // One signed sum costs one addition an amplitude, the transform one per qubit and amplitude.
    static bool prefers_transform(int num_terms, int bits) { return 2 * num_terms > bits; }

    // Coefficient z of a transform, for the first of the team; zero for the others.
    static V coefficient(const Team& team, const V* data, uint32_t z) {
        if (team.rank > 0) return V{};
        const V found = data[z >> L::lane_bits];
        return L::template in_all_lanes<Real>(found, z & L::lane_mask);
    }

    // Adds to coefficient z, before a transform.
    static void add_to_coefficient(V* data, uint32_t z, V value) {
        V& to = data[z >> L::lane_bits];
        L::template set_element<Real>(to, z & L::lane_mask, to + value);
    }

    // What lanes that are parts of one state add up to, in every lane; otherwise every sample keeps its own.
    static V sum_over_state(V parts) { return L::template sum_over_state<Real>(parts); }
};
