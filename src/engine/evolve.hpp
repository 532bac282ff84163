// A tile from angles to values, and back to gradients. Included by isa/*.cpp.
//
// The adjoint pass follows Jones and Gacon (arXiv:2009.02823): with b the adjoint state pulled back to just after
// exp(-i theta/2 P) and k the ket there, d<O>/d theta = Im<b|P|k>.

template <class Real, int lanes, int lane_bits>
struct Evolve {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using Value = Vector<Number, lanes>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using A = Angles<Real, lanes, lane_bits>;
    using L = Layout<lanes, lane_bits>;
    using S = Sweep<Real, lanes, lane_bits>;
    using B = BraKet<Real, lanes, lane_bits>;
    using O = Observable<Real, lanes, lane_bits>;
    using Out = Outputs<Real, lanes, lane_bits>;
    using W = Walsh<Real, lanes, lane_bits>;
    using Absorbed = Absorb<Real, lanes, lane_bits>;
    using J = Join<Real, lanes, lane_bits>;
    using U = Unjoined<Real, lanes, lane_bits>;

    static size_t scratch_bytes(const ProgramView& program, const Storage& storage) {
        return empty(program, storage).bytes;
    }
    static size_t tape_bytes(const ProgramView& program, const Storage& storage) {
        return empty(program, storage).tape_bytes;
    }
    static size_t shared_bytes(const ProgramView& program, const Storage& storage) {
        return empty(program, storage).shared_bytes;
    }
    static size_t shared_tape_bytes(const ProgramView& program, const Storage& storage) {
        return empty(program, storage).shared_tape_bytes;
    }
    static Space empty(const ProgramView& program, const Storage& storage) {
        return Space(program, storage, nullptr, nullptr, nullptr, nullptr);
    }

    // The first layer acts on |0...0>: a product state, cosine or sine for every run. Cost 2^runs.
    static void product_state(const ProgramView& p, const Space& space, C* ket) {
        const int num_runs = p.num_layers == 0 ? 0 : p.layer_run_begin[1];
        const Team& team = space.team;
        if constexpr (L::is_spread)
            if (p.product_is_scattered) {
                if (team.rank == 0) scatter_product(p, space, ket);
                return team.meet();
            }
        if (num_runs < p.num_qubits) {
            const auto [begin, end] = team.share(L::vectors(p.num_qubits));
            __builtin_memset(static_cast<void*>(ket + begin), 0, (end - begin) * sizeof(C));
            team.meet();
        }
        if (team.rank > 0) {
            // the first amplitudes are not worth a meeting
        } else {
            ket[0] = {V{}, V{}};
            L::template set_element<Real>(ket[0].re, 0, broadcast<Real, lanes>(1));
        }
        for (int r = 0; r < num_runs; ++r) {
            // Runs that flip lanes only come first, then those that reach new vectors.
            const auto& run = space.run[p.product_run[r]];
            const Column column = column_of(run);
            const uint32_t flip = p.product_flip[r];
            if (r < p.num_product_lane_runs) {
                if (team.rank > 0) continue;
                if constexpr (L::is_spread)
                    ket[0].re = run.cosine * ket[0].re + run.sine * flip_lanes<Real, lanes>(ket[0].re, flip);
                continue;
            }
            const uint32_t* reached = p.product_flip + p.num_product_lane_runs;
            const uint64_t count = uint64_t(1) << (r - p.num_product_lane_runs);
            if (count < least_shared_vectors && team.rank > 0) continue;
            if (count == least_shared_vectors) team.meet();
            const Team::Share share = count < least_shared_vectors ? Team::Share{0, count} : team.share(count);
            // Gray code over the runs before
            uint32_t index = 0;
            for (int bit = 0; share.begin >> bit != 0; ++bit)
                if ((share.begin ^ share.begin >> 1) >> bit & 1) index ^= reached[bit];
            for (uint64_t j = share.begin; j < share.end; ++j) {
                if (j > share.begin) index ^= reached[__builtin_ctzll(j)];
                const C amplitude = ket[index >> L::lane_bits];
                const uint32_t flipped = index ^ flip;
                ket[index >> L::lane_bits] = column.zero(amplitude);
                ket[flipped >> L::lane_bits] = column.one(L::element(&amplitude, flip & L::lane_mask));
            }
            if (count >= least_shared_vectors) team.meet();
        }
        team.meet();
    }

