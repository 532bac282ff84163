// Bra and ket of a coset on the way back through a sweep: moments of its runs. Included by isa/*.cpp.

template <class Real, int lanes, int lane_bits>
struct BraKet {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using S = Sweep<Real, lanes, lane_bits>;
    using Block = typename S::Block;
    using Coset = typename S::Coset;
    template <bool has_constant>
    using PhasedCoset = typename S::template PhasedCoset<has_constant>;
    using Moments = qtm::Moments<Real, lanes>;

    // Where moments take bra and ket of a coset from, on the way into their blocks.

    // Both from their states, or both from their blocks.
    template <class Place>
    struct Pair {
        Place bra, ket;

        template <int size>
        using Steps = typename Place::template Steps<size>;
        template <int size>
        [[gnu::always_inline]] Steps<size> steps() const {
            return bra.template steps<size>(0);
        }
        [[gnu::always_inline]] Pair moved(size_t j) const { return {bra.moved(j), ket.moved(j)}; }
        template <int size>
        [[gnu::always_inline]] void fetch(const Steps<size>& to) const {
            bra.fetch(to);
            ket.fetch(to);
        }
        template <int size>
        [[gnu::always_inline]] void load(const Steps<size>& to, int i, C& b, C& k) const {
            b = bra.load(to, i);
            k = ket.load(to, i);
        }
    };

    // The bra from its block, and on to its coset, undoing the phase that the ket gets from its coset.
    template <bool has_constant>
    struct PhasedPair {
        Block bra;
        Coset target;
        PhasedCoset<has_constant> ket;

        template <int size>
        using Steps = typename PhasedCoset<has_constant>::template Steps<size>;
        template <int size>
        [[gnu::always_inline]] Steps<size> steps() const {
            return ket.template steps<size>(0);
        }
        [[gnu::always_inline]] PhasedPair moved(size_t j) const {
            return {bra.moved(j), target.moved(j), ket.moved(j)};
        }
        template <int size>
        [[gnu::always_inline]] void fetch(const Steps<size>& to) const {
            ket.fetch(to);
        }
        template <int size>
        [[gnu::always_inline]] void load(const Steps<size>& to, int i, C& b, C& k) const {
            const C factor = ket.factor(to, i);
            b = bra.load(to.table, i);
            k = product<false, Real, lanes>(factor, ket.coset.load(to.coset, i));
            target.store(to.coset, i, product<true, Real, lanes>(factor, b));
        }
    };

    // The sum of what amplitudes across `count` bits bring; adds Z of those bits.
    template <int count>
    [[gnu::always_inline]] static V fold(const V* sign, V* z) {
        if constexpr (count == 0) {
            return sign[0];
        } else {
            V sum[1 << (count - 1)], difference{};
#pragma GCC unroll 4
            for (int i = 0; i < 1 << (count - 1); ++i) {
                sum[i] = sign[2 * i] + sign[2 * i + 1];
                difference += sign[2 * i] - sign[2 * i + 1];
            }
            z[0] += difference;
            return fold<count - 1>(sum, z + 1);
        }
    }

    // Bra and ket of a coset into their blocks. Adds up Z of the first `count` bits, and leaves in `folded`
    // Im(conj(b) k) summed over them, for fold_signs.
    template <int count, class From>
    [[gnu::noinline]] static void load_pair(int bits, From pair, C* block_bra, C* block_ket, V* folded,
                                            Moments* moments) {
        constexpr int size = 1 << count;
        const auto steps = pair.template steps<size>();
        V z[count] = {};
        for (size_t j = 0; j < size_t(1) << bits; j += size) {
            const From here = pair.moved(j);
            here.fetch(steps);
            V sign[size];
#pragma GCC unroll 4
            for (int i = 0; i < size; ++i) {
                C b, k;
                here.load(steps, i, b, k);
                if constexpr (std::is_same_v<From, Pair<Coset>>) block_bra[j + size_t(i)] = b;
                block_ket[j + size_t(i)] = k;
                sign[i] = b.re * k.im - b.im * k.re;
            }
            folded[j / size] = fold<count>(sign, z);
        }
        for (int q = 0; q < count; ++q) moments[q].z += z[q];
    }

