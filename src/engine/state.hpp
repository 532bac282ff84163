// The final state as what is read. Included by isa/*.cpp.
//
// A ket of the engine lacks phases: a run is exp(i.) diag(1, left) RY diag(1, right), and a rotation in a phase is
// diag(1, exp(i theta)) without its exp(-i theta/2). Here they come back, with the global phase. Gradients need none of
// them: bra and ket lack the same, and Im<b|P|k> right after a rotation about P is the derivative by its angle whatever
// the bra, if it is half of what PyTorch calls the gradient g, dL = Re<g|d psi>. A phase of its own adds
// dL/d phase = -Im<g|psi>.

template <class Real, int lanes, bool spread>
struct Evolve;

template <class Real, int lanes, bool spread>
struct State {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, spread>;
    using A = Angles<Real, lanes, spread>;
    using W = Walsh<Real, lanes, spread>;
    using Space = Workspace<Real, lanes, spread>;

    // Writes the state of every sample, real and imaginary part of one amplitude after the other, in the order of
    // those who read it.
    static void read(const Tile<Real>& tile, const Space& space, const C* ket) {
        const C phase = lacking_phase(tile, space);
        const int64_t rows = spread ? 1 : tile.num_samples;
        for_each_block(tile, [&](const Block& block) {
            Real numbers[row_count][2 * at_once];
            for (int j = 0; j < block.size; ++j) {
                const uint32_t place = block.place ^ block.offset[j];
                const C amplitude = product<false, Real, lanes>(phase, ket[place >> L::lane_bits]);
                for (int row = 0; row < row_count; ++row) {
                    const int lane = spread ? int(place & L::lane_mask) : row;
                    numbers[row][2 * j] = lane_of(amplitude.re, lane);
                    numbers[row][2 * j + 1] = lane_of(amplitude.im, lane);
                }
            }
            for (int64_t row = 0; row < rows; ++row)
                __builtin_memcpy(tile.values + row * tile.program->num_values + 2 * block.first, numbers[row],
                                 2 * size_t(block.size) * sizeof(Real));
        });
    }

    // bra = half of the gradient with respect to the state, with the phases that the ket lacks taken away.
    static void seed(const Tile<Real>& tile, Space& space, const C* ket, C* bra) {
        const C phase = lacking_phase(tile, space), half{Number(0.5) * phase.re, Number(0.5) * phase.im};
        const int64_t rows = spread ? 1 : tile.num_samples;
        const bool meets_ket = has_gradient(tile);
        V overlap{};  // Im<b|k>
        for_each_block(tile, [&](const Block& block) {
            Real numbers[row_count][2 * at_once];
            for (int64_t row = 0; row < row_count; ++row) {
                if (row < rows)
                    __builtin_memcpy(numbers[row], tile.cotangent + row * tile.program->num_values + 2 * block.first,
                                     2 * size_t(block.size) * sizeof(Real));
                else
                    __builtin_memset(static_cast<void*>(numbers[row]), 0, sizeof(numbers[row]));
            }
            for (int j = 0; j < block.size; ++j) {
                const uint32_t place = block.place ^ block.offset[j];
                C given;
                for (int lane = 0; lane < lanes; ++lane) {
                    set_lane(given.re, lane, numbers[spread ? 0 : lane][2 * j]);
                    set_lane(given.im, lane, numbers[spread ? 0 : lane][2 * j + 1]);
                }
                given = product<true, Real, lanes>(half, given);
                C& to = bra[place >> L::lane_bits];
                if constexpr (spread) {
                    // Threads of a team may write lanes of one vector.
                    const int lane = int(place & L::lane_mask);
                    set_lane(to.re, lane, lane_of(given.re, lane));
                    set_lane(to.im, lane, lane_of(given.im, lane));
                } else {
                    to = given;
                }
                if (!meets_ket) continue;
                const C& k = ket[place >> L::lane_bits];
                const V share = given.re * k.im - given.im * k.re;
                if constexpr (spread)
                    set_lane(overlap, 0, lane_of(overlap, 0) + lane_of(share, int(place & L::lane_mask)));
                else
                    overlap += share;
            }
        });
        if (meets_ket) space.angle_gradient[tile.program->state_phase[0]] -= W::sum_over_state(overlap);
        tile.team.meet();
    }