    // The state of a qubit after the RY of a run, from |0>: real, unless it moves.
    struct StillColumn {
        V cosine, sine;
        [[gnu::always_inline]] C zero(const C& amplitude) const { return {cosine * amplitude.re, V{}}; }
        [[gnu::always_inline]] C one(const C& amplitude) const { return {sine * amplitude.re, V{}}; }
    };
    struct MovedColumn {
        C first, second;
        [[gnu::always_inline]] C zero(const C& k) const { return product<false, Real, lanes>(first, k); }
        [[gnu::always_inline]] C one(const C& k) const { return product<false, Real, lanes>(second, k); }
    };
    using Column = std::conditional_t<is_jet<Real>, MovedColumn, StillColumn>;
    static Column column_of(const RunFactors<Real, lanes>& run) {
        if constexpr (is_jet<Real>) {
            Column column{{run.cosine, V{}}, {run.sine, V{}}};
            MoveOf<Real, lanes>::template pair<false>(run.motion, column.first.re, column.first.im, column.second.re,
                                                      column.second.im);
            return column;
        } else {
            return {run.cosine, run.sine};
        }
    }

    // The same one amplitude at a time, where flips reach no vectors of their own.
    static void scatter_product([[maybe_unused]] const ProgramView& p, [[maybe_unused]] const Space& space,
                                [[maybe_unused]] C* ket)
        requires L::is_spread
    {
        __builtin_memset(static_cast<void*>(ket), 0, L::vectors(p.num_qubits) * sizeof(C));
        L::template set_element<Real>(ket[0].re, 0, broadcast<Real, lanes>(1));
        for (int r = 0; r < p.layer_run_begin[1]; ++r) {
            const auto& run = space.run[p.product_run[r]];
            uint32_t index = 0;
            for (uint32_t j = 0; j < uint32_t(1) << r; ++j) {
                if (j > 0) index ^= p.product_flip[__builtin_ctz(j)];
                const uint32_t flipped = index ^ p.product_flip[r];
                const V amplitude = L::template in_all_lanes<Real>(ket[index >> L::lane_bits].re, index & L::lane_mask);
                const auto set = [&](uint32_t i, const V& value) {
                    L::template set_element<Real>(ket[i >> L::lane_bits].re, i & L::lane_mask, value);
                };
                set(index, run.cosine * amplitude);
                set(flipped, run.sine * amplitude);
            }
        }
    }

    // From so many vectors on, the threads of a team fill a product state together.
    static constexpr uint64_t least_shared_vectors = 1024;

    // Layers begin to end - 1, from the ket before them.
    static void apply_layers(const ProgramView& p, Space& space, int begin, int end) {
        if (begin == 0) product_state(p, space, space.ket(0));
        for (int layer = begin == 0 ? 1 : begin; layer < end; ++layer) {
            int from = Space::ket_after_layer(p, layer - 1);
            for (int s = p.layer_sweep_begin[layer]; s < p.layer_sweep_begin[layer + 1]; ++s) {
                const int phase = s == p.layer_sweep_begin[layer] ? layer : 0;
                S::forward(p, space, s, phase, space.ket(from), space.ket(p.sweep_ket[s]));
                from = p.sweep_ket[s];
            }
        }
    }

    // The first tile does it for all.
    static void apply_shared_layers(const Tile<Real>& tile, Space& space) {
        if (tile.first && space.shared_layers > 0) apply_layers(*tile.program, space, 0, space.shared_layers);
    }

    // One of the halves that the circuit starts from, as a tile of its own.
    static Tile<Real> half_of(const Tile<Real>& tile, const Space& space, int i) {
        const ProgramView& p = *tile.program;
        Tile<Real> half = tile;
        half.program = p.half[i];
        half.storage = Space::of_half(tile.storage);
        half.scratch = space.half_scratch[i];
        half.tape = space.half_tape[i];
        const bool is_shared = p.is_unjoined && tile.storage.is_team;
        const void *first = is_shared ? tile.first_shared_tape : tile.first_tape,
                   *own = is_shared ? tile.shared_tape : tile.tape;
        half.first_tape = static_cast<const char*>(first) + (space.half_tape[i] - static_cast<const char*>(own));
        half.team = {};
        if (tile.wanted != nullptr) half.wanted = tile.wanted->half[i];
        if (tile.prefix_bra != nullptr && i == 1) half.prefix_bra += size_t(2) << p.half[0]->num_qubits;
        return half;
    }

