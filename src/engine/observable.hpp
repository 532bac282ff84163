// Expectation values of Pauli sums from a final ket, and the bra that starts the adjoint pass. Included by isa/*.cpp.
//
// Terms that flip the same bits x share one sweep: <k| X^x Z^z |k> = sum_i (-1)^{z.i} conj(k[i^x]) k[i], a
// Walsh-Hadamard coefficient of one vector for all z.

template <class Real, int lanes, bool spread>
struct Observable {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, spread>;
    using W = Walsh<Real, lanes, spread>;
    using Space = Workspace<Real, lanes, spread>;
    using Absorbed = Absorb<Real, lanes, spread>;

    static bool is_absorbed(const ProgramView& p, int term) { return absorbs<Real>(p) && p.term_run[term] >= 0; }

    // overlap[i] = Re or Im of conj(ket[i ^ x]) ket[i]
    template <bool imaginary>
    static void overlaps(const Team& team, const C* ket, int bits, uint32_t x, V* overlap) {
        const auto [begin, end] = team.share(L::vectors(bits));
        for (uint32_t i = uint32_t(begin); i < end; ++i) {
            const C from = ket[i], to = L::element(ket, i << L::lane_bits ^ x);
            overlap[i] = imaginary ? to.re * from.im - to.im * from.re : to.re * from.re + to.im * from.im;
        }
    }

    static void read(const Tile<Real>& tile, Space& space, const C* ket) {
        const ProgramView& p = *tile.program;
        const int bits = p.num_qubits, num_observables = p.num_observables;
        for (int64_t lane = 0; lane < tile.num_samples; ++lane)
            for (int m = 0; m < num_observables; ++m)
                tile.values[lane * num_observables + m] =
                    space.team.rank > 0 ? Number(0) : Number(p.observable_constant[m]);
        if (absorbs<Real>(p)) absorbed_values(tile, space);
        for (int part = 0; part < 2 * p.num_flips; ++part) {
            const int begin = p.flip_term_begin[part], end = p.flip_term_begin[part + 1];
            if (begin == end || (absorbs<Real>(p) && !p.has_unabsorbed_terms)) continue;
            if (part % 2)
                overlaps<true>(space.team, ket, bits, p.flip_mask[part / 2], space.weight);
            else
                overlaps<false>(space.team, ket, bits, p.flip_mask[part / 2], space.weight);
            const bool transformed = W::prefers_transform(end - begin, bits);
            if (transformed) W::transform(space.team, space.weight, bits);
            for (int t = begin; t < end;) {
                // Terms of an observable lie side by side: they are added up in a register.
                const int observable = p.pauli_observable[t];
                V total{};
                for (; t < end && p.pauli_observable[t] == observable; ++t) {
                    if (is_absorbed(p, t)) continue;
                    const V sum = transformed ? W::coefficient(space.team, space.weight, p.pauli_z[t])
                                              : W::signed_sum(space.team, space.weight, bits, p.pauli_z[t]);
                    total += Number(p.pauli_coefficient[t]) * sum;
                }
                add_value(tile, observable, total);
            }
            if (transformed) space.team.meet();
        }
    }

    static void add_value(const Tile<Real>& tile, int observable, V summand) {
        Real* value = tile.values + observable;
        for (int64_t lane = 0; lane < tile.num_samples; ++lane)
            value[lane * tile.program->num_observables] += summand[lane];
    }

    static void absorbed_values(const Tile<Real>& tile, const Space& space) {
        const ProgramView& p = *tile.program;
        for (int t = p.flip_term_begin[0]; t < p.flip_term_begin[1]; ++t)
            if (is_absorbed(p, t))
                add_value(tile, p.pauli_observable[t],
                          Number(p.pauli_coefficient[t]) * Absorbed::expectation(p, space, p.term_run[t]));
    }

    // What the cotangents of a term's samples multiply: nothing where they are all zero, as in most terms of a row of a
    // Jacobian.
    struct Cotangent {
        V value{};
        bool is_zero = true;

        void read(const Tile<Real>& tile, int observable) {
            is_zero = true;
            for (int64_t lane = 0; lane < tile.num_samples; ++lane) {
                const Real one = tile.cotangent[lane * tile.program->num_observables + observable];
                value[lane] = one;
                is_zero &= vanishes(one);
            }
        }
    };

    // Calls visit(term, cotangent * coefficient) for terms begin to end - 1 that count.
    template <class Visit>
    static void for_each_counting(const Tile<Real>& tile, int begin, int end, Visit visit) {
        const ProgramView& p = *tile.program;
        Cotangent cotangent;
        for (int t = begin, observable = -1; t < end; ++t) {
            if (is_absorbed(p, t)) continue;
            if (p.pauli_observable[t] != observable) cotangent.read(tile, observable = p.pauli_observable[t]);
            if (!cotangent.is_zero) visit(t, cotangent.value * Number(p.pauli_coefficient[t]));
        }
    }

    // So many terms of a flip are added straight to the bra, if no transform is faster.
    static constexpr int most_few = 8;

