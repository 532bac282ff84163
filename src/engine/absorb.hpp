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

    // Half of X, and Y where wanted, of `count` bits of a block.
    template <int count, bool with_y>
    [[gnu::noinline]] static void add_bloch(int bits, int first, const C* block, Bloch* found) {
        // In two parts each, X by itself in four, so that sums do not wait for one another.
        V x[count + 1] = {}, more_x[count + 1] = {}, other[count + 1] = {}, more_other[count + 1] = {};
        S::template for_each_place<count>(bits, first, [&](size_t index) {
            C k[1 << count];
#pragma GCC unroll 8
            for (int i = 0; i < 1 << count; ++i) {
                const C& amplitude = block[index + (size_t(i) << first)];
                k[i] = {in_register(amplitude.re), in_register(amplitude.im)};
            }
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
        });
        for (int q = 0; q < count; ++q) {
            found[first + q].x += x[q] + more_x[q];
            if constexpr (with_y)
                found[first + q].y += other[q] - more_other[q];
            else
                found[first + q].x += other[q] + more_other[q];
        }
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

    // Calls visit(first, count as a constant) for passes over the inner, or outer, bits that runs of sweep s turn.
    template <bool outer, class Visit>
    static void for_each_pass(const ProgramView& p, int s, Visit visit) {
        const int near = p.sweep_near_bits[s], inner = p.sweep_bits[s];
        const int turned = near + p.sweep_run_begin[s + 1] - p.sweep_run_begin[s];
        const int end = outer || turned < inner ? turned : inner;
        int first = outer ? inner : near;
        for (; first + S::bits_a_pass <= end; first += S::bits_a_pass)
            visit(first, std::integral_constant<int, S::bits_a_pass>{});
        if (end - first == 2) visit(first, std::integral_constant<int, 2>{});
        if (end - first == 1) visit(first, std::integral_constant<int, 1>{});
        if (end == near) visit(near, std::integral_constant<int, 0>{});
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
            const int bits = p.sweep_bits[s], outer = p.sweep_outer_bits[s], size = 1 << bits;
            const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
            const int lane_begin = p.sweep_lane_run_begin[s], lane_end = p.sweep_lane_run_begin[s + 1];
            const bool crosses_parts = S::crosses_parts(p, s);
            Bloch found[16] = {}, found_in_lanes[8] = {};
            V all_squares{};
            V *square = space.block_weight, *totals = B::totals(p, space, s);
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
                S::load_block(p, space, phase, from, bits, block);
                for (int j = 0; j < size; ++j) square[j] = block[j].re * block[j].re + block[j].im * block[j].im;
                if (is_first && stores) S::store_block(p, space, 0, block, bits, {target, part, offset, part});
                for_each_pass<false>(p, s, [&](int first, auto count) { add_pass(bits, first, count, block); });
                if (!crosses_parts) add_lanes(bits, block);
                B::fold_signs(bits, 0, square, found);
                all_squares += square[0];
                if (outer > 0) totals[place >> bits] = square[0];
            };
            S::for_each_coset(p, space, s, phase, [&](uint32_t base, size_t coset_place) {
                whole = S::block_of(p, target, coset_place, space.block_ket);
                S::for_each_part(p, space, s, phase, base, measure_part);
                if (outer == 0) return;
                B::fold_signs(outer, 0, totals, found + bits);
                for_each_pass<true>(p, s, [&](int first, auto count) { add_pass(bits + outer, first, count, whole); });
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

    // What the adjoint state is made of on a sweep: X of every bit times `amount`; and the ket times a sum of what
    // multiplies Z, by position in the part in `block_weight`, plus that of the part.
    struct Weights {
        V amount[16], z[16];
        uint32_t flipped = 0;  // bits whose X counts: those of one run in a row of a Jacobian
        int begin, end;        // the outer bits

        Weights(const ProgramView& p, const Space& space, int s)
            : begin(p.sweep_bits[s]), end(p.sweep_bits[s] + p.sweep_outer_bits[s]) {
            V* weight = space.block_weight;
            weight[0] = V{};
            for (int i = p.sweep_lane_run_begin[s]; i < p.sweep_lane_run_begin[s + 1]; ++i) {
                const int r = p.sweep_lane_run[i];
                weight[0] += cotangent(p, space, r) * Absorb::cosine(space, r) * signs(p, r);
            }
            for (int q = 0; q < end; ++q) {
                amount[q] = z[q] = V{};
                const int i = p.sweep_run_begin[s] + q - p.sweep_near_bits[s];
                if (i >= p.sweep_run_begin[s] && i < p.sweep_run_begin[s + 1]) {
                    const int r = p.sweep_run[i];
                    const V c = cotangent(p, space, r);
                    amount[q] = c * Absorb::sine(space, r);
                    z[q] = c * Absorb::cosine(space, r) * signs(p, r);
                    flipped |= uint32_t(any(value_of(c) != 0)) << q;
                }
                for (size_t j = 0; q < begin && j < size_t(1) << q; ++j) {
                    weight[j + (size_t(1) << q)] = weight[j] - z[q];
                    weight[j] += z[q];
                }
            }
        }
        V of_part(size_t place) const {
            V sum{};
            for (int q = begin; q < end; ++q) sum += place >> q & 1 ? -z[q] : z[q];
            return sum;
        }
    };

    // bra -= sum_q amount_q X_q ket on `count` bits of a block; at first also bra += (weight + more) ket. The bra may
    // start here.
    template <int count, bool is_first, bool starts = false>
    [[gnu::noinline]] static void add_flipped(int bits, int first, const V* amount, const V* weight, V more,
                                              const C* ket, C* bra) {
        S::template for_each_place<count>(bits, first, [&](size_t index) {
            const auto add = [&](V C::* component) {
                V k[1 << count];
#pragma GCC unroll 8
                for (int i = 0; i < 1 << count; ++i) k[i] = in_register(ket[index + (size_t(i) << first)].*component);
#pragma GCC unroll 8
                for (int i = 0; i < 1 << count; ++i) {
                    const size_t at = index + (size_t(i) << first);
                    V sum{};
                    if constexpr (!starts) sum = bra[at].*component;
                    if constexpr (is_first) sum += (weight[at] + more) * k[i];
#pragma GCC unroll 3
                    for (int q = 0; q < count; ++q) sum -= amount[first + q] * k[i ^ 1 << q];
                    bra[at].*component = sum;
                }
            };
            add(&C::re);
            add(&C::im);
        });
    }

    // bra -= sum_q amount_q (ket of the part across outer bit q), for `count` outer bits.
    template <int count>
    [[gnu::noinline]] static void add_across(int bits, const int* outer, const V* amount, const C* ket, size_t place,
                                             C* bra) {
        V a[count];
        const C* across[count];
        for (int q = 0; q < count; ++q) {
            a[q] = amount[outer[q]];
            across[q] = ket + (place ^ size_t(1) << outer[q]);
        }
        for (size_t j = 0; j < size_t(1) << bits; ++j) {
            V re = bra[j].re, im = bra[j].im;
#pragma GCC unroll 4
            for (int q = 0; q < count; ++q) {
                re -= a[q] * across[q][j].re;
                im -= a[q] * across[q][j].im;
            }
            bra[j] = {re, im};
        }
    }

    // A part of the bra before the layer (but for its phase), from the kets of all parts.
    static void add_part(const ProgramView& p, const Space& space, int s, const Weights& weights, bool starts,
                         const C* ket, size_t place, C* bra) {
        const int near = p.sweep_near_bits[s], bits = p.sweep_bits[s], all = bits + p.sweep_outer_bits[s];
        const V *amount = weights.amount, *weight = space.block_weight, more = weights.of_part(place);
        const auto add_first = [&](int first, auto count) {
            if (starts)
                add_flipped<count.value, true, true>(bits, first, amount, weight, more, ket + place, bra);
            else
                add_flipped<count.value, true>(bits, first, amount, weight, more, ket + place, bra);
        };
        for_each_pass<false>(p, s, [&](int first, auto count) {
            const bool counts = weights.flipped >> first & ((1 << count.value) - 1);
            if (first == near && counts)
                add_first(first, count);
            else if (first == near)
                add_first(first, std::integral_constant<int, 0>{});
            else if (counts)
                add_flipped<count.value, false>(bits, first, amount, weight, more, ket + place, bra);
        });
        int across[16], count = 0;
        for (int q = bits; q < all; ++q)
            if (weights.flipped >> q & 1) across[count++] = q;
        const int* bit = across;
        for (; count >= 4; bit += 4, count -= 4) add_across<4>(bits, bit, amount, ket, place, bra);
        if (count == 3) add_across<3>(bits, bit, amount, ket, place, bra);
        if (count == 2) add_across<2>(bits, bit, amount, ket, place, bra);
        if (count == 1) add_across<1>(bits, bit, amount, ket, place, bra);
        add_flipped_lanes(p, space, s, ket, place, bra);
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
                    add_part(p, space, s, weights, starts, block_ket, place, own);
                    const typename S::Coset to{space.next_bra, part, offset, part};
                    if (starts && phase == 0 && space.streams_bra)
                        S::copy_block(own, bits, typename S::StreamedCoset{to});
                    else
                        S::store_block(p, space, phase, own, bits, to);
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

    static void add_flipped_lanes(const ProgramView& p, const Space& space, int s, const C* ket, size_t place, C* bra) {
        if constexpr (L::is_spread)
            S::for_each_lane_pass(p, s, [&](int first, auto count) {
                const int32_t* runs = p.sweep_lane_run + first;
                V amount[count.value];
                for (int i = 0; i < count.value; ++i) amount[i] = cotangent(p, space, runs[i]) * sine(space, runs[i]);
                add_flipped_in_lanes<count.value>(p, first, p.sweep_bits[s], amount, ket, place, bra);
            });
    }

    template <int count>
    [[gnu::noinline]] static void add_flipped_in_lanes(const ProgramView& p, int first, int bits, const V* amount,
                                                       const C* ket, size_t place, C* bra) {
        for (size_t j = 0; j < size_t(1) << bits; ++j) {
            V re = bra[j].re, im = bra[j].im;
#pragma GCC unroll 2
            for (int i = 0; i < count; ++i) {
                const C& k = ket[(place + j) ^ p.sweep_lane_partner[first + i]];
                re -= amount[i] * flip_lanes<Real, lanes>(k.re, p.sweep_lane_flip[first + i]);
                im -= amount[i] * flip_lanes<Real, lanes>(k.im, p.sweep_lane_flip[first + i]);
            }
            bra[j] = {re, im};
        }
    }
};