    static const C* run_half(const Tile<Real>& tile, Space& space, int i) {
        const Tile<Real> half = half_of(tile, space, i);
        Space own(half);
        A::prepare(half, own);
        return forward(half, own);
    }

    // The first ket, from the halves.
    static void join_halves(const Tile<Real>& tile, Space& space) {
        const C *low = run_half(tile, space, 0), *high = run_half(tile, space, 1);
        J::join(*tile.program, space, low, high, space.ket(0));
    }

    // Calls visit(i) for halves that are this thread's: all, but for those that the threads of a team share out.
    template <class Visit>
    static void for_each_half(const ProgramView& p, const Space& space, Visit visit) {
        const auto [begin, end] = p.is_unjoined ? space.team.share(2) : Team::Share{0, 2};
        for (uint64_t i = begin; i < end; ++i) visit(int(i));
    }

    // Runs the halves, and measures the words that they are read by, unless a tape has what they are read for.
    static void measure_halves(const Tile<Real>& tile, Space& space) {
        if constexpr (!is_jet<Real>) {
            const ProgramView& p = *tile.program;
            for_each_half(p, space, [&](int i) { run_half(tile, space, i); });
            space.team.meet();
            if (tile.recorded) return;
            const typename U::Half half[2] = {unjoined_half(tile, space, 0), unjoined_half(tile, space, 1)};
            U::measure(p, space, half);
            if (absorbs<Real>(p)) U::fill_bloch(p, space);
        }
    }

    static auto unjoined_half(const Tile<Real>& tile, const Space& space, int i) {
        const Tile<Real> half = half_of(tile, space, i);
        const Space own(half);
        return typename U::Half{last_ket(half, own), own.bra,
                                L::vectors(half.program->num_qubits - tile.program->glue_bits)};
    }

    // All layers, and the last phase where it matters; returns the last ket, if there is one.
    static C* forward(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        if (p.is_unjoined) {
            measure_halves(tile, space);
            return nullptr;
        }
        apply_shared_layers(tile, space);
        const int last = Space::num_kets(p) - 1, end = absorbs<Real>(p) ? p.num_layers - 1 : p.num_layers;
        if (p.half[0] != nullptr) join_halves(tile, space);
        apply_layers(p, space, p.half[0] != nullptr ? 1 : space.shared_layers, end);
        if (absorbs<Real>(p) && tile.recorded)
            Absorbed::apply_phase(p, space, space.ket(last - 1), space.ket(last));
        else if (absorbs<Real>(p))
            Absorbed::measure(tile, space, space.ket(last - 1), space.ket(last));
        if (p.last_phase_acts && p.num_layers > 0)
            S::forward(p, space, p.layer_sweep_begin[p.num_layers], p.num_layers, space.ket(last - 1), space.ket(last));
        return space.ket(last);
    }

    // Gradients of rotations of their own in the phase that follows `layer`: from sums over energies, or all of them
    // from one transform.
    static void phase_gradients(const Tile<Real>& tile, Space& space, int layer) {
        const ProgramView& p = *tile.program;
        const C* ket = space.ket(Space::ket_after_layer(p, layer));
        const int phase = layer + 1;
        const auto weight = [&](uint64_t i) { return space.bra[i].re * ket[i].im - space.bra[i].im * ket[i].re; };
        if (p.phase_sum_begin[phase] < p.phase_sum_begin[phase + 1]) {
            for (int s = p.phase_sum_begin[phase]; s < p.phase_sum_begin[phase + 1]; ++s)
                space.angle_gradient[p.phase_sum_angle[s]] +=
                    W::sum_of_energies(space.team, p, p.phase_sum_energy[s], weight);
            return space.team.meet();
        }
        const auto [begin, end] = space.team.share(L::vectors(p.num_qubits));
        for (uint64_t i = begin; i < end; ++i) space.weight[i] = weight(i);
        W::transform(space.team, space.weight, p.num_qubits);
        for (int c = p.phase_character_begin[phase]; c < p.phase_character_begin[phase + 1]; ++c) {
            for (int s = p.character_source_begin[c]; s < p.character_source_begin[c + 1]; ++s)
                if (p.source_kind[s] == source_rotation)
                    space.angle_gradient[p.source_index[s]] +=
                        W::coefficient(space.team, space.weight, p.character_mask[c]);
        }
        space.team.meet();
    }

