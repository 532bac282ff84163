// A last layer that the observables absorb. Included by isa/*.cpp.
//
// Where a term is the Z of a run, U^+ Z U = cos(theta) Z - sin(theta) X, up to the diagonals: with theta the angle of
// its RY, X and Z those of its virtual qubit before it. So the layer is never applied: values need <X> and <Z>, the
// adjoint state is a sum of X and Z applied to the ket before it, and the gradients of the layer itself follow from
// its Bloch vectors alone.

template <class Real, int lanes, int lane_bits>
struct Absorb {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using S = Sweep<Real, lanes, lane_bits>;
    using B = BraKet<Real, lanes, lane_bits>;
    using W = Walsh<Real, lanes, lane_bits>;
    using Bloch = Moments<Real, lanes>;

    // cos(theta) and sin(theta) of the RY of a run.
    static V cosine(const Space& space, int r) {
        return space.run[r].cosine * space.run[r].cosine - space.run[r].sine * space.run[r].sine;
    }
    static V sine(const Space& space, int r) { return Number(2) * space.run[r].cosine * space.run[r].sine; }

    static Bloch& bloch(const ProgramView& p, const Space& space, int r) {
        return space.bloch[r - p.layer_run_begin[p.num_layers - 1]];
    }

    // Signs by which lanes turn Y and Z of a run: those of odd parity have its 0 and 1 exchanged.
    static auto signs(const ProgramView& p, int r) { return L::template signs<Real>(p.run_z[r]); }

    // Sums of X and Y of `count` bits: half of X, and Y where wanted. In two parts each, X by itself in four, so that
    // they do not wait for one another.
    template <int count, bool with_y>
    struct BlochSums {
        V x[count + 1] = {}, more_x[count + 1] = {}, other[count + 1] = {}, more_other[count + 1] = {};

        [[gnu::always_inline]] void add(const C* k) {
#pragma GCC unroll 3
            for (int q = 0; q < count; ++q) {
#pragma GCC unroll 8
                for (int i = 0; i < 1 << count; ++i) {
                    if (i >> q & 1) continue;
                    const C& flipped = k[i | 1 << q];
                    const bool is_odd = !with_y && (i >> (q == 0 ? 1 : 0) & 1);
                    (is_odd ? other : x)[q] += k[i].re * flipped.re;
                    (is_odd ? more_other : more_x)[q] += k[i].im * flipped.im;
                    if constexpr (!with_y) continue;
                    other[q] += k[i].re * flipped.im;
                    more_other[q] += k[i].im * flipped.re;
                }
            }
        }
        void add_to(Bloch* found) const {
            for (int q = 0; q < count; ++q) {
                found[q].x += x[q] + more_x[q];
                if constexpr (with_y)
                    found[q].y += other[q] - more_other[q];
                else
                    found[q].x += other[q] + more_other[q];
            }
        }
    };

    // The bits from `first` on of a block.
    template <int count, bool with_y>
    [[gnu::noinline]] static void add_bloch(int bits, int first, const C* block, Bloch* found) {
        BlochSums<count, with_y> sums;
        S::template for_each_place<count>(bits, first, [&](size_t index) {
            C k[1 << count];
#pragma GCC unroll 8
            for (int i = 0; i < 1 << count; ++i) {
                const C& amplitude = block[index + (size_t(i) << first)];
                k[i] = {in_register(amplitude.re), in_register(amplitude.im)};
            }
            sums.add(k);
        });
        sums.add_to(found + first);
    }

    // A part into its block. Sums of its lowest bits, and their Z; squares folded over them, for fold_signs.
    template <int count, bool with_y, class Source>
    [[gnu::noinline]] static void load_and_add_bloch(int bits, Source source, C* block, V* folded, Bloch* found) {
        constexpr int size = 1 << count;
        BlochSums<count, with_y> sums;
        V z[count + 1] = {};
        const auto steps = source.template steps<size>(0);
        for (size_t j = 0; j < size_t(1) << bits; j += size) {
            const Source from = source.moved(j);
            from.fetch(steps);
            C k[size];
            V square[size];
#pragma GCC unroll 8
            for (int i = 0; i < size; ++i) {
                const C amplitude = from.load(steps, i);
                k[i] = {in_register(amplitude.re), in_register(amplitude.im)};
                if constexpr (!std::is_same_v<Source, typename S::Block>) block[j + size_t(i)] = k[i];
                square[i] = k[i].re * k[i].re + k[i].im * k[i].im;
            }
            folded[j / size] = B::template fold<count>(square, z);
            sums.add(k);
        }
        sums.add_to(found);
        for (int q = 0; q < count; ++q) found[q].z += z[q];
    }

