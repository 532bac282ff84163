// The final state as what is read, or the probabilities of its basis states. Included by isa/*.cpp.
//
// A ket of the engine lacks phases: a run is exp(i.) diag(1, left) RY diag(1, right), and a rotation in a phase is
// diag(1, exp(i theta)) without its exp(-i theta/2). Here they come back, with the global phase. Gradients need none of
// them: bra and ket lack the same, and Im<b|P|k> right after a rotation about P is the derivative by its angle whatever
// the bra, if it is half of what PyTorch calls the gradient g, dL = Re<g|d psi>. A phase of its own adds
// dL/d phase = -Im<g|psi>. Probabilities |k|^2 show no phase, and their bra is g k.

template <class Real, int lanes, int lane_bits>
struct Evolve;

// How many real numbers are read of an amplitude: its probability, or its real and imaginary part.
enum class Numbers { probability = 1, parts = 2 };

template <class Real, int lanes, int lane_bits, Numbers what>
struct Amplitudes {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using A = Angles<Real, lanes, lane_bits>;
    using W = Walsh<Real, lanes, lane_bits>;
    using Space = Workspace<Real, lanes, lane_bits>;

    // Writes the numbers of every sample, amplitude after amplitude, in the order of those who read them.
    static void read(const Tile<Real>& tile, const Space& space, const C* ket) {
        const C phase = has_phase ? lacking_phase(tile, space) : C{};
        for_each_block(tile, [&](const Block& block) {
            V number[lanes] = {};
            for (int j = 0; j < block.vectors; ++j) {
                const C k = block.load(ket, j);
                if constexpr (has_phase) {
                    const C amplitude = product<false, Real, lanes>(phase, k);
                    number[2 * j] = amplitude.re;
                    number[2 * j + 1] = amplitude.im;
                } else {
                    number[j] = k.re * k.re + k.im * k.im;
                }
            }
            store_numbers(tile, number, tile.values + each * block.first, each * block.size);
        });
    }

    // The bra: half of the gradient with respect to the state, with the phases that the ket lacks taken away; or the
    // gradient with respect to the probabilities times the ket.
    static void seed(const Tile<Real>& tile, Space& space, const C* ket, C* bra) {
        if constexpr (has_phase) return seed_with_phase(tile, space, ket, bra);
        for_each_block(tile, [&](const Block& block) {
            V number[lanes] = {};
            load_numbers(tile, number, tile.cotangent + block.first, block.size);
            for (int j = 0; j < block.vectors; ++j) {
                const C k = block.load(ket, j);
                block.store(bra, j, {number[j] * k.re, number[j] * k.im});
            }
        });
        tile.team.meet();
    }

    // Whether `seed` adds to the gradient of an angle: of twice the global phase.
    static bool has_gradient(const Tile<Real>& tile) {
        return has_phase && tile.wanted->angle[tile.program->state_phase[0]];
    }

   private:
    static constexpr bool has_phase = what == Numbers::parts;
    // A block is a square: as many numbers of as many samples as a vector has lanes; of a single sample, the numbers of
    // one vector.
    static constexpr int each = int(what), block_bits = __builtin_ctz(lanes) - (L::is_single || !has_phase ? 0 : 1);
    static constexpr int at_once = 1 << block_bits;
    static constexpr std::make_index_sequence<lanes> all_lanes{};
    // Those of jets, and of samples with several lanes each, are stored number by number.
    static constexpr bool is_plain = !is_jet<Real> && !L::is_mixed;

    static void seed_with_phase(const Tile<Real>& tile, Space& space, const C* ket, C* bra) {
        const C phase = lacking_phase(tile, space), factor{Number(0.5) * phase.re, Number(0.5) * phase.im};
        const bool meets_ket = has_gradient(tile);
        V overlap{};  // Im<b|k>
        for_each_block(tile, [&](const Block& block) {
            V number[lanes] = {};
            load_numbers(tile, number, tile.cotangent + 2 * block.first, 2 * block.size);
            for (int j = 0; j < block.vectors; ++j) {
                const C b = product<true, Real, lanes>(factor, {number[2 * j], number[2 * j + 1]});
                block.store(bra, j, b);
                if (!meets_ket) continue;
                const C k = block.load(ket, j);
                overlap += b.re * k.im - b.im * k.re;
            }
        });
        if constexpr (L::is_single) overlap = W::sum_over_state(overlap);
        if (meets_ket) space.angle_gradient[tile.program->state_phase[0]] -= overlap;
        tile.team.meet();
    }