    // Moments after the RY of a run, and what moves there, from those before it.
    static Moments<Real, lanes> turned(const Space& space, int r, const Moments<Real, lanes>& before) {
        const V cosine = Absorbed::cosine(space, r), sine = Absorbed::sine(space, r);
        const Moments<Real, lanes> after{cosine * before.x + sine * before.z, before.y,
                                         cosine * before.z - sine * before.x};
        if constexpr (is_jet<Real>)
            return MoveOf<Real, lanes>::template bloch<false>(space.run[r].motion, after);
        else
            return after;
    }

    // From the moments of a run right after its RY to the gradient of every rotation in it: carry the moments, which
    // turn like a Bloch vector, through the left diagonal and back through the rotations.
    static void run_gradients(const ProgramView& p, Space& space, int r, Moments<Real, lanes> moments) {
        const auto& run = space.run[r];
        V x = moments.x, y = moments.y, z = moments.z;
        if (!p.run_is_real[r]) A::turn(x, y, run.left.re, run.left.im);
        for (int g = p.run_gate_begin[r + 1] - 1; g >= p.run_gate_begin[r]; --g) {
            const int angle = p.gate_angle[g];
            const auto [s, c] = space.half[angle];
            const V cosine = c * c - s * s, sine = -(Number(2) * c * s);
            switch (p.gate_axis[g]) {
                case axis_x:
                    space.angle_gradient[angle] += x;
                    A::turn(y, z, cosine, sine);
                    break;
                case axis_y:
                    space.angle_gradient[angle] += y;
                    A::turn(z, x, cosine, sine);
                    break;
                default:
                    space.angle_gradient[angle] += z;
                    A::turn(x, y, cosine, sine);
            }
        }
    }

    // One sweep of the adjoint pass: gradients of its runs, then the bra, and the ket if it is the only one, go back
    // before it. The first of several sweeps has no ket after it that is kept: there the bra goes first, to meet the
    // ket before the layer.
    static void adjoint_sweep(const Tile<Real>& tile, Space& space, int s, int layer, bool undo, Value scale) {
        const ProgramView& p = *tile.program;
        const bool undo_ket = undo && space.undoes_ket(p, layer);
        const bool is_first = s == p.layer_sweep_begin[layer], is_last = s + 1 == p.layer_sweep_begin[layer + 1];
        const bool meets_before = undo && !undo_ket && is_first && !is_last;
        // Where nothing is undone, all sweeps meet at the end of the layer.
        C* ket = space.ket(meets_before ? Space::ket_after_layer(p, layer - 1)
                           : undo       ? p.sweep_ket[s]
                                        : Space::ket_after_layer(p, layer));
        const int phase = undo && is_first ? layer : 0;
        typename B::Gathered gathered{};
        bool wanted = false;
        for_each_run(p, s, [&](int r, int) {
            wanted |= bool(tile.wanted->run[r]);
            const bool with_z = tile.wanted->run[r] && !p.run_is_real[r];
            gathered.with_z |= with_z;
            // Moments before a run need X to turn them, and so do those of angles that move.
            gathered.with_x |= with_z && (is_jet<Real> || meets_before || !p.run_is_turned[r]);
        });
        if (!wanted && !undo) return;
        C* ket_before = p.in_order && undo_ket ? space.ket(Space::ket_after_layer(p, layer - 1)) : ket;
        S::for_each_coset(p, space, s, phase, [&](uint32_t base, size_t place) {
            if (wanted && meets_before) return B::meet_before(p, space, s, phase, base, ket, gathered);
            using Block = typename S::Block;
            const Block bra_block{S::block_of(p, space.bra, place, space.block_bra)},
                ket_block{S::block_of(p, ket, place, space.block_ket)};
            if (wanted) B::add_all_moments(p, space, s, base, ket, {bra_block, ket_block}, gathered);
            const bool is_loaded = wanted || p.in_order;
            if (undo)
                S::undo_state(p, space, s, phase, base, space.bra, space.next_bra, space.fetches_states,
                              bra_block.block, is_loaded);
            if (undo_ket)
                S::undo_state(p, space, s, phase, base, ket, ket_before, space.fetches_kets, ket_block.block,
                              is_loaded);
        });
        if (undo) space.take_next_bra();
        const Value square = scale * scale;
        for_each_run(p, s, [&](int r, int position) {
            if (!tile.wanted->run[r]) return;
            Moments<Real, lanes> found =
                position < 16 ? gathered.moments[position] : gathered.lane_moments[position - 16];
            if constexpr (L::is_spread) {
                const V signs = L::template signs<Real>(p.run_z[r]);
                found = {W::sum_over_state(found.x), W::sum_over_state(found.y * signs),
                         W::sum_over_state(found.z * signs)};
            }
            if (meets_before) found = turned(space, r, found);
            run_gradients(p, space, r, {found.x * square, found.y * square, found.z * square});
        });
    }

