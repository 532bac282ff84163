// Expectation values of Pauli sums from a final ket, and the bra that starts the adjoint pass. Included by isa/*.cpp.
//
// Terms that flip the same bits x share one sweep: <k| X^x Z^z |k> = sum_i (-1)^{z.i} conj(k[i^x]) k[i], a
// Walsh-Hadamard coefficient of one vector for all z. Where they are too few for a transform, every term is summed up,
// or added to the bra, by itself: many of them block by block, as blocks stay in the first cache, and only one
// amplitude of each pair i, i^x is read, as the other one adds the same.

template <class Real, int lanes, int lane_bits>
struct Observable {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using W = Walsh<Real, lanes, lane_bits>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using Absorbed = Absorb<Real, lanes, lane_bits>;

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
        for (int64_t sample = 0; sample < tile.num_samples; ++sample)
            for (int m = 0; m < num_observables; ++m)
                tile.values[sample * num_observables + m] =
                    space.team.rank > 0 ? Number(0) : Number(p.observable_constant[m]);
        if (absorbs<Real>(p)) absorbed_values(tile, space);
        Few few;
        for (int part = 0; part < 2 * p.num_flips; ++part) {
            const int begin = p.flip_term_begin[part], end = p.flip_term_begin[part + 1];
            if (begin == end || (absorbs<Real>(p) && !p.has_unabsorbed_terms)) continue;
            if (has_energies(p, part)) {
                const auto square = [&](uint64_t i) { return ket[i].re * ket[i].re + ket[i].im * ket[i].im; };
                add_value(tile, 0, W::sum_of_energies(space.team, p, p.observable_energy, square));
                continue;
            }
            if (W::prefers_transform(end - begin, bits)) {
                read_part(tile, space, part, ket);
                continue;
            }
            for (int t = begin; t < end; ++t) {
                if (is_absorbed(p, t)) continue;
                few.term[few.count++] = {p.flip_mask[part / 2], p.pauli_z[t], t, part % 2 != 0, {}};
                if (few.count == most_few) read_few(tile, space, few, ket);
            }
        }
        read_few(tile, space, few, ket);
    }

    // Whether these terms are a diagonal that is there as energies of basis states.
    static bool has_energies(const ProgramView& p, int part) {
        return part == 0 && p.observable_energy >= 0 && !absorbs<Real>(p);
    }

    // The terms of a flip, by a transform.
    static void read_part(const Tile<Real>& tile, Space& space, int part, const C* ket) {
        const ProgramView& p = *tile.program;
        const int bits = p.num_qubits, end = p.flip_term_begin[part + 1];
        if (part % 2)
            overlaps<true>(space.team, ket, bits, p.flip_mask[part / 2], space.weight);
        else
            overlaps<false>(space.team, ket, bits, p.flip_mask[part / 2], space.weight);
        W::transform(space.team, space.weight, bits);
        for (int t = p.flip_term_begin[part]; t < end;) {
            // Terms of an observable lie side by side: they are added up in a register.
            const int observable = p.pauli_observable[t];
            V total{};
            for (; t < end && p.pauli_observable[t] == observable; ++t)
                if (!is_absorbed(p, t))
                    total += Number(p.pauli_coefficient[t]) * W::coefficient(space.team, space.weight, p.pauli_z[t]);
            add_value(tile, observable, total);
        }
        space.team.meet();
    }

    // A term that is taken by itself.
    struct Term {
        uint32_t x, z;
        int number;
        bool imaginary;
        V factor[2];  // of the vectors of the bra whose numbers have an even and an odd parity with z
    };

    // Some of them, with flips that lead to the same blocks for the most part.
    static constexpr int most_few = 32;
    struct Few {
        int count = 0;
        Term term[most_few];
    };

    // Vectors of a block, of which two fit into the first cache of a core; those that are taken at once divide it.
    static constexpr uint32_t block = (16 << 10) / sizeof(C) & ~uint32_t(3);
    static_assert(block > 0);

    static uint32_t vectors_at_once(int num_qubits) { return L::vectors(num_qubits) >= 4 ? 4 : 1; }

    // This thread's share of the vectors, in whole groups of those that are taken at once: threads do not meet between
    // one term and the next, so that all that is done to the bra must be cut alike.
    static std::pair<uint32_t, uint32_t> share(const Team& team, int num_qubits) {
        const uint32_t at_once = vectors_at_once(num_qubits);
        const auto [first, last] = team.share(L::vectors(num_qubits) / at_once);
        return {uint32_t(first) * at_once, uint32_t(last) * at_once};
    }

    // Calls visit(first vector, end, vectors that are taken at once) for the blocks of this thread's share.
    template <class Visit>
    static void for_each_block(const Team& team, int num_qubits, Visit visit) {
        const auto each = [&](auto at_once) {
            const auto [first, end] = share(team, num_qubits);
            for (uint32_t begin = first; begin < end; begin += block)
                visit(begin, end - begin < block ? end : begin + block, at_once);
        };
        if (vectors_at_once(num_qubits) == 4)
            each(std::integral_constant<uint32_t, 4>{});
        else
            each(std::integral_constant<uint32_t, 1>{});
    }

    // Factors of vectors side by side, by the parity of the first one's number with z: there is one for all of them.
    template <uint32_t at_once>
    struct Factors {
        uint32_t high;
        V factor[2][at_once];

        Factors(const Term& term, const V* of_parity) : high(term.z >> L::lane_bits) {
            for (uint32_t j = 0; j < at_once; ++j)
                for (int odd = 0; odd < 2; ++odd) factor[odd][j] = of_parity[odd ^ parity(j & high)];
        }
        const V* operator()(uint32_t vector) const { return factor[parity(vector & high)]; }
    };

    static void read_few(const Tile<Real>& tile, const Space& space, Few& few, const C* ket) {
        const ProgramView& p = *tile.program;
        V sum[most_few];
        for (int t = 0; t < few.count; ++t) sum[t] = V{};
        for_each_block(space.team, p.num_qubits, [&](uint32_t first, uint32_t last, auto at_once) {
            for (int t = 0; t < few.count; ++t) {
                sum[t] += few.term[t].imaginary ? signed_overlaps<true, at_once()>(few.term[t], ket, first, last)
                                                : signed_overlaps<false, at_once()>(few.term[t], ket, first, last);
            }
        });
        for (int t = 0; t < few.count; ++t) {
            const auto& [x, z, number, imaginary, factor] = few.term[t];
            const bool in_pairs = (x >> L::lane_bits) / vectors_at_once(p.num_qubits) > 0;
            if constexpr (L::is_spread) sum[t] *= L::template signs<Real>(z);
            const Number coefficient = Number(in_pairs ? 2 : 1) * Number(p.pauli_coefficient[number]);
            add_value(tile, p.pauli_observable[number], coefficient * W::sum_over_state(sum[t]));
        }
        few.count = 0;
    }

    // Of vectors first to last - 1; where the term takes those that are read at once to others, one of each pair.
    template <bool imaginary, uint32_t at_once>
    static V signed_overlaps(const Term& term, const C* ket, uint32_t first, uint32_t last) {
        const uint32_t flip = term.x >> L::lane_bits, lane_flip = term.x & L::lane_mask, own = flip % at_once;
        const uint32_t pivot = (flip - own) & (0 - (flip - own));
        const V of_parity[2] = {broadcast<Real, lanes>(1), broadcast<Real, lanes>(-1)};
        const Factors<at_once> signs(term, of_parity);
        V sum[at_once] = {};
        for (uint32_t i = first; i < last; i += at_once) {
            if (i & pivot) {
                i |= pivot - at_once;
                continue;
            }
            const V* sign = signs(i);
#pragma GCC unroll 4
            for (uint32_t j = 0; j < at_once; ++j) {
                const C from = ket[i + j], to = L::element(ket + ((i ^ (flip - own)) + (j ^ own)), lane_flip);
                sum[j] += sign[j] * (imaginary ? to.re * from.im - to.im * from.re : to.re * from.re + to.im * from.im);
            }
        }
        for (uint32_t j = 1; j < at_once; ++j) sum[0] += sum[j];
        return sum[0];
    }

    static void add_value(const Tile<Real>& tile, int observable, V summand) {
        Real* value = tile.values + observable;
        for (int64_t sample = 0; sample < tile.num_samples; ++sample)
            value[sample * tile.program->num_observables] += summand[sample << lane_bits];
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
            for (int64_t sample = 0; sample < tile.num_samples; ++sample) {
                const Real one = tile.cotangent[sample * tile.program->num_observables + observable];
                value[sample << lane_bits] = one;
                is_zero &= vanishes(one);
            }
            value = L::template in_all_lanes<Real>(value, 0);
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
        Few few;
        for (int part = 0; part < 2 * p.num_flips; ++part) {
            const int begin = p.flip_term_begin[part], end = p.flip_term_begin[part + 1];
            int count = 0;
            for_each_counting(tile, begin, end, [&](int, V) { ++count; });
            if (count == 0) continue;
            if (has_energies(p, part)) {
                started = add_energies(tile, ket, bra);
                continue;
            }
            if (count > 1 && W::prefers_transform(count, p.num_qubits)) {
                started = add_part(tile, space, part, ket, bra, started);
                continue;
            }
            for_each_counting(tile, begin, end, [&](int t, V factor) {
                few.term[few.count++] = term_of_bra(p, part, t, factor);
                if (few.count == most_few) started = add_few(tile, few, ket, bra, started);
            });
        }
        if (few.count > 0) started = add_few(tile, few, ket, bra, started);
        if (!started) {
            const auto [first, last] = share(tile.team, p.num_qubits);
            __builtin_memset(static_cast<void*>(bra + first), 0, (last - first) * sizeof(C));
        }
        if (tile.derivative == Derivative::imaginary) turn(tile, ket, bra);
        tile.team.meet();
    }

    static Term term_of_bra(const ProgramView& p, int part, int number, V factor) {
        const uint32_t x = p.flip_mask[part / 2], z = p.pauli_z[number];
        if constexpr (L::is_spread) factor *= L::template signs<Real>(z);
        Term term{x, z, number, part % 2 != 0, {factor, factor}};
        term.factor[!parity(z & x)] = -factor;  // the sign is that of vector i ^ x of the ket
        return term;
    }

    // Adds terms to this thread's share of the bra. Threads do not meet here.
    static bool add_few(const Tile<Real>& tile, Few& few, const C* ket, C* bra, bool started) {
        for_each_block(tile.team, tile.program->num_qubits, [&](uint32_t first, uint32_t last, auto at_once) {
            if (!started) __builtin_memset(static_cast<void*>(bra + first), 0, (last - first) * sizeof(C));
            for (int t = 0; t < few.count; ++t)
                few.term[t].imaginary ? add_term<true, at_once()>(few.term[t], ket, bra, first, last)
                                      : add_term<false, at_once()>(few.term[t], ket, bra, first, last);
        });
        few.count = 0;
        return true;
    }

    template <bool imaginary, uint32_t at_once>
    static void add_term(const Term& term, const C* ket, C* bra, uint32_t first, uint32_t last) {
        const uint32_t flip = term.x >> L::lane_bits, lane_flip = term.x & L::lane_mask, own = flip % at_once;
        const Factors<at_once> factors(term, term.factor);
        for (uint32_t i = first; i < last; i += at_once) {
            const V* factor = factors(i);
#pragma GCC unroll 4
            for (uint32_t j = 0; j < at_once; ++j) {
                const C k = L::element(ket + ((i ^ (flip - own)) + (j ^ own)), lane_flip);
                bra[i + j] = with<imaginary>(bra[i + j], factor[j], k);
            }
        }
    }

    // The coefficient of Im s is that of -i s: the operator is -i times the signed flip.
    template <bool imaginary>
    [[gnu::always_inline]] static C with(C bra, V w, C k) {
        if constexpr (imaginary)
            return {bra.re + w * k.im, bra.im - w * k.re};
        else
            return {bra.re + w * k.re, bra.im + w * k.im};
    }

    // Starts this thread's share of the bra with the diagonal terms of the only observable.
    static bool add_energies(const Tile<Real>& tile, const C* ket, C* bra) {
        const ProgramView& p = *tile.program;
        Cotangent cotangent;
        cotangent.read(tile, 0);
        const auto [first, last] = share(tile.team, p.num_qubits);
        for (uint32_t i = first; i < last; ++i)
            bra[i] = with<false>({V{}, V{}}, cotangent.value * W::energy(p, p.observable_energy, i), ket[i]);
        return true;
    }

    // Adds the terms of a flip, real or imaginary ones, to this thread's share of the bra, by a transform.
    static bool add_part(const Tile<Real>& tile, Space& space, int part, const C* ket, C* bra, bool started) {
        const ProgramView& p = *tile.program;
        const uint32_t x = p.flip_mask[part / 2];
        weights(tile, p.flip_term_begin[part], p.flip_term_begin[part + 1], space.weight);
        // Not before: threads meet for weights, and a member that leaves there leaves its share to the others.
        const auto [first, last] = share(tile.team, p.num_qubits);
        for (uint32_t i = first; i < last; ++i) {
            const uint32_t source = i << L::lane_bits ^ x;
            const V w = L::element(space.weight, source);
            const C k = L::element(ket, source), before = started ? bra[i] : C{V{}, V{}};
            bra[i] = part % 2 ? with<true>(before, w, k) : with<false>(before, w, k);
        }
        return true;
    }

    // For an imaginary derivative: adds what the identity contributes, and multiplies by i, because Im<ib|P|k> is
    // -Re<b|P|k>.
    static void turn(const Tile<Real>& tile, const C* ket, C* bra) {
        const ProgramView& p = *tile.program;
        V constant{};
        for (int64_t sample = 0; sample < tile.num_samples; ++sample)
            for (int m = 0; m < p.num_observables; ++m)
                constant[sample << lane_bits] +=
                    tile.cotangent[sample * p.num_observables + m] * Number(p.observable_constant[m]);
        constant = L::template in_all_lanes<Real>(constant, 0);
        const auto [first, last] = share(tile.team, p.num_qubits);
        for (uint32_t i = first; i < last; ++i)
            bra[i] = {-(bra[i].im + constant * ket[i].im), bra[i].re + constant * ket[i].re};
    }
};
