// The sweeps over the state: phases and real rotations, coset by coset. Included by isa/*.cpp.
//
// A sweep gathers one coset base + span{x_1, ..., x_k} of amplitudes into a block that fits the L1 cache. There the k
// virtual qubits of its runs are the plain bits 0 to k - 1, whatever CNOTs came before; base is chosen so that every
// character z_j of the runs vanishes on it.

template <class Real, int lanes, int lane_bits>
struct Sweep {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using Value = Vector<NumberOf<Real>, lanes>;
    using Run = RunFactors<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using Space = Workspace<Real, lanes, lane_bits>;

    // Goes from base to base of a sweep by adding vectors of its basis; keeps the variant of the phase's table and the
    // rows of its groups in step.
    struct Walk {
        const ProgramView& p;
        Space& space;
        int phase, group_begin, group_end;
        const uint32_t *basis, *variant_step;

        Walk(const ProgramView& program, Space& scratch, int s, int of_phase)
            : p(program),
              space(scratch),
              phase(of_phase),
              group_begin(phase > 0 ? p.phase_constant_begin[phase] : 0),
              group_end(phase > 0 ? p.phase_group_begin[phase + 1] : 0),
              basis(p.sweep_basis + p.sweep_basis_begin[s]),
              variant_step(p.phase_variant_step + p.phase_variant_begin[phase]) {}

        void start() const {
            space.variant = 0;
            for (int g = group_begin; g < group_end; ++g) space.row[g] = 0;
        }
        void add(uint32_t& base, int vector) const {
            base ^= basis[vector];
            if (phase > 0) space.variant ^= variant_step[vector];
            for (int g = group_begin; g < group_end; ++g)
                space.row[g] ^= p.group_basis[p.group_basis_begin[g] + vector];
        }
    };

    // Calls visit(base, place) for this thread's share of the cosets of sweep s (Gray code), then waits for the others
    // of the team. In the order of the sweep, the block of the coset begins at `place`.
    template <class Visit>
    static void for_each_coset(const ProgramView& p, Space& space, int s, int phase, Visit visit) {
        const Walk walk(p, space, s, phase);
        const int outer = p.sweep_outer_bits[s], count = p.sweep_basis_begin[s + 1] - p.sweep_basis_begin[s] - outer;
        const auto [begin, end] = space.team.share(uint64_t(1) << count);
        uint32_t base = 0;
        walk.start();
        for (int vector = 0; vector < count; ++vector)
            if ((begin ^ begin >> 1) >> vector & 1) walk.add(base, outer + vector);
        const int block_bits = p.sweep_bits[s] + outer;
        for (uint64_t coset = begin; coset < end; ++coset) {
            if (coset > begin) walk.add(base, outer + __builtin_ctzll(coset));
            space.next_base = coset + 1 < end ? base ^ walk.basis[outer + __builtin_ctzll(coset + 1)] : base;
            visit(base, size_t(coset ^ coset >> 1) << block_bits);
        }
        space.team.meet();
    }

    // Calls visit(base, place in the block) for the parts of a coset of sweep s. Gray code ends next to where it began:
    // the phase is that of the coset again afterwards.
    template <class Visit>
    static void for_each_part(const ProgramView& p, Space& space, int s, int phase, uint32_t base, Visit visit) {
        const int outer = p.sweep_outer_bits[s];
        if (outer == 0) return visit(base, size_t(0));
        const Walk walk(p, space, s, phase);
        const uint32_t next_coset = space.next_base, count = uint32_t(1) << outer;
        size_t place = 0;
        for (uint32_t part = 1; part <= count; ++part) {
            const int vector = part < count ? __builtin_ctz(part) : outer - 1;
            space.next_base = part < count ? base ^ walk.basis[vector] : next_coset;
            visit(base, place << p.sweep_bits[s]);
            walk.add(base, vector);
            place ^= size_t(1) << vector;
        }
        space.next_base = next_coset;
    }

    // Where passes over a block read and write: from `moved(j)` on, element j + (i << first) for i < size, with what
    // the steps need worked out before the loop. Indices and tables are linear over bits, so that the sum, of different
    // bits, is a matter of exclusive or.

    struct Block {
        C* block;