    // Calls visit(run, position) for the runs of a sweep: positions from 0 on for those on bits of the block, from 16
    // on for lane runs.
    template <class Visit>
    static void for_each_run(const ProgramView& p, int s, Visit visit) {
        for (int i = p.sweep_run_begin[s]; i < p.sweep_run_begin[s + 1]; ++i)
            visit(p.sweep_run[i], i - p.sweep_run_begin[s]);
        for (int i = p.sweep_lane_run_begin[s]; i < p.sweep_lane_run_begin[s + 1]; ++i)
            visit(p.sweep_lane_run[i], 16 + i - p.sweep_lane_run_begin[s]);
    }

    static void adjoint_layer(const Tile<Real>& tile, Space& space, int layer) {
        const ProgramView& p = *tile.program;
        const bool undo = layer > tile.wanted->first_layer;
        const bool undo_ket = undo && space.undoes_ket(p, layer);
        // What bra and ket both lack since sweeps of this layer were undone by tangent. A kept ket has gained from the
        // sweeps up to its own what the bra lacks from those after it.
        Value scale = broadcast<Number, lanes>(1);
        for (int s = p.layer_sweep_begin[layer + 1] - 1; s >= p.layer_sweep_begin[layer]; --s) {
            adjoint_sweep(tile, space, s, layer, undo, scale);
            for_each_run(p, s, [&](int r, int) {
                if (undo_ket && space.run[r].by_tangent) scale *= space.run[r].cosine;
            });
        }
    }

    static void values(const Tile<Real>& tile) {
        Space space(tile);
        A::prepare(tile, space);
        const C* ket = forward(tile, space);
        if constexpr (!is_jet<Real>)
            if (tile.program->is_unjoined) return U::read(tile, space);
        Out::read(tile, space, ket);
    }

    // The bra before an absorbed last layer, or before a last phase that acts, and the gradients of that layer.
    static void start_adjoint(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        const int number = Space::num_kets(p) - 1;
        C* last = space.ket(number);
        if (absorbs<Real>(p)) {
            Absorbed::sum_cotangents(tile, space);
            for (int r = p.layer_run_begin[p.num_layers - 1]; r < p.layer_run_begin[p.num_layers]; ++r)
                if (tile.wanted->run[r] && p.run_is_measured[r])
                    run_gradients(p, space, r, Absorbed::moments(p, space, r));
            if (tile.wanted->first_layer >= p.num_layers - 1) return;
            if constexpr (!is_jet<Real>)
                if (p.is_unjoined) return U::fill_cotangents(tile, space);
            if (p.has_unabsorbed_terms) O::seed(tile, space, last, space.bra);
            // What comes from halves has no runs before it that would need it.
            const int layer = p.num_layers - 1;
            const bool is_used = layer > 1 || p.half[0] == nullptr || tile.wanted->phase[1];
            C* ket_before = p.in_order ? space.ket(number - 1) : last;
            if (!is_used || !space.undoes_ket(p, layer)) ket_before = nullptr;
            return Absorbed::adjoint_state(p, space, last, ket_before, p.has_unabsorbed_terms);
        }
        if constexpr (!is_jet<Real>)
            if (p.is_unjoined) return U::fill_cotangents(tile, space);
        Out::seed(tile, space, last, space.bra);
        if (p.last_phase_acts && p.num_layers > 0) undo_last_phase(tile, space);
    }