    // Adds up X (where wanted) and Y of `count` bits of a block from `first` on. Amplitudes are taken one component at
    // a time, so that they and the sums fit 16 registers, and products of a few of them are added up by themselves
    // first, so that none waits long for the one before. From bit 0 on, if wanted, also Z and `folded`, as load_pair.
    template <int count, bool with_x, bool with_z = false>
    [[gnu::noinline]] static void add_moments(int bits, int first, const C* bra, const C* ket, Moments* moments,
                                              V* folded = nullptr) {
        constexpr int size = 1 << count;
        V x[count] = {}, y[count] = {}, z[count] = {};
        S::template for_each_place<count>(bits, first, [&](size_t index) {
            V sign[size];
            const auto add = [&](V C::* component, V C::* other, auto is_real) {
                const C *b = loaded_again(bra + index), *k = loaded_again(ket + index);
                V flipped[size];
#pragma GCC unroll 4
                for (int i = 0; i < size; ++i) flipped[i] = b[size_t(i) << first].*component;
                const auto sum = [&](V C::* of_ket, auto is_signed, V(&found)[count]) {
#pragma GCC unroll 4
                    for (int i = 0; i < size; ++i) {
                        const V amplitude = in_register(k[size_t(i) << first].*of_ket);
#pragma GCC unroll 2
                        for (int q = 0; q < count; ++q) {
                            const V one = flipped[i ^ 1 << q] * amplitude;
                            found[q] = i == 0 ? one : is_signed && i >> q & 1 ? found[q] - one : found[q] + one;
                        }
                    }
                };
                V found[count];
                sum(component, std::true_type{}, found);
#pragma GCC unroll 2
                for (int q = 0; q < count; ++q) y[q] += found[q];
                if constexpr (with_z)
#pragma GCC unroll 4
                    for (int i = 0; i < size; ++i) {
                        const V one = flipped[i] * k[size_t(i) << first].*other;
                        sign[i] = is_real ? one : sign[i] - one;
                    }
                if constexpr (!with_x) return;
                sum(other, std::false_type{}, found);
#pragma GCC unroll 2
                for (int q = 0; q < count; ++q) x[q] = is_real ? x[q] + found[q] : x[q] - found[q];
            };
            add(&C::re, &C::im, std::true_type{});
            add(&C::im, &C::re, std::false_type{});
            if constexpr (with_z) folded[index / size] = fold<count>(sign, z);
        });
        for (int q = 0; q < count; ++q) {
            moments[first + q].x += x[q];
            moments[first + q].y += y[q];
            moments[first + q].z += z[q];
        }
    }