        template <int size>
        struct Steps {
            size_t step[size];
        };
        template <int size>
        [[gnu::always_inline]] Steps<size> steps(int first) const {
            Steps<size> found;
            for (int i = 0; i < size; ++i) found.step[i] = size_t(i) << first;
            return found;
        }
        [[gnu::always_inline]] Block moved(size_t j) const { return {block + j}; }
        template <int size>
        [[gnu::always_inline]] void fetch(const Steps<size>&) const {}
        template <int size>
        [[gnu::always_inline]] C load(const Steps<size>& to, int i) const {
            return block[to.step[i]];
        }
        template <int size>
        [[gnu::always_inline]] void store(const Steps<size>& to, int i, C amplitude) const {
            block[to.step[i]] = amplitude;
        }
    };

    // One coset of a state, as a block sees it.
    struct Coset {
        C* state;
        uint32_t base;
        const uint32_t* offset;
        uint32_t next;  // base of the coset to fetch ahead; the same: none

        template <int size>
        struct Steps {
            uint32_t offset[size];
        };
        template <int size>
        [[gnu::always_inline]] Steps<size> steps(int first) const {
            Steps<size> found;
            for (int i = 0; i < size; ++i) found.offset[i] = offset[size_t(i) << first];
            return found;
        }
        [[gnu::always_inline]] Coset moved(size_t j) const {
            return {state, base ^ offset[j], offset, next ^ offset[j]};
        }
        // The same elements of the coset that follows, into the cache.
        template <int size>
        [[gnu::always_inline]] void fetch(const Steps<size>& to) const {
            if (next == base) return;
#pragma GCC unroll 8
            for (int i = 0; i < size; ++i) fetch_ahead<L::is_spread>(state + ((next ^ to.offset[i]) >> L::lane_bits));
        }
        template <int size>
        [[gnu::always_inline]] C load(const Steps<size>& to, int i) const {
            return L::element(state, base ^ to.offset[i]);
        }
        template <int size>
        [[gnu::always_inline]] void store(const Steps<size>& to, int i, C amplitude) const {
            const uint32_t index = base ^ to.offset[i];
            state[index >> L::lane_bits] = L::element(&amplitude, index & L::lane_mask);
        }
    };

    // One that is stored past the caches.
    struct StreamedCoset : Coset {
        [[gnu::always_inline]] StreamedCoset moved(size_t j) const { return {Coset::moved(j)}; }
        template <int size>
        [[gnu::always_inline]] void store(const typename Coset::template Steps<size>& to, int i, C amplitude) const {
            const uint32_t index = this->base ^ to.offset[i];
            const C found = L::element(&amplitude, index & L::lane_mask);
            C& place = this->state[index >> L::lane_bits];
            stream(place.re, found.re);
            stream(place.im, found.im);
        }
    };

    // The current coset of a state; whether the next one is worth fetching.
    static Coset coset_of(const Space& space, C* state, uint32_t base, const uint32_t* offset, bool fetches) {
        return {state, base, offset, fetches ? space.next_base : base};
    }

    // A coset that is multiplied by a phase (but for its rest) when loaded, by the conjugate when stored.
    template <bool has_constant>
    struct PhasedCoset {
        Coset coset;
        const C* table;
        C constant{V{}, V{}};

        PhasedCoset(const ProgramView& p, const Space& space, int phase, int bits, Coset on)
            : coset(on), table(space.table + p.phase_table_begin[phase] + (size_t(space.variant) << bits)) {
            bool is_first = true;
            for (int g = p.phase_constant_begin[phase]; g < p.phase_rest_begin[phase]; ++g) {
                const C factor = Factors<Real, lanes>(p, space.table, g)(space.row[g]);
                constant = is_first ? factor : product<false, Real, lanes>(factor, constant);
                is_first = false;
            }
        }