    // So many amplitudes from number `first` on; number j lies at `place ^ offset[j]`.
    struct Block {
        size_t first;
        int size, vectors;
        uint32_t place;
        const uint32_t* offset;
        bool is_in_order;  // of a single sample: a vector holds amplitudes one after the other

        C load(const C* state, int j) const {
            if constexpr (!L::is_single) {
                const uint32_t from = place ^ offset[j];
                return L::template in_all_lanes<Real>(state[from >> L::lane_bits], from & L::lane_mask);
            }
            if (is_in_order) return state[place >> L::lane_bits];
            C found{V{}, V{}};
            for (int lane = 0; lane < size; ++lane) {
                const uint32_t from = place ^ offset[lane];
                set_lane(found.re, lane, lane_of(state[from >> L::lane_bits].re, from & L::lane_mask));
                set_lane(found.im, lane, lane_of(state[from >> L::lane_bits].im, from & L::lane_mask));
            }
            return found;
        }
        // Threads of a team may store into lanes of one vector.
        void store(C* state, int j, const C& amplitude) const {
            if constexpr (!L::is_spread) {
                state[place ^ offset[j]] = amplitude;
            } else if constexpr (L::is_mixed) {
                const uint32_t to = place ^ offset[j];
                for (uint32_t lane = to & L::lane_mask; lane < uint32_t(lanes); lane += 1 << lane_bits) {
                    set_lane(state[to >> L::lane_bits].re, lane, lane_of(amplitude.re, lane));
                    set_lane(state[to >> L::lane_bits].im, lane, lane_of(amplitude.im, lane));
                }
            } else if (is_in_order) {
                state[place >> L::lane_bits] = amplitude;
            } else {
                for (int lane = 0; lane < size; ++lane) {
                    const uint32_t to = place ^ offset[lane];
                    set_lane(state[to >> L::lane_bits].re, to & L::lane_mask, lane_of(amplitude.re, lane));
                    set_lane(state[to >> L::lane_bits].im, to & L::lane_mask, lane_of(amplitude.im, lane));
                }
            }
        }
    };

    static Real lane_of(const V& x, uint32_t lane) { return x[lane]; }
    // Without touching the lanes beside it.
    static void set_lane(V& x, uint32_t lane, Real value) {
        if constexpr (!is_jet<Real>)
            __builtin_memcpy(reinterpret_cast<char*>(&x) + lane * sizeof(Real), &value, sizeof(Real));
        else
            x[lane] = value;
    }

    // Calls visit(block) for this thread's share of the state.
    template <class Visit>
    static void for_each_block(const Tile<Real>& tile, Visit visit) {
        const ProgramView& p = *tile.program;
        const int bits = p.num_qubits < block_bits ? p.num_qubits : block_bits;
        const uint32_t* flip = p.state_flip + bits;
        uint32_t offset[at_once] = {}, place = p.state_flip[p.num_qubits];
        bool is_in_order = bits == block_bits;
        for (int q = 0; q <= p.num_qubits; ++q)
            is_in_order &= q < bits ? p.state_flip[q] == uint32_t(1) << q : (p.state_flip[q] & L::lane_mask) == 0;
        for (int q = 0; q < bits; ++q)
            for (int j = 0; j < 1 << q; ++j) offset[j + (1 << q)] = offset[j] ^ p.state_flip[q];
        const auto [begin, end] = tile.team.share(uint64_t(1) << (p.num_qubits - bits));
        for (int q = 0; begin >> q != 0; ++q)
            if (begin >> q & 1) place ^= flip[q];
        for (uint64_t block = begin; block < end; ++block) {
            visit(Block{size_t(block) << bits, 1 << bits, L::is_single ? 1 : 1 << bits, place, offset, is_in_order});
            // The bits that change on the way to the next one.
            if (block + 1 < end)
                for (int q = 0; (block ^ (block + 1)) >> q != 0; ++q) place ^= flip[q];
        }
    }

    // Numbers of a block, one row for each sample, those of an amplitude side by side. A vector has the same number of
    // all samples, each in all of its lanes; of a single sample, one of those of each amplitude.