    static void undo_last_phase(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        const int number = Space::num_kets(p) - 1, s = p.layer_sweep_begin[p.num_layers];
        const auto undo = [&](C* state, C* before) {
            S::for_each_coset(p, space, s, p.num_layers, [&](uint32_t base, size_t place) {
                C* block = S::block_of(p, state, place, space.block_bra);
                S::undo_state(p, space, s, p.num_layers, base, state, before, space.fetches_states, block, p.in_order);
            });
        };
        undo(space.bra, space.next_bra);
        if (tile.storage.mode == Mode::gradient_undoing_kets)
            undo(space.ket(number), space.ket(p.in_order ? number - 1 : number));
        space.take_next_bra();
    }

    // Gradients of layers end - 1 to begin and of the phases after them.
    static void adjoint_layers(const Tile<Real>& tile, Space& space, int begin, int end) {
        for (int layer = end - 1; layer >= begin; --layer) {
            if (tile.wanted->phase[layer + 1]) phase_gradients(tile, space, layer);
            adjoint_layer(tile, space, layer);
        }
    }

    static void vector_jacobian_products(const Tile<Real>& tile) {
        const ProgramView& p = *tile.program;
        Space space(tile);
        A::prepare(tile, space);
        if (runs_anew(tile))
            forward(tile, space);
        else
            apply_shared_layers(tile, space);
        Tile<Real> pass = tile;
        for (int64_t number = 1;; ++number) {
            if (number == 1 && number < tile.num_cotangents) copy_last_ket(tile, space, true);
            for (int a = 0; a < p.num_angles; ++a) space.angle_gradient[a] = V{};
            start_adjoint(pass, space);
            finish_adjoint(pass, space);
            if (number >= tile.num_cotangents) return;
            space.team.meet();  // all are done with the bra
            copy_last_ket(tile, space, false);
            pass.cotangent += tile.stride.cotangent;
            if (pass.input_gradient != nullptr) pass.input_gradient += tile.stride.input_gradient;
            if (pass.weight_gradient != nullptr) pass.weight_gradient += tile.stride.weight_gradient;
            if (pass.prefix_bra != nullptr) pass.prefix_bra += tile.stride.prefix_bra;
        }
    }

    // The last ket, and those of the halves, before an adjoint pass undoes them; or back to where they were.
    static void copy_last_ket(const Tile<Real>& tile, Space& space, bool saves) {
        const ProgramView& p = *tile.program;
        if (!tile.storage.saves_ket || tile.storage.mode != Mode::gradient_undoing_kets) return;
        if (!p.is_unjoined) {
            C* const last = space.ket(Space::num_kets(p) - 1);
            C *const from = saves ? last : space.saved_ket, *const to = saves ? space.saved_ket : last;
            space.team.meet();
            const auto [begin, end] = space.team.share(L::vectors(p.num_qubits));
            __builtin_memcpy(static_cast<void*>(to + begin), from + begin, (end - begin) * sizeof(C));
            space.team.meet();
        }
        if (p.half[0] == nullptr) return;
        for_each_half(p, space, [&](int i) {
            const Tile<Real> half = half_of(tile, space, i);
            Space own(half);
            copy_last_ket(half, own, saves);
        });
        if (p.is_unjoined) space.team.meet();
    }

    // Whether the kets of the forward pass are not on the tape.
    static bool runs_anew(const Tile<Real>& tile) { return !tile.recorded || tile.storage.taped != Taped::all; }

    // From the bra before an absorbed last layer, or before a last phase that acts, to the gradients of all variables.
    static void finish_adjoint(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        const int first = tile.wanted->first_layer, shared = space.shared_layers;
        adjoint_layers(tile, space, first > shared ? first : shared,
                       absorbs<Real>(p) ? p.num_layers - 1 : p.num_layers);
        if (first < shared) {
            if (tile.wanted->phase[shared]) phase_gradients(tile, space, shared - 1);
            add_to_prefix(tile, space);
        }
        if (p.half[0] != nullptr && first == 0 && !space.team.has_left()) add_gradients_of_halves(tile, space);
        A::pull_back(tile, space);
    }