        template <int size>
        struct Steps {
            typename Coset::template Steps<size> coset;
            typename Block::template Steps<size> table;
        };
        template <int size>
        [[gnu::always_inline]] Steps<size> steps(int first) const {
            return {coset.template steps<size>(first), Block{}.template steps<size>(first)};
        }
        [[gnu::always_inline]] PhasedCoset moved(size_t j) const {
            PhasedCoset found = *this;
            found.coset = coset.moved(j);
            found.table = table + j;
            return found;
        }
        template <int size>
        [[gnu::always_inline]] void fetch(const Steps<size>& to) const {
            coset.fetch(to.coset);
        }
        template <int size>
        [[gnu::always_inline]] C factor(const Steps<size>& to, int i) const {
            const C found = table[to.table.step[i]];
            return has_constant ? product<false, Real, lanes>(constant, found) : found;
        }
        template <int size>
        [[gnu::always_inline]] C load(const Steps<size>& to, int i) const {
            return product<false, Real, lanes>(factor(to, i), coset.load(to.coset, i));
        }
        template <int size>
        [[gnu::always_inline]] void store(const Steps<size>& to, int i, C amplitude) const {
            coset.store(to.coset, i, product<true, Real, lanes>(factor(to, i), amplitude));
        }
    };

    // Calls visit(index) for the indices of a block in which `count` bits from `first` on are zero.
    template <int count, class Visit>
    [[gnu::always_inline]] static void for_each_place(int bits, int first, Visit visit) {
        const size_t size = size_t(1) << bits, stride = size_t(1) << first;
        for (size_t high = 0; high < size; high += stride << count)
            for (size_t index = high; index < high + stride; ++index) visit(index);
    }

    // Calls visit(j, place, steps, i) for all elements j of a block, four at a time where there are as many.
    template <class Place, class Visit>
    [[gnu::always_inline]] static void for_each_element(int bits, const Place& place, Visit visit) {
        const auto walk = [&](auto count) {
            const auto steps = place.template steps<count.value>(0);
            for (size_t j = 0; j < size_t(1) << bits; j += count.value) {
                const Place here = place.moved(j);
#pragma GCC unroll 4
                for (int i = 0; i < count.value; ++i) visit(j + size_t(i), here, steps, i);
            }
        };
        if (bits >= 2)
            walk(std::integral_constant<int, 4>{});
        else
            walk(std::integral_constant<int, 1>{});
    }

    // Calls visit(coset with its phase, but for the rest of it).
    template <class Visit>
    static void with_phase(const ProgramView& p, const Space& space, int phase, int bits, Coset coset, Visit visit) {
        if (p.phase_constant_begin[phase] < p.phase_rest_begin[phase])
            visit(PhasedCoset<true>(p, space, phase, bits, coset));
        else
            visit(PhasedCoset<false>(p, space, phase, bits, coset));
    }

    static bool has_rest(const ProgramView& p, int phase) {
        return p.phase_rest_begin[phase] < p.phase_group_begin[phase + 1];
    }

    // block *= the rest of the phase on the current coset, or its conjugate.
    template <bool conjugate>
    static void apply_rest(const ProgramView& p, const Space& space, int phase, int bits, C* block) {
        for (int g = p.phase_rest_begin[phase]; g < p.phase_group_begin[phase + 1]; ++g) {
            const Factors<Real, lanes> factors(p, space.table, g);
            const uint32_t* offset = p.group_offset + p.group_offset_begin[g];
            for (size_t j = 0; j < size_t(1) << bits; ++j)
                block[j] = product<conjugate, Real, lanes>(factors(space.row[g] ^ offset[j]), block[j]);
        }
    }

    // block = (phase, if any) coset
    static void load_block(const ProgramView& p, const Space& space, int phase, Coset coset, int bits, C* block) {
        const auto load = [&](const auto& from) {
            for_each_element(bits, from, [&](size_t j, const auto& here, const auto& steps, int i) {
                if (i == 0) here.fetch(steps);
                block[j] = here.load(steps, i);
            });
        };
        if (phase == 0) return load(coset);
        with_phase(p, space, phase, bits, coset, load);
        apply_rest<false>(p, space, phase, bits, block);
    }

    // coset = block
    template <class Place>
    static void copy_block(const C* block, int bits, const Place& coset) {
        for_each_element(bits, coset,
                         [&](size_t j, const auto& here, const auto& steps, int i) { here.store(steps, i, block[j]); });
    }