    // X and Y of `count` lane runs, each lane its share.
    template <int count>
    [[gnu::noinline]] static void add_lane_bloch(const ProgramView& p, int first, int bits, const C* block,
                                                 Bloch* found) {
        V x[count] = {}, more_x[count] = {}, y[count] = {}, less_y[count] = {};
        for (size_t j = 0; j < size_t(1) << bits; ++j) {
            const C k{in_register(block[j].re), in_register(block[j].im)};
#pragma GCC unroll 2
            for (int i = 0; i < count; ++i) {
                const C& partner = block[j ^ p.sweep_lane_partner[first + i]];
                const V re = flip_lanes<Real, lanes>(partner.re, p.sweep_lane_flip[first + i]),
                        im = flip_lanes<Real, lanes>(partner.im, p.sweep_lane_flip[first + i]);
                x[i] += k.re * re;
                more_x[i] += k.im * im;
                y[i] += k.re * im;
                less_y[i] += k.im * re;
            }
        }
        for (int i = 0; i < count; ++i) {
            found[i].x += x[i] + more_x[i];
            found[i].y += y[i] - less_y[i];
        }
    }

    // Calls visit(first, count as a constant) for passes over those of the bits begin to end - 1 that runs of sweep s
    // turn.
    template <class Visit>
    static void for_each_pass(const ProgramView& p, int s, int begin, int end, Visit visit) {
        const int near = p.sweep_near_bits[s], turned = near + p.sweep_run_begin[s + 1] - p.sweep_run_begin[s];
        int first = begin > near ? begin : near;
        if (end > turned) end = turned;
        for (; first + S::bits_a_pass <= end; first += S::bits_a_pass)
            visit(first, std::integral_constant<int, S::bits_a_pass>{});
        if (end - first == 2) visit(first, std::integral_constant<int, 2>{});
        if (end - first == 1) visit(first, std::integral_constant<int, 1>{});
    }

    // Applies the phase before the layer, ket -> target.
    static void apply_phase(const ProgramView& p, Space& space, C* ket, C* target) {
        const int layer = p.num_layers - 1, s = p.layer_sweep_begin[layer];
        const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
        S::for_each_coset(p, space, s, layer, [&](uint32_t base, size_t coset_place) {
            S::for_each_part(p, space, s, layer, base, [&](uint32_t part, size_t place) {
                const auto from = S::coset_of(space, ket, part, offset, space.fetches_states);
                C* block = S::block_of(p, target, coset_place + place, space.block_ket);
                S::load_block(p, space, layer, from, p.sweep_bits[s], block);
                if (!p.in_order) S::store_block(p, space, 0, block, p.sweep_bits[s], {target, part, offset, part});
            });
        });
    }

    // (phase, if any) coset, and sums of as many of its lowest bits as are returned.
    static int load_part(const ProgramView& p, Space& space, int phase, typename S::Coset coset, int bits, bool with_y,
                         C* block, Bloch* found) {
        constexpr int most = S::bits_a_pass;
        V* folded = space.block_weight;
        const auto load = [&](const auto& from) {
            if (bits < most)
                load_and_add_bloch<0, false>(bits, from, block, folded, found);
            else if (with_y)
                load_and_add_bloch<most, true>(bits, from, block, folded, found);
            else
                load_and_add_bloch<most, false>(bits, from, block, folded, found);
        };
        if (phase == 0) {
            load(coset);
        } else if (S::has_rest(p, phase)) {
            S::load_block(p, space, phase, coset, bits, block);
            load(typename S::Block{block});
        } else {
            S::with_phase(p, space, phase, bits, coset, load);
        }
        return bits < most ? 0 : most;
    }

