// The sweeps over the state: phases and real rotations, coset by coset. Included by isa/*.cpp.
//
// A sweep gathers one coset base + span{x_1, ..., x_k} of amplitudes into a block that fits the L1 cache. There the k
// virtual qubits of its runs are the plain bits 0 to k - 1, whatever CNOTs came before; base is chosen so that every
// character z_j of the runs vanishes on it.

template <class Real, int lanes, bool spread>
struct Sweep {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using Run = RunFactors<Real, lanes>;
    using L = Layout<lanes, spread>;
    using Space = Workspace<Real, lanes, spread>;
    using Moments = qtm::Moments<Real, lanes>;

    // Calls visit(base) for this thread's share of the cosets of sweep s; keeps the positions of the phase's groups in
    // step (Gray code). Then waits for the others of the team.
    template <class Visit>
    static void for_each_coset(const ProgramView& p, Space& space, int s, int phase, Visit visit) {
        const uint32_t* basis = p.sweep_basis + p.sweep_basis_begin[s];
        const int count = p.sweep_basis_begin[s + 1] - p.sweep_basis_begin[s];
        const int group_begin = phase > 0 ? p.phase_group_begin[phase] : 0;
        const int group_end = phase > 0 ? p.phase_group_begin[phase + 1] : 0;
        const auto [begin, end] = space.team.share(uint64_t(1) << count);
        uint32_t base = 0;
        const auto add = [&](int vector) {
            base ^= basis[vector];
            for (int g = group_begin; g < group_end; ++g)
                space.position[g] ^= p.group_basis[p.group_basis_begin[g] + vector];
        };
        for (int g = group_begin; g < group_end; ++g) space.position[g] = 0;
        for (int vector = 0; vector < count; ++vector)
            if ((begin ^ begin >> 1) >> vector & 1) add(vector);
        for (uint64_t coset = begin; coset < end; ++coset) {
            if (coset > begin) add(__builtin_ctzll(coset));
            const bool fetches = space.fetches_ahead && coset + 1 < end;
            space.next_base = fetches ? base ^ basis[__builtin_ctzll(coset + 1)] : base;
            visit(base);
        }
        space.team.meet();
    }

    // Where passes over a block read and write: element j of it, or, from `moved(j)` on, element j + step[i], with what
    // the steps need worked out before the loop. Indices and tables are linear over bits, so that j + step[i], of
    // different bits, is a matter of exclusive or.

    struct Block {
        C* block;

        template <int size>
        struct Steps {
            size_t step[size];
        };
        template <int size>
        [[gnu::always_inline]] Steps<size> steps(const size_t* step) const {
            Steps<size> found;
            for (int i = 0; i < size; ++i) found.step[i] = step[i];
            return found;
        }
        [[gnu::always_inline]] Block moved(size_t j) const { return {block + j}; }
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
        [[gnu::always_inline]] Steps<size> steps(const size_t* step) const {
            Steps<size> found;
            for (int i = 0; i < size; ++i) found.offset[i] = offset[step[i]];
            return found;
        }
        [[gnu::always_inline]] Coset moved(size_t j) const {
            return {state, base ^ offset[j], offset, next ^ offset[j]};
        }
        template <int size>
        [[gnu::always_inline]] C load(const Steps<size>& to, int i) const {
            if (next != base) {  // the same element of the coset that follows, into the cache
                const char* ahead = reinterpret_cast<const char*>(state + ((next ^ to.offset[i]) >> L::lane_bits));
                __builtin_prefetch(ahead);
                if constexpr (sizeof(C) > 64) __builtin_prefetch(ahead + 64);
            }
            return L::element(state, base ^ to.offset[i]);
        }
        template <int size>
        [[gnu::always_inline]] void store(const Steps<size>& to, int i, C amplitude) const {
            const uint32_t index = base ^ to.offset[i];
            state[index >> L::lane_bits] = L::element(&amplitude, index & L::lane_mask);
        }
    };

    // The factor of one group of a phase, on the current coset.
    struct Group {
        const C *low, *high;
        const uint32_t* offset;
        uint32_t position;
        int low_count;

        Group(const ProgramView& p, const Space& space, int g) {
            low_count = (p.group_character_begin[g + 1] - p.group_character_begin[g]) / 2;
            low = space.table + p.group_table_begin[g];
            high = low + (size_t(1) << low_count);
            offset = p.group_offset + p.group_offset_begin[g];
            position = space.position[g];
        }