    // coset = conj(phase, if any) block
    static void store_block(const ProgramView& p, const Space& space, int phase, C* block, int bits, Coset coset) {
        if (phase == 0) return copy_block(block, bits, coset);
        apply_rest<true>(p, space, phase, bits, block);
        with_phase(p, space, phase, bits, coset, [&](const auto& to) { copy_block(block, bits, to); });
    }

    // Whether runs of a pass move: after their RY, or back before its inverse.
    enum class Moved { none, after, before };

    // RY on `count` bits of a block, all in registers on the way from source to target. By tangent it is
    // [[1, -t], [t, 1]]; otherwise cosine and sine are those of the bit.
    template <int count, bool by_tangent, Moved moved, class Source, class Target>
    static inline void rotate_bits(int bits, int first, const Value* cosine, const Value* sine,
                                   const Motion<Real, lanes>* motion, Source source, Target target) {
        Value c[count + 1], s[count + 1];
        for (int q = 0; q < count; ++q) {
            c[q] = cosine[q];
            s[q] = sine[q];
        }
        const auto from_steps = source.template steps<1 << count>(first);
        const auto to_steps = target.template steps<1 << count>(first);
        for_each_place<count>(bits, first, [&](size_t index) {
            const Source from = source.moved(index);
            from.fetch(from_steps);
            V re[1 << count], im[1 << count];
#pragma GCC unroll 8
            for (int i = 0; i < 1 << count; ++i) {
                const C x = from.load(from_steps, i);
                re[i] = x.re;
                im[i] = x.im;
            }
#pragma GCC unroll 3
            for (int q = 0; q < count; ++q) {
#pragma GCC unroll 8
                for (int i = 0; i < 1 << count; ++i) {
                    if (i >> q & 1) continue;
                    const int j = i | 1 << q;
                    if constexpr (moved == Moved::before)
                        MoveOf<Real, lanes>::template pair<true>(motion[q], re[i], im[i], re[j], im[j]);
                    rotate_pair<by_tangent>(c[q], s[q], re[i], re[j]);
                    rotate_pair<by_tangent>(c[q], s[q], im[i], im[j]);
                    if constexpr (moved == Moved::after)
                        MoveOf<Real, lanes>::template pair<false>(motion[q], re[i], im[i], re[j], im[j]);
                }
            }
            const Target to = target.moved(index);
#pragma GCC unroll 8
            for (int i = 0; i < 1 << count; ++i) to.store(to_steps, i, {re[i], im[i]});
        });
    }

    template <bool by_tangent>
    [[gnu::always_inline]] static inline void rotate_pair(Value c, Value s, V& x0, V& x1) {
        const V before = x0;
        if constexpr (by_tangent) {
            x0 = x0 - s * x1;
            x1 = x1 + s * before;
        } else {
            x0 = c * x0 - s * x1;
            x1 = c * x1 + s * before;
        }
    }

    // Bits that one pass over a block rotates: their amplitudes, real and imaginary, stay in registers.
    static constexpr int bits_a_pass = (num_registers == 32 ? 3 : 2) - is_jet<Real>;

    // Runs first to first + count - 1 of a sweep (or their inverses); run q of the sweep turns bit q.
    template <bool inverse, int count, class Source, class Target>
    [[gnu::noinline]] static void rotate_pass(int bits, const Run* run, const int32_t* runs, int first, Source source,
                                              Target target) {
        Value cosine[count + 1], sine[count + 1];
        Motion<Real, lanes> motion[count + 1];
        [[maybe_unused]] bool by_tangent = true, moves = false;
        for (int q = 0; q < count; ++q) {
            const Run& r = run[runs[first + q]];
            by_tangent &= r.by_tangent;
            moves |= r.motion.moves;
            cosine[q] = r.applied_cosine;
            sine[q] = inverse ? -r.applied_sine : r.applied_sine;
            motion[q] = r.motion;
        }
        if constexpr (is_jet<Real>) {
            // By tangent the applied cosine is 1: one body less.
            constexpr Moved moved = count == 0 ? Moved::none : inverse ? Moved::before : Moved::after;
            if (moves)
                rotate_bits<count, false, moved>(bits, first, cosine, sine, motion, source, target);
            else
                rotate_bits<count, false, Moved::none>(bits, first, cosine, sine, motion, source, target);
        } else if (by_tangent) {
            rotate_bits<count, true, Moved::none>(bits, first, cosine, sine, motion, source, target);
        } else {
            rotate_bits<count, false, Moved::none>(bits, first, cosine, sine, motion, source, target);
        }
    }

