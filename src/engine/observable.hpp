// Expectation values of Pauli sums from a final ket, and the bra that starts the adjoint pass. Included by isa/*.cpp.
//
// Terms that flip the same bits x share one sweep: <k| X^x Z^z |k> = sum_i (-1)^{z.i} conj(k[i^x]) k[i], a
// Walsh-Hadamard coefficient of one vector for all z.

template <class Real, int lanes, bool spread>
struct Observable {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, spread>;
    using W = Walsh<Real, lanes, spread>;
    using Space = Workspace<Real, lanes, spread>;
    using Absorbed = Absorb<Real, lanes, spread>;

    static bool is_absorbed(const ProgramView& p, int term) { return p.absorbs && p.term_run[term] >= 0; }

    // overlap[i] = Re or Im of conj(ket[i ^ x]) ket[i]
    template <bool imaginary>
    static void overlaps(const Team& team, const C* ket, int bits, uint32_t x, V* overlap) {
        const auto [begin, end] = team.share(L::vectors(bits));
        for (uint32_t i = uint32_t(begin); i < end; ++i) {
            const C from = ket[i], to = L::element(ket, i << L::lane_bits ^ x);
            overlap[i] = imaginary ? to.re * from.im - to.im * from.re : to.re * from.re + to.im * from.im;
        }
    }

    static void values(const Tile<Real>& tile, Space& space, const C* ket) {
        const ProgramView& p = *tile.program;
        const int bits = p.num_qubits, num_observables = p.num_observables;
        for (int64_t lane = 0; lane < tile.num_samples; ++lane)
            for (int m = 0; m < num_observables; ++m)
                tile.values[lane * num_observables + m] =
                    space.team.rank > 0 ? Real(0) : Real(p.observable_constant[m]);
        if (p.absorbs) absorbed_values(tile, space);
        for (int part = 0; part < 2 * p.num_flips; ++part) {
            const int begin = p.flip_term_begin[part], end = p.flip_term_begin[part + 1];
            if (begin == end || (p.absorbs && !p.has_unabsorbed_terms)) continue;
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
                    total += Real(p.pauli_coefficient[t]) * sum;
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
                          Real(p.pauli_coefficient[t]) * Absorbed::expectation(p, space, p.term_run[t]));
    }

    // weight[i] = sum over terms of cotangent * coefficient * (-1)^{z.i}
    static void weights(const Tile<Real>& tile, int begin, int end, V* weight) {
        const ProgramView& p = *tile.program;
        const bool transformed = W::prefers_transform(end - begin, p.num_qubits);
        tile.team.meet();  // all are done with the weights before
        const auto [first, last] = tile.team.share(L::vectors(p.num_qubits));
        __builtin_memset(static_cast<void*>(weight + first), 0, (last - first) * sizeof(V));
        if (transformed) tile.team.meet();
        V cotangent{};
        for (int t = begin, observable = -1; t < end; ++t) {
            if (is_absorbed(p, t)) continue;
            if (p.pauli_observable[t] != observable) {
                observable = p.pauli_observable[t];
                for (int64_t lane = 0; lane < tile.num_samples; ++lane)
                    cotangent[lane] = tile.cotangent[lane * p.num_observables + observable];
            }
            V term = cotangent * Real(p.pauli_coefficient[t]);
            if (transformed && tile.team.rank > 0) break;
            if (transformed) {
                W::add_to_coefficient(weight, p.pauli_z[t], term);
                continue;
            }
            if (spread) term = term[0] * lane_signs<Real, lanes>(p.pauli_z[t] & L::lane_mask);
            for (uint32_t i = uint32_t(first); i < last; ++i) {
                if (parity(i & p.pauli_z[t] >> L::lane_bits))
                    weight[i] -= term;
                else
                    weight[i] += term;
            }
        }
        if (transformed)
            W::transform(tile.team, weight, p.num_qubits);
        else
            tile.team.meet();
    }

    // bra = sum_m cotangent[m] O_m ket: one adjoint state for all observables but what a last layer is absorbed by.
    static void adjoint_state(const Tile<Real>& tile, Space& space, const C* ket, C* bra) {
        const ProgramView& p = *tile.program;
        bool started = false;
        // The sum of `bra` so far, and the next term, for this thread's share.
        const auto add = [&](uint32_t x, auto term_of) {
            const auto [first, last] = tile.team.share(L::vectors(p.num_qubits));
            for (uint32_t i = uint32_t(first); i < last; ++i) {
                const C term =
                    term_of(L::element(space.weight, i << L::lane_bits ^ x), L::element(ket, i << L::lane_bits ^ x));
                bra[i] = started ? C{bra[i].re + term.re, bra[i].im + term.im} : term;
            }
            started = true;
        };
        for (int f = 0; f < p.num_flips; ++f) {
            const int* begin = p.flip_term_begin + 2 * f;
            const uint32_t x = p.flip_mask[f];
            if (begin[0] < begin[1]) {
                weights(tile, begin[0], begin[1], space.weight);
                add(x, [](V w, const C& k) { return C{w * k.re, w * k.im}; });
            }
            if (begin[1] < begin[2]) {
                // The coefficient of Im s is that of -i s: the operator is -i times the signed flip.
                weights(tile, begin[1], begin[2], space.weight);
                add(x, [](V w, const C& k) { return C{w * k.im, -(w * k.re)}; });
            }
        }
        if (!started) {
            const auto [first, last] = tile.team.share(L::vectors(p.num_qubits));
            __builtin_memset(static_cast<void*>(bra + first), 0, (last - first) * sizeof(C));
        }
        if (tile.derivative == Derivative::imaginary) turn(tile, ket, bra);
        tile.team.meet();
    }

    // For an imaginary derivative: adds what the identity contributes, and multiplies by i, because Im<ib|P|k> is
    // -Re<b|P|k>.
    static void turn(const Tile<Real>& tile, const C* ket, C* bra) {
        const ProgramView& p = *tile.program;
        V constant{};
        for (int64_t lane = 0; lane < tile.num_samples; ++lane)
            for (int m = 0; m < p.num_observables; ++m)
                constant[lane] += tile.cotangent[lane * p.num_observables + m] * Real(p.observable_constant[m]);
        if (spread) constant = broadcast<Real, lanes>(constant[0]);
        const auto [first, last] = tile.team.share(L::vectors(p.num_qubits));
        for (uint64_t i = first; i < last; ++i)
            bra[i] = {-(bra[i].im + constant * ket[i].im), bra[i].re + constant * ket[i].re};
    }
};