    // Applies the phase before the layer, ket -> target, and measures the Bloch vectors of its runs there. For values
    // alone, target need not be complete, and Y is not measured.
    static void measure(const Tile<Real>& tile, Space& space, const C* ket, C* target) {
        const ProgramView& p = *tile.program;
        const bool for_values = tile.storage.mode == Mode::values,
                   with_y = !for_values || tile.storage.taped != Taped::nothing;
        const int layer = p.num_layers - 1, begin = p.layer_sweep_begin[layer], end = p.layer_sweep_begin[layer + 1];
        const bool stores = !p.in_order && (!for_values || end - begin > 1 || p.has_unabsorbed_terms);
        for (int s = begin; s < end; ++s) {
            const bool is_first = s == begin;
            const int phase = is_first ? layer : 0;
            const int bits = p.sweep_bits[s], outer = p.sweep_outer_bits[s];
            const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
            const int lane_begin = p.sweep_lane_run_begin[s], lane_end = p.sweep_lane_run_begin[s + 1];
            const bool crosses_parts = S::crosses_parts(p, s);
            Bloch found[16] = {}, found_in_lanes[8] = {};
            V all_squares{};
            V *folded = space.block_weight, *totals = B::totals(p, space, s);
            C* whole = space.block_ket;
            const auto add_pass = [&](int all_bits, int first, auto count, const C* block) {
                if (with_y)
                    add_bloch<count.value, true>(all_bits, first, block, found);
                else
                    add_bloch<count.value, false>(all_bits, first, block, found);
            };
            const auto add_lanes = [&](int all_bits, const C* block) {
                if constexpr (L::is_spread)
                    S::for_each_lane_pass(p, s, [&](int i, auto count) {
                        add_lane_bloch<count.value>(p, i, all_bits, block, found_in_lanes + (i - lane_begin));
                    });
            };
            const auto measure_part = [&](uint32_t part, size_t place) {
                C *block = whole + place, *source = is_first ? const_cast<C*>(ket) : target;
                const auto from = S::coset_of(space, source, part, offset, space.fetches_states);
                const int done = load_part(p, space, phase, from, bits, with_y, block, found);
                if (is_first && stores) S::store_block(p, space, 0, block, bits, {target, part, offset, part});
                for_each_pass(p, s, done, bits, [&](int first, auto count) { add_pass(bits, first, count, block); });
                if (!crosses_parts) add_lanes(bits, block);
                B::fold_signs(bits, done, folded, found);
                all_squares += folded[0];
                if (outer > 0) totals[place >> bits] = folded[0];
            };
            S::for_each_coset(p, space, s, phase, [&](uint32_t base, size_t coset_place) {
                whole = S::block_of(p, target, coset_place, space.block_ket);
                S::for_each_part(p, space, s, phase, base, measure_part);
                if (outer == 0) return;
                B::fold_signs(outer, 0, totals, found + bits);
                for_each_pass(p, s, bits, bits + outer,
                              [&](int first, auto count) { add_pass(bits + outer, first, count, whole); });
                if (crosses_parts) add_lanes(bits + outer, whole);
            });
            const auto keep = [&](int r, Bloch b) {
                bloch(p, space, r) = {W::sum_over_state(Number(2) * b.x),
                                      W::sum_over_state(Number(2) * b.y * signs(p, r)),
                                      W::sum_over_state(b.z * signs(p, r))};
            };
            for (int i = p.sweep_run_begin[s]; i < p.sweep_run_begin[s + 1]; ++i)
                keep(p.sweep_run[i], found[p.sweep_near_bits[s] + i - p.sweep_run_begin[s]]);
            for (int i = lane_begin; i < lane_end; ++i) {
                Bloch& b = found_in_lanes[i - lane_begin];
                keep(p.sweep_lane_run[i], {Number(0.5) * b.x, Number(0.5) * b.y, all_squares});
            }
        }
    }

    // <Z> after the layer.
    static V expectation(const ProgramView& p, const Space& space, int r) {
        const Bloch& b = bloch(p, space, r);
        return cosine(space, r) * b.z - sine(space, r) * b.x;
    }

    // The cotangent of <Z> of every run of the layer.
    static V& cotangent(const ProgramView& p, const Space& space, int r) {
        return space.run_cotangent[r - p.layer_run_begin[p.num_layers - 1]];
    }

    static void sum_cotangents(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        for (int r = p.layer_run_begin[p.num_layers - 1]; r < p.layer_run_begin[p.num_layers]; ++r)
            cotangent(p, space, r) = V{};
        for (int t = p.flip_term_begin[0]; t < p.flip_term_begin[1]; ++t) {
            if (p.term_run[t] < 0) continue;
            V& sum = cotangent(p, space, p.term_run[t]);
            const Number coefficient = Number(p.pauli_coefficient[t]);
            for (int64_t lane = 0; lane < tile.num_samples << lane_bits; ++lane)
                sum[lane] +=
                    tile.cotangent[(lane >> lane_bits) * p.num_observables + p.pauli_observable[t]] * coefficient;
        }
    }

    // Moments Im<b|P|k> right after the RY of a run, where b = cotangent Z k.
    static Bloch moments(const ProgramView& p, const Space& space, int r) {
        const Bloch& b = bloch(p, space, r);
        const V weight = cotangent(p, space, r), x = cosine(space, r) * b.x + sine(space, r) * b.z;
        return {weight * b.y, -(weight * x), V{}};
    }