    // The terms of a flip that count, as long as they are few: sign (-1)^{z.i} by the parity of i with `high`.
    struct Few {
        int count = 0;
        uint32_t high[most_few];
        V factor[most_few][2];

        Few(const Tile<Real>& tile, int begin, int end, uint32_t x) {
            for_each_counting(tile, begin, end, [&](int t, V term) {
                if (count++ >= most_few) return;
                const uint32_t z = tile.program->pauli_z[t];
                if constexpr (spread) term = term[0] * lane_signs<Real, lanes>(z & L::lane_mask);
                high[count - 1] = z >> L::lane_bits;
                factor[count - 1][parity(z & x)] = term;
                factor[count - 1][!parity(z & x)] = -term;
            });
        }
        bool are_few(int bits) const { return count <= most_few && (count == 1 || !W::prefers_transform(count, bits)); }
        // Of vector i ^ x of the ket, which goes to vector i of the bra.
        V operator()(uint32_t i) const {
            V sum = factor[0][parity(i & high[0])];
            for (int t = 1; t < count; ++t) sum += factor[t][parity(i & high[t])];
            return sum;
        }
    };

    // weight[i] = sum over terms of cotangent * coefficient * (-1)^{z.i}
    static void weights(const Tile<Real>& tile, int begin, int end, V* weight) {
        const ProgramView& p = *tile.program;
        tile.team.meet();  // all are done with the weights before
        const auto [first, last] = tile.team.share(L::vectors(p.num_qubits));
        __builtin_memset(static_cast<void*>(weight + first), 0, (last - first) * sizeof(V));
        tile.team.meet();
        if (tile.team.rank == 0)
            for_each_counting(tile, begin, end,
                              [&](int t, V term) { W::add_to_coefficient(weight, p.pauli_z[t], term); });
        W::transform(tile.team, weight, p.num_qubits);
    }

    // bra = sum_m cotangent[m] O_m ket: one adjoint state for all observables but what a last layer is absorbed by.
    static void seed(const Tile<Real>& tile, Space& space, const C* ket, C* bra) {
        const ProgramView& p = *tile.program;
        bool started = false;
        for (int part = 0; part < 2 * p.num_flips; ++part)
            started |= part % 2 ? add_part<true>(tile, space, part, ket, bra, started)
                                : add_part<false>(tile, space, part, ket, bra, started);
        if (!started) {
            const auto [first, last] = tile.team.share(L::vectors(p.num_qubits));
            __builtin_memset(static_cast<void*>(bra + first), 0, (last - first) * sizeof(C));
        }
        if (tile.derivative == Derivative::imaginary) turn(tile, ket, bra);
        tile.team.meet();
    }

    // Adds the real or the imaginary terms of a flip to this thread's share of the bra; returns whether there are any.
    template <bool imaginary>
    static bool add_part(const Tile<Real>& tile, Space& space, int part, const C* ket, C* bra, bool started) {
        const ProgramView& p = *tile.program;
        const int begin = p.flip_term_begin[part], end = p.flip_term_begin[part + 1];
        if (begin == end) return false;
        const uint32_t x = p.flip_mask[part / 2];
        const Few few(tile, begin, end, x);
        if (few.count == 0) return false;
        const auto add = [&](auto weight_of) {
            // Not before: threads meet for weights, and a member that leaves there leaves its share to the others.
            const auto [first, last] = tile.team.share(L::vectors(p.num_qubits));
            for (uint32_t i = uint32_t(first); i < last; ++i) {
                const uint32_t source = i << L::lane_bits ^ x;
                const V w = weight_of(i, source);
                const C k = L::element(ket, source);
                // The coefficient of Im s is that of -i s: the operator is -i times the signed flip.
                const C term = imaginary ? C{w * k.im, -(w * k.re)} : C{w * k.re, w * k.im};
                bra[i] = started ? C{bra[i].re + term.re, bra[i].im + term.im} : term;
            }
        };
        if (few.are_few(p.num_qubits)) {
            add([&](uint32_t i, uint32_t) { return few(i); });
        } else {
            weights(tile, begin, end, space.weight);
            add([&](uint32_t, uint32_t source) { return L::element(space.weight, source); });
        }
        return true;
    }

    // For an imaginary derivative: adds what the identity contributes, and multiplies by i, because Im<ib|P|k> is
    // -Re<b|P|k>.
    static void turn(const Tile<Real>& tile, const C* ket, C* bra) {
        const ProgramView& p = *tile.program;
        V constant{};
        for (int64_t lane = 0; lane < tile.num_samples; ++lane)
            for (int m = 0; m < p.num_observables; ++m)
                constant[lane] += tile.cotangent[lane * p.num_observables + m] * Number(p.observable_constant[m]);
        if constexpr (spread) constant = broadcast<Real, lanes>(constant[0]);
        const auto [first, last] = tile.team.share(L::vectors(p.num_qubits));
        for (uint64_t i = first; i < last; ++i)
            bra[i] = {-(bra[i].im + constant * ket[i].im), bra[i].re + constant * ket[i].re};
    }
};