    template <bool inverse, class Source, class Target>
    static void rotate_some(int bits, const Run* run, const int32_t* runs, int first, int count, Source source,
                            Target target) {
        if constexpr (bits_a_pass > 2)
            if (count == 3) rotate_pass<inverse, 3>(bits, run, runs, first, source, target);
        if constexpr (bits_a_pass > 1)
            if (count == 2) rotate_pass<inverse, 2>(bits, run, runs, first, source, target);
        if (count == 1) rotate_pass<inverse, 1>(bits, run, runs, first, source, target);
        if (count == 0) rotate_pass<inverse, 0>(bits, run, runs, first, source, target);
    }

    // The lane runs of sweep s, on the way from a block to target.
    template <bool inverse, class Target>
    static void rotate_lanes(const ProgramView& p, const Space& space, int s, int bits, C* block, Target target) {
        const int begin = p.sweep_lane_run_begin[s], end = p.sweep_lane_run_begin[s + 1];
        if (!crosses_vectors(p, s))
            return rotate_in_vectors<inverse>(p, space, begin, end - begin, bits, block, target);
        const auto rotate = [&](int i, auto to) {
            if (p.sweep_lane_partner[i] == 0)
                rotate_in_vectors<inverse>(p, space, i, 1, bits, block, to);
            else if (space.run[p.sweep_lane_run[i]].by_tangent)
                rotate_across<inverse, true>(p, space, i, bits, block, to);
            else
                rotate_across<inverse, false>(p, space, i, bits, block, to);
        };
        for (int i = begin; i + 1 < end; ++i) rotate(i, Block{block});
        rotate(end - 1, target);
    }

    // `count` lane runs from number `first` on whose partners lie in the same vector.
    template <bool inverse, class Target>
    static void rotate_in_vectors(const ProgramView& p, const Space& space, int first, int count, int bits,
                                  const C* block, Target target) {
        const auto rotate = [&]<int known>(std::integral_constant<int, known>) {
            if (count != known) return;
            bool by_tangent = true;
            for (int i = 0; i < known; ++i) by_tangent &= space.run[p.sweep_lane_run[first + i]].by_tangent;
            if (by_tangent)
                rotate_in_lanes<inverse, true, known>(p, space, first, bits, block, target);
            else
                rotate_in_lanes<inverse, false, known>(p, space, first, bits, block, target);
        };
        rotate(std::integral_constant<int, 1>{});
        if constexpr (lanes > 2) rotate(std::integral_constant<int, 2>{});
        if constexpr (lanes > 4) rotate(std::integral_constant<int, 3>{});
        if constexpr (lanes > 8) rotate(std::integral_constant<int, 4>{});
        static_assert(lanes <= 16, "as many runs as bits of a lane's number at most: their flips are independent");
    }

    template <bool inverse, bool by_tangent, int count, class Target>
    [[gnu::noinline]] static void rotate_in_lanes(const ProgramView& p, const Space& space, int first, int bits,
                                                  const C* block, Target target) {
        Value cosine[count], sine[count];
        uint32_t flip[count];
        for (int i = 0; i < count; ++i) {
            const Run& r = space.run[p.sweep_lane_run[first + i]];
            cosine[i] = r.applied_cosine;
            sine[i] = inverse ? -r.applied_sine : r.applied_sine;
            flip[i] = p.sweep_lane_flip[first + i];
        }
        for_each_element(bits, target, [&](size_t j, const auto& here, const auto& steps, int i) {
            C x = block[j];
#pragma GCC unroll 4
            for (int r = 0; r < count; ++r) {
                const V re = flip_lanes<Real, lanes>(x.re, flip[r]), im = flip_lanes<Real, lanes>(x.im, flip[r]);
                if constexpr (!by_tangent) x = {cosine[r] * x.re, cosine[r] * x.im};
                x = {x.re - sine[r] * re, x.im - sine[r] * im};
            }
            here.store(steps, i, x);
        });
    }