    // From the bra after the first layer.
    static void add_gradients_of_halves(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        const Tile<Real> tiles[2] = {half_of(tile, space, 0), half_of(tile, space, 1)};
        Space low(tiles[0]), high(tiles[1]);
        if (!p.is_unjoined) {
            J::split(p, space, last_ket(tiles[0], low), last_ket(tiles[1], high), low.bra, high.bra);
        } else if constexpr (!is_jet<Real>) {
            const typename U::Half half[2] = {unjoined_half(tile, space, 0), unjoined_half(tile, space, 1)};
            U::pull_back(p, space, half);
        }
        for_each_half(p, space, [&](int i) { add_gradients_of_half(tiles[i], i == 0 ? low : high); });
    }

    static C* last_ket(const Tile<Real>& tile, const Space& space) {
        return space.ket(Space::num_kets(*tile.program) - 1);
    }

    static void add_gradients_of_half(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        if (tile.wanted->first_layer == p.num_layers) return;
        if (!runs_anew(tile)) apply_shared_layers(tile, space);
        for (int a = 0; a < p.num_angles; ++a) space.angle_gradient[a] = V{};
        undo_last_phase(tile, space);
        finish_adjoint(tile, space);
    }

    // Calls visit(place, index) for the vectors of a state after the shared prefix, and the index of their first lane:
    // that of amplitude i of a sample's lanes is `index ^ i`.
    template <class Visit>
    static void for_each_prefix_vector(const ProgramView& p, Visit visit) {
        const uint32_t* order = p.sweep_order + (p.layer_sweep_begin[p.prefix_layers] - 1) * p.num_qubits;
        size_t index = 0;
        for (size_t number = 0; number < L::vectors(p.num_qubits); ++number) {
            if (number > 0) index ^= order[L::lane_bits + __builtin_ctzll(number)];
            visit(number ^ number >> 1, index);
        }
    }

    // Adds the bras of all samples to tile.prefix_bra.
    static void add_to_prefix(const Tile<Real>& tile, const Space& space) {
        Real *re = tile.prefix_bra, *im = re + (size_t(1) << tile.program->num_qubits);
        const auto add = [](V amplitudes, Real* sum, size_t index) {
            if constexpr (L::is_spread) {
                amplitudes = flip_lanes<Real, lanes>(amplitudes, uint32_t(index) & L::lane_mask);
                sum += index & ~size_t(L::lane_mask);
                V sums{};
                __builtin_memcpy(&sums, sum, sizeof(Real) << lane_bits);
                sums += L::template sum_over_samples<Real>(amplitudes);
                __builtin_memcpy(sum, &sums, sizeof(Real) << lane_bits);
            } else {
                sum[index] += sum_of_lanes<Real, lanes>(amplitudes);
            }
        };
        for_each_prefix_vector(*tile.program, [&](size_t place, size_t index) {
            add(space.bra[place].re, re, index);
            add(space.bra[place].im, im, index);
        });
    }

    // As vector_jacobian_product from the end of the prefix on, where the gradients of its phase have been added.
    static void prefix_gradient(const Tile<Real>& tile) {
        const ProgramView& p = *tile.program;
        Space space(tile);
        A::prepare_prefix(tile, space);
        apply_layers(p, space, 0, p.prefix_layers);
        const size_t dimension = size_t(1) << p.num_qubits;
        for_each_prefix_vector(p, [&](size_t place, size_t index) {
            C& bra = space.bra[place];
            bra = {V{}, V{}};
            for (int lane = 0; lane < 1 << lane_bits; ++lane) {
                bra.re[lane] = tile.prefix_bra[index ^ size_t(lane)];
                bra.im[lane] = tile.prefix_bra[dimension + (index ^ size_t(lane))];
            }
        });
        for (int a = 0; a < p.num_angles; ++a) space.angle_gradient[a] = V{};
        adjoint_layer(tile, space, p.prefix_layers - 1);
        adjoint_layers(tile, space, tile.wanted->first_layer, p.prefix_layers - 1);
        A::pull_back(tile, space);
    }

    using Steps = Stepwise<Real, lanes, lane_bits>;
    static_assert(L::lane_bits <= most_lane_bits);
    static constexpr Kernel<Real> kernel{lanes,
                                         L::lane_bits,
                                         scratch_bytes,
                                         tape_bytes,
                                         shared_bytes,
                                         shared_tape_bytes,
                                         values,
                                         vector_jacobian_products,
                                         prefix_gradient,
                                         Steps::scratch_bytes,
                                         Steps::shared_bytes,
                                         Steps::values,
                                         Steps::vector_jacobian_product};
};