        template <int size>
        struct Steps {
            uint32_t low[size], high[size];
        };
        template <int size>
        [[gnu::always_inline]] Steps<size> steps(const size_t* step) const {
            Steps<size> found;
            for (int i = 0; i < size; ++i) {
                found.low[i] = low_part(offset[step[i]]);
                found.high[i] = offset[step[i]] >> low_count;
            }
            return found;
        }
        [[gnu::always_inline]] uint32_t low_part(uint32_t y) const { return y & ((uint32_t(1) << low_count) - 1); }
        [[gnu::always_inline]] Group moved(size_t j) const {
            Group found = *this;
            found.position ^= offset[j];
            return found;
        }
        template <int size>
        [[gnu::always_inline]] C factor(const Steps<size>& to, int i) const {
            return product<false, Real, lanes>(low[low_part(position) ^ to.low[i]],
                                               high[(position >> low_count) ^ to.high[i]]);
        }
    };

    // A coset that is multiplied by a phase of one or two groups when loaded, by its conjugate when stored.
    template <int num_groups>
    struct PhasedCoset {
        Coset coset;
        Group first, second;

        PhasedCoset(const ProgramView& p, const Space& space, int phase, Coset on)
            : coset(on),
              first(p, space, p.phase_group_begin[phase]),
              second(p, space, p.phase_group_begin[phase + 1] - 1) {}

        template <int size>
        struct Steps {
            typename Coset::template Steps<size> coset;
            typename Group::template Steps<size> first, second;
        };
        template <int size>
        [[gnu::always_inline]] Steps<size> steps(const size_t* step) const {
            return {coset.template steps<size>(step), first.template steps<size>(step),
                    second.template steps<size>(step)};
        }
        [[gnu::always_inline]] PhasedCoset moved(size_t j) const {
            PhasedCoset found = *this;
            found.coset = coset.moved(j);
            found.first = first.moved(j);
            found.second = second.moved(j);
            return found;
        }
        template <int size>
        [[gnu::always_inline]] C factor(const Steps<size>& to, int i) const {
            if constexpr (num_groups == 1)
                return first.factor(to.first, i);
            else
                return product<false, Real, lanes>(first.factor(to.first, i), second.factor(to.second, i));
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

    // Calls visit(j, place, steps, i) for all elements j of a block, four at a time where there are as many.
    template <class Place, class Visit>
    [[gnu::always_inline]] static void for_each_element(int size, const Place& place, Visit visit) {
        constexpr size_t step[4] = {0, 1, 2, 3};
        const auto walk = [&](auto count) {
            const auto steps = place.template steps<count.value>(step);
            for (int j = 0; j < size; j += count.value) {
                const Place here = place.moved(size_t(j));
#pragma GCC unroll 4
                for (int i = 0; i < count.value; ++i) visit(j + i, here, steps, i);
            }
        };
        if (size >= 4)
            walk(std::integral_constant<int, 4>{});
        else
            walk(std::integral_constant<int, 1>{});
    }

    // block[j] *= phase(base + offset j), or its conjugate: for phases of any number of groups.
    template <bool conjugate>
    static void apply_phase(const ProgramView& p, const Space& space, int phase, C* block, int size) {
        for (int g = p.phase_group_begin[phase]; g < p.phase_group_begin[phase + 1]; ++g) {
            for_each_element(size, Group(p, space, g), [&](int j, const Group& group, const auto& steps, int i) {
                block[j] = product<conjugate, Real, lanes>(group.factor(steps, i), block[j]);
            });
        }
    }

    // Calls visit(coset with its phase, number of groups) for the phases that loads and stores can take along.
    template <class Visit>
    static bool with_phased_coset(const ProgramView& p, const Space& space, int phase, Coset coset, Visit visit) {
        const int num_groups = p.phase_group_begin[phase + 1] - p.phase_group_begin[phase];
        if (num_groups == 1) visit(PhasedCoset<1>(p, space, phase, coset));
        if (num_groups == 2) visit(PhasedCoset<2>(p, space, phase, coset));
        return num_groups == 1 || num_groups == 2;
    }

    // block = (phase, if any) coset
    static void load_block(const ProgramView& p, const Space& space, int phase, Coset coset, int size, C* block) {
        const auto load = [&](const auto& from) {
            for_each_element(
                size, from, [&](int j, const auto& here, const auto& steps, int i) { block[j] = here.load(steps, i); });
        };
        if (phase > 0 && with_phased_coset(p, space, phase, coset, load)) return;
        load(coset);
        if (phase > 0) apply_phase<false>(p, space, phase, block, size);
    }

    // coset = conj(phase, if any) block
    static void store_block(const ProgramView& p, const Space& space, int phase, C* block, int size, Coset coset) {
        const auto store = [&](const auto& to) {
            for_each_element(
                size, to, [&](int j, const auto& here, const auto& steps, int i) { here.store(steps, i, block[j]); });
        };
        if (phase > 0 && with_phased_coset(p, space, phase, coset, store)) return;
        if (phase > 0) apply_phase<true>(p, space, phase, block, size);
        store(coset);
    }

    // Bits `count` of an index inserted as zeros: position j of a pass over a block.
    template <int count>
    [[gnu::always_inline]] static size_t spread_out(size_t j, const int* bit) {
        for (int q = 0; q < count; ++q) {
            const size_t low = (size_t(1) << bit[q]) - 1;
            j = ((j & ~low) << 1) | (j & low);
        }
        return j;
    }

    // step[i]: the offset in a block of the bits set in i.
    template <int count>
    [[gnu::always_inline]] static void fill_steps(const int* bit, size_t* step) {
        step[0] = 0;
        for (int q = 0; q < count; ++q)
            for (int i = 0; i < 1 << q; ++i) step[(1 << q) + i] = step[i] + (size_t(1) << bit[q]);
    }

    // RY on `count` bits (ascending) of a block, all in registers on the way from source to target. By tangent it is
    // [[1, -t], [t, 1]]; otherwise cosine and sine are those of the bit.
    template <int count, bool by_tangent, class Source, class Target>
    static inline void rotate_bits(int bits, const int* bit, const V* cosine, const V* sine, Source source,
                                   Target target) {
        size_t step[1 << count];
        fill_steps<count>(bit, step);
        V c[count + 1], s[count + 1];
        for (int q = 0; q < count; ++q) {
            c[q] = cosine[q];
            s[q] = sine[q];
        }
        const auto from_steps = source.template steps<1 << count>(step);
        const auto to_steps = target.template steps<1 << count>(step);
        for (size_t j = 0; j < size_t(1) << (bits - count); ++j) {
            const size_t index = spread_out<count>(j, bit);
            const Source from = source.moved(index);
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
                    rotate_pair<by_tangent>(c[q], s[q], re[i], re[i | 1 << q]);
                    rotate_pair<by_tangent>(c[q], s[q], im[i], im[i | 1 << q]);
                }
            }
            const Target to = target.moved(index);
#pragma GCC unroll 8
            for (int i = 0; i < 1 << count; ++i) to.store(to_steps, i, {re[i], im[i]});
        }
    }