    // Whether `seed` adds to the gradient of an angle: of twice the global phase.
    static bool has_gradient(const Tile<Real>& tile) { return tile.wanted->angle[tile.program->state_phase[0]]; }

   private:
    // Amplitudes that lie side by side in a row: a line of the cache, or two.
    static constexpr int block_bits = 3, at_once = 1 << block_bits;
    static constexpr int row_count = spread ? 1 : lanes;

    static Real lane_of(const V& x, int lane) { return x[lane]; }
    // Without touching the lanes beside it.
    static void set_lane(V& x, int lane, Real value) {
        if constexpr (is_jet<Real>)
            x[lane] = value;
        else
            __builtin_memcpy(reinterpret_cast<char*>(&x) + size_t(lane) * sizeof(Real), &value, sizeof(Real));
    }

    // Amplitudes first to first + size - 1; number j lies at `place ^ offset[j]`.
    struct Block {
        size_t first;
        int size;
        uint32_t place;
        const uint32_t* offset;
    };

    // Calls visit(block) for this thread's share of the state.
    template <class Visit>
    static void for_each_block(const Tile<Real>& tile, Visit visit) {
        const ProgramView& p = *tile.program;
        const int bits = p.num_qubits < block_bits ? p.num_qubits : block_bits;
        const uint32_t* flip = p.state_flip + bits;
        uint32_t offset[at_once] = {}, place = p.state_flip[p.num_qubits];
        for (int q = 0; q < bits; ++q)
            for (int j = 0; j < 1 << q; ++j) offset[j + (1 << q)] = offset[j] ^ p.state_flip[q];
        const auto [begin, end] = tile.team.share(uint64_t(1) << (p.num_qubits - bits));
        for (int q = 0; begin >> q != 0; ++q)
            if (begin >> q & 1) place ^= flip[q];
        for (uint64_t block = begin; block < end; ++block) {
            visit(Block{size_t(block) << bits, 1 << bits, place, offset});
            // The bits that change on the way to the next one.
            if (block + 1 < end)
                for (int q = 0; (block ^ (block + 1)) >> q != 0; ++q) place ^= flip[q];
        }
    }

    // exp(i phase) that a ket lacks to be the state.
    static C lacking_phase(const Tile<Real>& tile, const Space& space) {
        const ProgramView& p = *tile.program;
        const auto [sine, cosine] = space.half[p.state_phase[0]];
        C found = product<false, Real, lanes>({cosine, sine}, phase_of_rotations(p, space));
        for (int i = 0; i < 2 && p.half[i] != nullptr; ++i) {
            const Tile<Real> half = Evolve<Real, lanes, spread>::half_of(tile, space, i);
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

    // What a run has beside diag(1, left) RY diag(1, right): by its larger entry, the other one may be lost in
    // rounding. What moves is no part of the split.
    static Complex<Number, lanes> phase_of_run(const ProgramView& p, const Space& space, int r) {
        Complex<Number, lanes> a, b;
        A::multiply_up(p, space, r, a, b);
        const auto& run = space.run[r];
        const auto turned = product<true, Number, lanes>(run.left, b);
        const auto is_first = a.re * a.re + a.im * a.im > b.re * b.re + b.im * b.im;
        Vector<Number, lanes> modulus;
        const Vector<Number, lanes> signed_by = is_first ? run.cosine : run.sine;
        return A::unit({signed_by * (is_first ? a.re : turned.re), signed_by * (is_first ? a.im : turned.im)}, modulus);
    }
};