    // Lane run i, whose partners lie in two vectors. Target may be the block.
    template <bool inverse, bool by_tangent, class Target>
    [[gnu::noinline]] static void rotate_across(const ProgramView& p, const Space& space, int i, int bits,
                                                const C* block, Target target) {
        const Run& run = space.run[p.sweep_lane_run[i]];
        const Value cosine = run.applied_cosine, sine = inverse ? -run.applied_sine : run.applied_sine;
        const uint32_t flip = p.sweep_lane_flip[i], partner = p.sweep_lane_partner[i];
        const auto steps = target.template steps<1>(0);
        const auto rotated = [&](C x, C y) -> C {
            const V re = flip_lanes<Real, lanes>(y.re, flip), im = flip_lanes<Real, lanes>(y.im, flip);
            if constexpr (!by_tangent) x = {cosine * x.re, cosine * x.im};
            return {x.re - sine * re, x.im - sine * im};
        };
        for_each_place<1>(bits, 31 - __builtin_clz(partner), [&](size_t j) {
            const C one = block[j], other = block[j ^ partner];
            target.moved(j).store(steps, 0, rotated(one, other));
            target.moved(j ^ partner).store(steps, 0, rotated(other, one));
        });
    }

    // Calls visit(first, count as a constant) for the lane runs of sweep s, two at a time: they share what they load.
    template <class Visit>
    static void for_each_lane_pass(const ProgramView& p, int s, Visit visit) {
        int i = p.sweep_lane_run_begin[s];
        const int end = p.sweep_lane_run_begin[s + 1];
        for (; i + 2 <= end; i += 2) visit(i, std::integral_constant<int, 2>{});
        if (i < end) visit(i, std::integral_constant<int, 1>{});
    }

    static bool has_lane_runs(const ProgramView& p, int s) {
        return L::is_spread && p.sweep_lane_run_begin[s] < p.sweep_lane_run_begin[s + 1];
    }
    static bool crosses_vectors(const ProgramView& p, int s) {
        uint32_t partners = 0;
        for (int i = p.sweep_lane_run_begin[s]; i < p.sweep_lane_run_begin[s + 1]; ++i)
            partners |= p.sweep_lane_partner[i];
        return partners != 0;
    }
    // Whether lane runs take all of a block, as their partners may lie in other parts.
    static bool crosses_parts(const ProgramView& p, int s) {
        return L::is_spread && p.sweep_outer_bits[s] > 0 && crosses_vectors(p, s);
    }

    // Runs of sweep s on the bits of a part; the others, if any, are passive.
    static int num_inner_runs(const ProgramView& p, int s) {
        const int all = p.sweep_run_begin[s + 1] - p.sweep_run_begin[s];
        return all < p.sweep_bits[s] ? all : p.sweep_bits[s];
    }

    // RY of the runs of sweep s on inner or outer bits, or their inverses, from source to target by way of `block`; if
    // wanted, also of lane runs. By tangent, the amplitudes grow by 1 / product of cosines.
    template <bool inverse, bool outer, class Source, class Target>
    static void rotate(const ProgramView& p, const Space& space, int s, bool with_lanes, Source source, Target target,
                       C* block) {
        const int32_t* runs = p.sweep_run + p.sweep_run_begin[s];
        const int inner_bits = p.sweep_bits[s], bits = outer ? inner_bits + p.sweep_outer_bits[s] : inner_bits;
        const int begin = outer ? inner_bits : 0;
        const int num_runs = outer ? p.sweep_run_begin[s + 1] - p.sweep_run_begin[s] - begin : num_inner_runs(p, s);
        const int passes = num_runs == 0 ? 1 : (num_runs + bits_a_pass - 1) / bits_a_pass;
        const Block between{block};
        const bool flips_lanes = with_lanes && has_lane_runs(p, s);
        const auto pass = [&](int i, auto from, auto to) {
            const int first = num_runs * i / passes, count = num_runs * (i + 1) / passes - first;
            rotate_some<inverse>(bits, space.run, runs, begin + first, count, from, to);
        };
        if (passes == 1 && !flips_lanes) return pass(0, source, target);
        pass(0, source, between);
        for (int i = 1; i < (flips_lanes ? passes : passes - 1); ++i) pass(i, between, between);
        if (!flips_lanes) return pass(passes - 1, between, target);
        if constexpr (L::is_spread) rotate_lanes<inverse>(p, space, s, bits, block, target);
    }