    template <bool by_tangent>
    [[gnu::always_inline]] static inline void rotate_pair(V c, V s, V& x0, V& x1) {
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
#if defined(__AVX512VL__) || defined(__aarch64__)
    static constexpr int bits_a_pass = 3;
#else
    static constexpr int bits_a_pass = 2;
#endif

    // Runs first to first + count - 1 of a sweep (or their inverses); run q of the sweep turns bit q.
    template <bool inverse, int count, class Source, class Target>
    [[gnu::noinline]] static void rotate_pass(int bits, const Run* run, const int32_t* runs, int first, Source source,
                                              Target target) {
        int bit[count + 1];
        V cosine[count + 1], sine[count + 1];
        bool by_tangent = true;
        for (int q = 0; q < count; ++q) {
            const Run& r = run[runs[first + q]];
            by_tangent &= r.by_tangent;
            bit[q] = first + q;
            cosine[q] = r.applied_cosine;
            sine[q] = inverse ? -r.applied_sine : r.applied_sine;
        }
        if (by_tangent)
            rotate_bits<count, true>(bits, bit, cosine, sine, source, target);
        else
            rotate_bits<count, false>(bits, bit, cosine, sine, source, target);
    }

    template <bool inverse, class Source, class Target>
    static void rotate_some(int bits, const Run* run, const int32_t* runs, int first, int count, Source source,
                            Target target) {
        if (count == 3) rotate_pass<inverse, bits_a_pass>(bits, run, runs, first, source, target);
        if (count == 2) rotate_pass<inverse, 2>(bits, run, runs, first, source, target);
        if (count == 1) rotate_pass<inverse, 1>(bits, run, runs, first, source, target);
        if (count == 0) rotate_pass<inverse, 0>(bits, run, runs, first, source, target);
    }

    // A run that flips lanes only: its partner lies in the same vector.
    template <bool inverse>
    static void rotate_lanes(int bits, const Run& r, uint32_t flip, C* block) {
        const V cosine = r.applied_cosine, sine = inverse ? -r.applied_sine : r.applied_sine;
        for (size_t j = 0; j < size_t(1) << bits; ++j) {
            const C x = block[j];
            block[j] = {cosine * x.re - sine * flip_lanes<Real, lanes>(x.re, flip),
                        cosine * x.im - sine * flip_lanes<Real, lanes>(x.im, flip)};
        }
    }

    // All RY of sweep s, or their inverses, from source to target by way of `block`. By tangent, the amplitudes grow
    // by 1 / product of cosines.
    template <bool inverse, class Source, class Target>
    static void rotate(const ProgramView& p, const Space& space, int s, Source source, Target target, C* block) {
        const int32_t* runs = p.sweep_run + p.sweep_run_begin[s];
        const int bits = p.sweep_bits[s], num_runs = p.sweep_run_begin[s + 1] - p.sweep_run_begin[s];
        const int passes = num_runs == 0 ? 1 : (num_runs + bits_a_pass - 1) / bits_a_pass;
        const Block between{block};
        const bool flips_lanes = spread && p.sweep_lane_run_begin[s] < p.sweep_lane_run_begin[s + 1];
        const auto pass = [&](int i, auto from, auto to) {
            const int first = num_runs * i / passes, count = num_runs * (i + 1) / passes - first;
            rotate_some<inverse>(bits, space.run, runs, first, count, from, to);
        };
        if (passes == 1 && !flips_lanes) return pass(0, source, target);
        pass(0, source, between);
        for (int i = 1; i < (flips_lanes ? passes : passes - 1); ++i) pass(i, between, between);
        if (!flips_lanes) return pass(passes - 1, between, target);
        for (int i = p.sweep_lane_run_begin[s]; i < p.sweep_lane_run_begin[s + 1]; ++i)
            rotate_lanes<inverse>(bits, space.run[p.sweep_lane_run[i]], p.run_x[p.sweep_lane_run[i]], block);
        rotate_some<inverse>(bits, space.run, runs, 0, 0, between, target);
    }

    // target = (RY of sweep s) (phase, if any) source; source and target may be the same state.
    static void forward(const ProgramView& p, Space& space, int s, int phase, C* source, C* target) {
        const int size = 1 << p.sweep_bits[s];
        const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
        C* block = space.block_ket;
        for_each_coset(p, space, s, phase, [&](uint32_t base) {
            const Coset from{source, base, offset, space.next_base}, to{target, base, offset, base};
            const auto rotate_from = [&](const auto& phased) { rotate<false>(p, space, s, phased, to, block); };
            if (phase == 0) return rotate_from(from);
            if (with_phased_coset(p, space, phase, from, rotate_from)) return;
            load_block(p, space, phase, from, size, block);
            rotate_from(Block{block});
        });
    }

    // state = conj(phase) (inverse RY of sweep s) source: the adjoint of `forward` on one coset of it.
    template <class Source>
    static void undo(const ProgramView& p, Space& space, int s, int phase, Source source, Coset target, C* block) {
        const int size = 1 << p.sweep_bits[s];
        const auto rotate_to = [&](const auto& phased) { rotate<true>(p, space, s, source, phased, block); };
        if (phase == 0) return rotate_to(target);
        if (with_phased_coset(p, space, phase, target, rotate_to)) return;
        rotate_to(Block{block});
        store_block(p, space, phase, block, size, target);
    }

    // One pass over a block that adds up the moments of `count` of its bits (ascending), and Z of bits 0 and 1.
    // The first pass, on bits 0 and 1 or bit 0, also copies bra and ket into their blocks, and leaves in `folded`
    // Im(conj(b) k) summed over its bits, for fold_signs.
    template <int count, bool with_x, bool is_first, class Source>
    [[gnu::noinline]] static void add_moments(int bits, const int* bit, Source bra, Source ket, C* block_bra,
                                              C* block_ket, V* folded, Moments* moments) {
        constexpr int size = 1 << count;
        size_t step[size];
        fill_steps<count>(bit, step);
        V x[count] = {}, even[count] = {}, odd[count] = {}, z[count] = {};
        const auto steps = bra.template steps<size>(step);
        for (size_t j = 0; j < size_t(1) << (bits - count); ++j) {
            const size_t index = spread_out<count>(j, bit);
            const Source from_bra = bra.moved(index), from_ket = ket.moved(index);
            C b[size], k[size];
#pragma GCC unroll 4
            for (int i = 0; i < size; ++i) {
                b[i] = from_bra.load(steps, i);
                k[i] = from_ket.load(steps, i);
                if constexpr (is_first) {
                    block_bra[index + step[i]] = b[i];
                    block_ket[index + step[i]] = k[i];
                }
            }
#pragma GCC unroll 2
            for (int q = 0; q < count; ++q) {
#pragma GCC unroll 4
                for (int i = 0; i < size; ++i) {
                    if (i >> q & 1) continue;
                    const int i1 = i | 1 << q;
                    even[q] += b[i1].re * k[i].re;
                    even[q] += b[i1].im * k[i].im;
                    odd[q] += b[i].re * k[i1].re;
                    odd[q] += b[i].im * k[i1].im;
                    if constexpr (with_x) {
                        x[q] += b[i].re * k[i1].im;
                        x[q] -= b[i].im * k[i1].re;
                        z[q] += b[i1].re * k[i].im;  // the other half of X, in an accumulator of its own
                        z[q] -= b[i1].im * k[i].re;
                    }
                }
            }
            if constexpr (is_first) {
                V sign[size];
#pragma GCC unroll 4
                for (int i = 0; i < size; ++i) sign[i] = b[i].re * k[i].im - b[i].im * k[i].re;
                if constexpr (count == 2) {
                    const V plus0 = sign[0] + sign[1], plus1 = sign[2] + sign[3];
                    moments[0].z += (sign[0] - sign[1]) + (sign[2] - sign[3]);
                    moments[1].z += plus0 - plus1;
                    folded[j] = plus0 + plus1;
                } else {
                    moments[0].z += sign[0] - sign[1];
                    folded[j] = sign[0] + sign[1];
                }
            }
        }
        for (int q = 0; q < count; ++q) {
            moments[bit[q]].x += x[q] + z[q];
            moments[bit[q]].y += even[q] - odd[q];
        }
    }

    // Z of the bits that the first pass did not fold, from what it left in `folded`.
    static void fold_signs(int bits, int done, V* folded, Moments* moments) {
        for (int q = bits - 1; q >= done; --q) {
            const size_t half = size_t(1) << (q - done);
            V difference{};
            for (size_t j = 0; j < half; ++j) {
                difference += folded[j] - folded[j + half];
                folded[j] += folded[j + half];
            }
            moments[q].z += difference;
        }
    }

    // Moments of a run that flips lanes only, each lane its share.
    static void add_lane_moments(int bits, uint32_t flip, const C* bra, const C* ket, Moments& moments) {
        V x{}, y{}, z{};
        for (size_t j = 0; j < size_t(1) << bits; ++j) {
            const C b = bra[j], k = ket[j];
            const C flipped{flip_lanes<Real, lanes>(k.re, flip), flip_lanes<Real, lanes>(k.im, flip)};
            x += b.re * flipped.im - b.im * flipped.re;
            y -= b.re * flipped.re + b.im * flipped.im;
            z += b.re * k.im - b.im * k.re;
        }
        moments.x += x;
        moments.y += y;
        moments.z += z;
    }

    // Moments of all bits of a coset; bra and ket end up in their blocks.
    static void add_all_moments(Space& space, int bits, bool with_x, Coset bra, Coset ket, Moments* moments) {
        C *block_bra = space.block_bra, *block_ket = space.block_ket;
        const int done = bits >= 2 ? 2 : 1;
        const int first[2] = {0, 1};
        if (done == 2)
            add_moments<2, true, true>(bits, first, bra, ket, block_bra, block_ket, space.block_weight, moments);
        else
            add_moments<1, true, true>(bits, first, bra, ket, block_bra, block_ket, space.block_weight, moments);
        if (with_x) fold_signs(bits, done, space.block_weight, moments);
        const Block from_bra{block_bra}, from_ket{block_ket};
        for (int q = done; q < bits; q += 2) {
            const int bit[2] = {q, q + 1};
            if (q + 1 < bits && with_x)
                add_moments<2, true, false>(bits, bit, from_bra, from_ket, nullptr, nullptr, nullptr, moments);
            else if (q + 1 < bits)
                add_moments<2, false, false>(bits, bit, from_bra, from_ket, nullptr, nullptr, nullptr, moments);
            else if (with_x)
                add_moments<1, true, false>(bits, bit, from_bra, from_ket, nullptr, nullptr, nullptr, moments);
            else
                add_moments<1, false, false>(bits, bit, from_bra, from_ket, nullptr, nullptr, nullptr, moments);
        }
    }
};