    static void store_numbers(const Tile<Real>& tile, V* number, Real* to, int count) {
        const size_t size = size_t(count) * sizeof(Real);
        if constexpr (!is_plain) {
            for (int64_t row = 0; row < rows(tile); ++row, to += tile.program->num_values)
                for (int i = 0; i < count; ++i) to[i] = lane_of(number[number_of(i)], lane_of_number(row, i));
        } else if constexpr (L::is_single) {
            if constexpr (each == 2) interleave(number[0], number[1], all_lanes);
            __builtin_memcpy(static_cast<void*>(to), number, size);
        } else {
            transpose<1>(number, all_lanes);
            for (int64_t row = 0; row < rows(tile); ++row, to += tile.program->num_values)
                if (count == lanes)
                    __builtin_memcpy(static_cast<void*>(to), number + row, sizeof(V));
                else
                    __builtin_memcpy(static_cast<void*>(to), number + row, size);
        }
    }

    // Into vectors of zeros: lanes without a sample have no gradient.
    static void load_numbers(const Tile<Real>& tile, V* number, const Real* from, int count) {
        const size_t size = size_t(count) * sizeof(Real);
        if constexpr (!is_plain) {
            for (int64_t row = 0; row < rows(tile); ++row, from += tile.program->num_values)
                for (int i = 0; i < count; ++i) set_lane(number[number_of(i)], lane_of_number(row, i), from[i]);
            if constexpr (L::is_mixed)
                for (int i = 0; i < count; ++i) number[i] = L::template in_all_lanes<Real>(number[i], 0);
        } else if constexpr (L::is_single) {
            __builtin_memcpy(static_cast<void*>(number), from, size);
            if constexpr (each == 2) take_apart(number[0], number[1], all_lanes);
        } else {
            for (int64_t row = 0; row < rows(tile); ++row, from += tile.program->num_values)
                if (count == lanes)
                    __builtin_memcpy(static_cast<void*>(number + row), from, sizeof(V));
                else
                    __builtin_memcpy(static_cast<void*>(number + row), from, size);
            transpose<1>(number, all_lanes);
        }
    }

    static int64_t rows(const Tile<Real>& tile) { return L::is_single ? 1 : tile.num_samples; }
    // Where number i of a row is.
    static int number_of(int i) { return L::is_single ? i % each : i; }
    static uint32_t lane_of_number(int64_t row, int i) { return uint32_t(L::is_single ? i / each : row << lane_bits); }

    // exp(i phase) that a ket lacks to be the state.
    static C lacking_phase(const Tile<Real>& tile, const Space& space) {
        const ProgramView& p = *tile.program;
        const auto [sine, cosine] = space.half[p.state_phase[0]];
        C found = product<false, Real, lanes>({cosine, sine}, phase_of_rotations(p, space));
        for (int i = 0; i < 2 && p.half[i] != nullptr; ++i) {
            const Tile<Real> half = Evolve<Real, lanes, lane_bits>::half_of(tile, space, i);
            found = product<false, Real, lanes>(phase_of_rotations(*half.program, Space(half)), found);
        }
        return found;
    }

    static C phase_of_rotations(const ProgramView& p, const Space& space) {
        C found{broadcast<Real, lanes>(1), V{}};
        for (int r = 0; r < p.num_runs; ++r)
            if (!p.run_is_real[r]) {
                const auto phase = phase_of_run(p, space, r);
                found = product<false, Real, lanes>({phase.re, phase.im}, found);
            }
        const int sources = p.character_source_begin[p.phase_character_begin[p.num_layers + 1]];
        for (int s = 0; s < sources; ++s) {
            if (p.source_kind[s] != source_rotation) continue;
            const auto [sine, cosine] = space.half[p.source_index[s]];
            found = product<true, Real, lanes>({cosine, sine}, found);
        }
        return found;
    }

    // What a run has beside diag(1, left) RY diag(1, right): with this phase u, a = u cosine and b = u left sine, so
    // that neither is lost where it is small. What moves is no part of the split.
    static Complex<Number, lanes> phase_of_run(const ProgramView& p, const Space& space, int r) {
        Complex<Number, lanes> a, b;
        A::multiply_up(p, space, r, a, b);
        const auto& run = space.run[r];
        const auto turned = product<true, Number, lanes>(run.left, b);
        return {run.cosine * a.re + run.sine * turned.re, run.cosine * a.im + run.sine * turned.im};
    }
};