    // Where a block is worked on: where it lies, or a place of its own.
    static C* block_of(const ProgramView& p, C* state, size_t place, C* own) {
        return p.in_order ? state + place : own;
    }

    // target = (RY of sweep s) (phase, if any) source; source and target may be the same state, unless states lie in
    // order.
    static void forward(const ProgramView& p, Space& space, int s, int phase, C* source, C* target) {
        const int bits = p.sweep_bits[s];
        const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
        const bool has_parts = p.sweep_outer_bits[s] > 0;
        for_each_coset(p, space, s, phase, [&](uint32_t base, size_t coset_place) {
            const Coset to{target, base, offset, base};
            C* block = block_of(p, target, coset_place, space.block_ket);
            for_each_part(p, space, s, phase, base, [&](uint32_t part, size_t place) {
                const Coset from = coset_of(space, source, part, offset, space.fetches_states);
                const Block own{block + place};
                const auto rotate_from = [&](const auto& place_from) {
                    if (has_parts || p.in_order)
                        rotate<false, false>(p, space, s, !has_parts, place_from, own, own.block);
                    else
                        rotate<false, false>(p, space, s, true, place_from, to, block);
                };
                if (phase == 0) return rotate_from(from);
                if (!has_rest(p, phase)) return with_phase(p, space, phase, bits, from, rotate_from);
                load_block(p, space, phase, from, bits, own.block);
                rotate_from(own);
            });
            if (has_parts && p.in_order)
                rotate<false, true>(p, space, s, true, Block{block}, Block{block}, block);
            else if (has_parts)
                rotate<false, true>(p, space, s, true, Block{block}, to, block);
        });
    }

    // Inverse RY of sweep s on a coset: those on outer bits from source into the block, if it has parts, then those on
    // the inner bits of a part, whose block is `own`, on to target.
    template <class Source>
    static void undo_outer(const ProgramView& p, const Space& space, int s, Source source, C* block) {
        if (p.sweep_outer_bits[s] > 0)
            rotate<true, true>(p, space, s, crosses_parts(p, s), source, Block{block}, block);
    }
    template <class Source, class Target>
    static void undo_inner(const ProgramView& p, const Space& space, int s, Source source, Target target, C* own) {
        if (p.sweep_outer_bits[s] > 0)
            rotate<true, false>(p, space, s, !crosses_parts(p, s), Block{own}, target, own);
        else
            rotate<true, false>(p, space, s, true, source, target, own);
    }

    // state = conj(phase) (inverse RY of sweep s) source: the adjoint of `forward` on one coset of it.
    template <class Source>
    static void undo(const ProgramView& p, Space& space, int s, int phase, Source source, Coset target, C* block) {
        const int bits = p.sweep_bits[s];
        undo_outer(p, space, s, source, block);
        for_each_part(p, space, s, phase, target.base, [&](uint32_t part, size_t place) {
            const Coset to{target.state, part, target.offset, part};
            C* own = block + place;
            const auto undo_to = [&](const auto& place_to) { undo_inner(p, space, s, source, place_to, own); };
            if (phase == 0) return undo_to(to);
            if (!has_rest(p, phase)) return with_phase(p, space, phase, bits, to, undo_to);
            undo_to(Block{own});
            store_block(p, space, phase, own, bits, to);
        });
    }

    // The same for a coset of `state`, on to `before`; `is_loaded`: the block holds it already.
    static void undo_state(const ProgramView& p, Space& space, int s, int phase, uint32_t base, C* state, C* before,
                           bool fetches, C* block, bool is_loaded) {
        const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
        const Coset from = coset_of(space, state, base, offset, fetches),
                    to = coset_of(space, before, base, offset, fetches);
        if (is_loaded)
            undo(p, space, s, phase, Block{block}, to, block);
        else
            undo(p, space, s, phase, from, to, block);
    }
};