    // What the adjoint state is made of on a sweep: flips, X of its runs times `amount`; and the ket times a sum of
    // what multiplies Z, by position in the part in `block_weight`, plus that of the part.
    struct Weights {
        struct Flip {
            V amount;
            uint32_t partner, lane_flip;  // between the numbers of vectors in the block, and of lanes
        };
        // Amplitudes across the lowest bits of a part are in registers together.
        static constexpr int near_bits = S::bits_a_pass;

        V z[16];
        int begin, end, num_near;  // the outer bits; how many of the lowest are in registers
        V near[near_bits] = {};    // amounts of these, if any of them counts,
        bool has_near = false;
        Flip far[24];                   // and the other flips that count,
        int num_far = 0, num_bits = 0;  // those of bits before those of lanes

        Weights(const ProgramView& p, const Space& space, int s)
            : begin(p.sweep_bits[s]),
              end(p.sweep_bits[s] + p.sweep_outer_bits[s]),
              num_near(begin < near_bits ? 0 : near_bits) {
            V* weight = space.block_weight;
            weight[0] = V{};
            for (int i = p.sweep_lane_run_begin[s]; i < p.sweep_lane_run_begin[s + 1]; ++i)
                weight[0] += weight_of(p, space, p.sweep_lane_run[i]);
            for (int q = 0; q < end; ++q) {
                z[q] = V{};
                const int i = p.sweep_run_begin[s] + q - p.sweep_near_bits[s];
                if (i >= p.sweep_run_begin[s] && i < p.sweep_run_begin[s + 1]) add_run(p, space, p.sweep_run[i], q);
                for (size_t j = 0; q < begin && j < size_t(1) << q; ++j) {
                    weight[j + (size_t(1) << q)] = weight[j] - z[q];
                    weight[j] += z[q];
                }
            }
            num_bits = num_far;
            for (int i = p.sweep_lane_run_begin[s]; i < p.sweep_lane_run_begin[s + 1]; ++i)
                if (const int r = p.sweep_lane_run[i]; counts(p, space, r))
                    far[num_far++] = {amount(p, space, r), p.sweep_lane_partner[i], p.sweep_lane_flip[i]};
        }
        V of_part(size_t place) const {
            V sum{};
            for (int q = begin; q < end; ++q) sum += place >> q & 1 ? -z[q] : z[q];
            return sum;
        }

       private:
        void add_run(const ProgramView& p, const Space& space, int r, int bit) {
            z[bit] = weight_of(p, space, r);
            if (!counts(p, space, r)) return;
            has_near |= bit < num_near;
            if (bit < num_near)
                near[bit] = amount(p, space, r);
            else
                far[num_far++] = {amount(p, space, r), uint32_t(1) << bit, 0};
        }
        static V weight_of(const ProgramView& p, const Space& space, int r) {
            return cotangent(p, space, r) * cosine(space, r) * signs(p, r);
        }
        static V amount(const ProgramView& p, const Space& space, int r) {
            return cotangent(p, space, r) * sine(space, r);
        }
        // One run does in a row of a Jacobian.
        static bool counts(const ProgramView& p, const Space& space, int r) {
            return any(value_of(cotangent(p, space, r)) != 0);
        }
    };

    // target = what the weights make of a part of the ket, on top of the bra unless that starts here. Partners across
    // `count` bits are in registers, others are read where they lie, from other parts as well.
    template <int count, bool starts, class Target>
    [[gnu::noinline]] static void fill_part(int bits, const Weights& weights, const V* weight, V more, const C* whole,
                                            size_t place, const C* bra, Target target) {
        constexpr int size = 1 << count;
        const auto steps = target.template steps<size>(0);
        for (size_t j = 0; j < size_t(1) << bits; j += size) {
            const C* const ket = whole + (place + j);
            const auto add_up = [&](V C::* component, V* sum) {
                V k[size];
#pragma GCC unroll 8
                for (int i = 0; i < size; ++i) {
                    k[i] = in_register(ket[i].*component);
                    sum[i] = (weight[j + size_t(i)] + more) * k[i];
                    if constexpr (!starts) sum[i] += bra[j + size_t(i)].*component;
                }
                if (count > 0 && weights.has_near)
#pragma GCC unroll 3
                    for (int q = 0; q < count; ++q)
#pragma GCC unroll 8
                        for (int i = 0; i < size; ++i) sum[i] -= weights.near[q] * k[i ^ 1 << q];
                for (int f = 0; f < weights.num_bits; ++f) {
                    const V amount = weights.far[f].amount;
                    const C* const partner = whole + ((place + j) ^ weights.far[f].partner);
#pragma GCC unroll 8
                    for (int i = 0; i < size; ++i) sum[i] -= amount * partner[i].*component;
                }
                if constexpr (!L::is_spread) return;
                for (int f = weights.num_bits; f < weights.num_far; ++f) {
                    const auto& [amount, partner, lane_flip] = weights.far[f];
#pragma GCC unroll 8
                    for (int i = 0; i < size; ++i)
                        sum[i] -= amount * flip_lanes<Real, lanes>(whole[(place + j + size_t(i)) ^ partner].*component,
                                                                   lane_flip);
                }
            };
            V re[size], im[size];
            add_up(&C::re, re);
            add_up(&C::im, im);
            const Target to = target.moved(j);
#pragma GCC unroll 8
            for (int i = 0; i < size; ++i) to.store(steps, i, {re[i], im[i]});
        }
    }