    // With 16 registers, amplitudes that are needed twice are loaded twice: kept, they would push others out.
    [[gnu::always_inline]] static const C* loaded_again(const C* amplitudes) {
        if constexpr (num_registers == 16) asm volatile("" : "+r"(amplitudes));
        return amplitudes;
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

    // Moments of the lane runs of sweep s, each lane its share.
    [[gnu::noinline]] static void add_lane_moments(const ProgramView& p, int s, int bits, const C* bra, const C* ket,
                                                   Moments* moments) {
        const size_t size = size_t(1) << bits;
        V z{}, less_z{};
        for (size_t j = 0; j < size; ++j) {
            z += bra[j].re * ket[j].im;
            less_z += bra[j].im * ket[j].re;
        }
        S::for_each_lane_pass(p, s, [&](int first, auto count) {
            Moments* const of = moments + (first - p.sweep_lane_run_begin[s]);
            add_flipped_moments<count.value>(p, first, size, bra, ket, of);
            for (int i = 0; i < count.value; ++i) of[i].z += z - less_z;
        });
    }

    template <int count>
    [[gnu::noinline]] static void add_flipped_moments(const ProgramView& p, int first, size_t size, const C* bra,
                                                      const C* ket, Moments* moments) {
        V x[count] = {}, less_x[count] = {}, y[count] = {}, more_y[count] = {};
        for (size_t j = 0; j < size; ++j) {
            const C b{in_register(bra[j].re), in_register(bra[j].im)};
#pragma GCC unroll 2
            for (int i = 0; i < count; ++i) {
                const C& k = ket[j ^ p.sweep_lane_partner[first + i]];
                const V re = flip_lanes<Real, lanes>(k.re, p.sweep_lane_flip[first + i]),
                        im = flip_lanes<Real, lanes>(k.im, p.sweep_lane_flip[first + i]);
                x[i] += b.re * im;
                less_x[i] += b.im * re;
                y[i] += b.re * re;
                more_y[i] += b.im * im;
            }
        }
        for (int i = 0; i < count; ++i) {
            moments[i].x += x[i] - less_x[i];
            moments[i].y -= y[i] + more_y[i];
        }
    }

    // What the runs of a sweep gather on its cosets.
    struct Gathered {
        bool with_z, with_x;  // Z is wanted, not only Y; and X
        Moments moments[16] = {}, lane_moments[8] = {};
    };

    // Where sums over the parts of a block are kept.
    static V* totals(const ProgramView& p, const Space& space, int s) {
        return space.block_weight + (size_t(1) << p.sweep_bits[s]);
    }

    static void add_passes(int bits, int begin, int end, const C* bra, const C* ket, Gathered& found) {
        const auto add = [&](auto count, int first) {
            if (found.with_x)
                add_moments<count.value, true>(bits, first, bra, ket, found.moments);
            else
                add_moments<count.value, false>(bits, first, bra, ket, found.moments);
        };
        int first = begin;
        for (; first + 2 <= end; first += 2) add(std::integral_constant<int, 2>{}, first);
        if (first < end) add(std::integral_constant<int, 1>{}, first);
    }

    // Moments on inner bits of a part; bra and ket end up in their blocks `own`.
    template <class From>
    static void add_inner_moments(const ProgramView& p, Space& space, int s, From pair, Pair<Block> own, size_t place,
                                  Gathered& found) {
        const int bits = p.sweep_bits[s], turned = S::num_inner_runs(p, s);
        C *bra = own.bra.block, *ket = own.ket.block;
        V* folded = space.block_weight;
        // Where blocks are loaded, Z of a passive bit comes along for nothing; its moments would not.
        const int first = (std::is_same_v<From, Pair<Block>> ? turned : bits) >= 2 ? 2 : 1;
        int done = 0;
        if constexpr (!std::is_same_v<From, Pair<Block>>) {
            if (first == 2)
                load_pair<2>(bits, pair, bra, ket, folded, found.moments);
            else
                load_pair<1>(bits, pair, bra, ket, folded, found.moments);
        } else if (found.with_z) {
            const auto add = [&](auto count) {
                if (found.with_x)
                    add_moments<count.value, true, true>(bits, 0, bra, ket, found.moments, folded);
                else
                    add_moments<count.value, false, true>(bits, 0, bra, ket, found.moments, folded);
            };
            if (first == 2)
                add(std::integral_constant<int, 2>{});
            else
                add(std::integral_constant<int, 1>{});
            done = first;
        }
        if (found.with_z) {
            fold_signs(bits, first, folded, found.moments);
            if (p.sweep_outer_bits[s] > 0) totals(p, space, s)[place >> bits] = folded[0];
        }
        add_passes(bits, done, turned, bra, ket, found);
        if (S::has_lane_runs(p, s) && !S::crosses_parts(p, s))
            add_lane_moments(p, s, bits, bra, ket, found.lane_moments);
    }

    // Then those on outer bits.
    static void add_outer_moments(const ProgramView& p, Space& space, int s, Pair<Block> blocks, Gathered& found) {
        const int inner = p.sweep_bits[s], outer = p.sweep_outer_bits[s];
        if (outer == 0) return;
        if (found.with_z) fold_signs(outer, 0, totals(p, space, s), found.moments + inner);
        const C *bra = blocks.bra.block, *ket = blocks.ket.block;
        add_passes(inner + outer, inner, inner + outer, bra, ket, found);
        if (S::crosses_parts(p, s)) add_lane_moments(p, s, inner + outer, bra, ket, found.lane_moments);
    }

    // Moments of all runs of sweep s on a coset of bra and ket, which end up in their blocks, if they do not lie there.
    static void add_all_moments(const ProgramView& p, Space& space, int s, uint32_t base, C* ket, Pair<Block> blocks,
                                Gathered& found) {
        const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
        S::for_each_part(p, space, s, 0, base, [&](uint32_t part, size_t place) {
            const Pair<Block> own = blocks.moved(place);
            if (p.in_order) return add_inner_moments(p, space, s, own, own, place, found);
            const Pair<Coset> pair{S::coset_of(space, space.bra, part, offset, space.fetches_states),
                                   S::coset_of(space, ket, part, offset, space.fetches_kets)};
            add_inner_moments(p, space, s, pair, own, place, found);
        });
        add_outer_moments(p, space, s, blocks, found);
    }

    // Takes the bra of a coset back before sweep s and the phase before it, as `undo`. On the way, moments before the
    // sweep, with the ket before the phase.
    static void meet_before(const ProgramView& p, Space& space, int s, int phase, uint32_t base, C* ket,
                            Gathered& found) {
        const int bits = p.sweep_bits[s];
        const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
        const Pair<Block> blocks{{space.block_bra}, {space.block_ket}};
        const Coset bra = S::coset_of(space, space.bra, base, offset, space.fetches_states);
        S::undo_outer(p, space, s, bra, space.block_bra);
        S::for_each_part(p, space, s, phase, base, [&](uint32_t part, size_t place) {
            const Pair<Block> own = blocks.moved(place);
            const Coset bra_part{space.bra, part, offset, part};
            const Coset ket_part = S::coset_of(space, ket, part, offset, space.fetches_kets);
            S::undo_inner(p, space, s, bra, own.bra, own.bra.block);
            if (S::has_rest(p, phase)) {
                S::load_block(p, space, phase, ket_part, bits, own.ket.block);
                add_inner_moments(p, space, s, own, own, place, found);
            } else {
                S::with_phase(p, space, phase, bits, ket_part,
                              [&]<bool has_constant>(const PhasedCoset<has_constant>& phased) {
                                  const PhasedPair<has_constant> pair{own.bra, bra_part, phased};
                                  add_inner_moments(p, space, s, pair, own, place, found);
                              });
            }
        });
        add_outer_moments(p, space, s, blocks, found);
        if (!S::has_rest(p, phase)) return;
        S::for_each_part(p, space, s, phase, base, [&](uint32_t part, size_t place) {
            S::store_block(p, space, phase, space.block_bra + place, bits, {space.bra, part, offset, part});
        });
    }
};