    // coset = conj(phase, if any) of that. The bra that it is on top of is in its block, which is room where it starts.
    static void store_part(const ProgramView& p, const Space& space, int phase, int bits, const Weights& weights,
                           const C* whole, size_t place, bool starts, C* block, typename S::Coset coset) {
        constexpr int near_bits = Weights::near_bits;
        const V more = weights.of_part(place);
        const auto fill = [&]<int count, bool start>(const auto& target) {
            fill_part<count, start>(bits, weights, space.block_weight, more, whole, place, block, target);
        };
        const auto start = [&](const auto& target) { fill.template operator()<near_bits, true>(target); };
        const bool has_rest = phase > 0 && S::has_rest(p, phase);
        if (starts && bits >= near_bits && !has_rest) {
            if (phase > 0) return S::with_phase(p, space, phase, bits, coset, start);
            if (space.streams_bra) return start(typename S::StreamedCoset{coset});
            return start(coset);
        }
        const typename S::Block in_block{block};
        if (bits < near_bits && starts)
            fill.template operator()<0, true>(in_block);
        else if (bits < near_bits)
            fill.template operator()<0, false>(in_block);
        else if (starts)
            start(in_block);
        else
            fill.template operator()<near_bits, false>(in_block);
        S::store_block(p, space, phase, block, bits, coset);
    }

    // The adjoint state before the layer and the phase before it. `started`: the bra holds already what terms that are
    // not absorbed contribute. The ket, too, goes back to `ket_before`, unless that is null.
    static void adjoint_state(const ProgramView& p, Space& space, C* ket, C* ket_before, bool started) {
        const int layer = p.num_layers - 1, begin = p.layer_sweep_begin[layer], end = p.layer_sweep_begin[layer + 1];
        for (int s = end - 1; s >= begin; --s) {
            const bool starts = s == end - 1 && !started;
            const int phase = s == begin ? layer : 0;
            const int bits = p.sweep_bits[s];
            const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
            const Weights weights(p, space, s);
            S::for_each_coset(p, space, s, phase, [&](uint32_t base, size_t coset_place) {
                C *block_ket = S::block_of(p, ket, coset_place, space.block_ket),
                  *block_bra = S::block_of(p, space.bra, coset_place, space.block_bra);
                const auto load_ket = [&](uint32_t part, size_t place) {
                    const auto from = S::coset_of(space, ket, part, offset, space.fetches_kets);
                    S::load_block(p, space, 0, from, bits, block_ket + place);
                };
                const auto start_part = [&](uint32_t part, size_t place) {
                    // A bra that starts here is done with once it is stored: all parts take the same place.
                    C* own = p.in_order && !starts ? block_bra + place : block_bra;
                    const auto from = S::coset_of(space, space.bra, part, offset, space.fetches_states);
                    if (!p.in_order && !starts) S::load_block(p, space, 0, from, bits, own);
                    const typename S::Coset to{space.next_bra, part, offset, part};
                    store_part(p, space, phase, bits, weights, block_ket, place, starts, own, to);
                };
                const auto store_ket = [&](uint32_t part, size_t place) {
                    S::store_block(p, space, phase, block_ket + place, bits, {ket_before, part, offset, part});
                };
                if (!p.in_order) S::for_each_part(p, space, s, 0, base, load_ket);
                S::for_each_part(p, space, s, phase, base, start_part);
                if (phase > 0 && ket_before != nullptr) S::for_each_part(p, space, s, phase, base, store_ket);
            });
        }
        space.take_next_bra();
    }
};
