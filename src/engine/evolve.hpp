// A tile from angles to values, and back to gradients. Included by isa/*.cpp.
//
// The adjoint pass follows Jones and Gacon (arXiv:2009.02823): with b the adjoint state pulled back to just after
// exp(-i theta/2 P) and k the ket there, d<O>/d theta = Im<b|P|k>.

template <class Real, int lanes, bool spread>
struct Evolve {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using Space = Workspace<Real, lanes, spread>;
    using A = Angles<Real, lanes, spread>;
    using L = Layout<lanes, spread>;
    using S = Sweep<Real, lanes, spread>;
    using O = Observable<Real, lanes, spread>;
    using W = Walsh<Real, lanes, spread>;

    static size_t scratch_bytes(const ProgramView& program, Mode mode) { return Space(program, mode, nullptr).bytes; }

    // The first layer acts on |0...0>: a product state, cosine or sine for every run. Cost 2^runs.
    static void product_state(const ProgramView& p, const Space& space, C* ket) {
        const int num_runs = p.num_layers == 0 ? 0 : p.layer_run_begin[1];
        if (num_runs < p.num_qubits) __builtin_memset(static_cast<void*>(ket), 0, L::vectors(p.num_qubits) * sizeof(C));
        if constexpr (spread) {
            __builtin_memset(static_cast<void*>(ket), 0, sizeof(C));
            ket[0].re[0] = 1;
        } else {
            ket[0] = {broadcast<Real, lanes>(1), V{}};
        }
        for (int r = 0; r < num_runs; ++r) {
            // Runs that flip lanes only come first, then those that reach new vectors.
            const auto& run = space.run[p.product_run[r]];
            const uint32_t flip = p.run_x[p.product_run[r]];
            if (r < p.num_product_lane_runs) {
                ket[0].re = run.cosine * ket[0].re + run.sine * flip_lanes<Real, lanes>(ket[0].re, flip);
                continue;
            }
            uint32_t index = 0;
            for (uint32_t j = 0;;) {
                const V amplitude = ket[index >> L::lane_bits].re;
                const uint32_t flipped = index ^ flip;
                ket[index >> L::lane_bits] = {run.cosine * amplitude, V{}};
                ket[flipped >> L::lane_bits] = {run.sine * L::element(&amplitude, flip & L::lane_mask), V{}};
                if (++j == uint32_t(1) << (r - p.num_product_lane_runs)) break;
                // Gray code over the runs before
                index ^= p.run_x[p.product_run[p.num_product_lane_runs + __builtin_ctz(j)]];
            }
        }
    }

    // The ket after layer 1, 2, ..., L and, where it matters, after the last phase; returns the last of them.
    static C* forward(const ProgramView& p, Space& space) {
        C* ket = space.ket;
        product_state(p, space, ket);
        for (int layer = 1; layer < p.num_layers; ++layer) {
            C* target = ket + space.ket_stride;
            for (int s = p.layer_sweep_begin[layer]; s < p.layer_sweep_begin[layer + 1]; ++s) {
                const bool is_first = s == p.layer_sweep_begin[layer];
                S::forward(p, space, s, is_first ? layer : 0, is_first ? ket : target, target);
            }
            ket = target;
        }
        if (!p.last_phase_acts || p.num_layers == 0) return ket;
        S::forward(p, space, p.layer_sweep_begin[p.num_layers], p.num_layers, ket, ket + space.ket_stride);
        return ket + space.ket_stride;
    }

    // Gradients of rotations of their own in the phase that follows `layer`: all of them from one transform.
    static void phase_gradients(const Tile<Real>& tile, Space& space, int layer, const C* ket) {
        const ProgramView& p = *tile.program;
        const int phase = layer + 1;
        const uint32_t dimension = uint32_t(L::vectors(p.num_qubits));
        for (uint32_t i = 0; i < dimension; ++i)
            space.weight[i] = space.bra[i].re * ket[i].im - space.bra[i].im * ket[i].re;
        W::transform(space.weight, p.num_qubits);
        for (int c = p.group_character_begin[p.phase_group_begin[phase]];
             c < p.group_character_begin[p.phase_group_begin[phase + 1]]; ++c) {
            for (int s = p.character_source_begin[c]; s < p.character_source_begin[c + 1]; ++s)
                if (p.source_kind[s] == source_rotation)
                    space.angle_gradient[p.source_index[s]] += W::coefficient(space.weight, p.character_mask[c]);
        }
    }

    // From the moments of a run right after its RY to the gradient of every rotation in it: carry the moments, which
    // turn like a Bloch vector, through the left diagonal and back through the rotations.
    static void run_gradients(const ProgramView& p, Space& space, int r, typename S::Moments moments) {
        const auto& run = space.run[r];
        V x = moments.x, y = moments.y, z = moments.z;
        const auto turn = [](V& from, V& to, V cosine, V sine) {
            const V before = from;
            from = cosine * before - sine * to;
            to = sine * before + cosine * to;
        };
        if (!p.run_is_real[r]) turn(x, y, run.left.re, run.left.im);
        for (int g = p.run_gate_begin[r + 1] - 1; g >= p.run_gate_begin[r]; --g) {
            const int angle = p.gate_angle[g];
            const auto [s, c] = space.half[angle];
            const V cosine = c * c - s * s, sine = -(Real(2) * c * s);
            switch (p.gate_axis[g]) {
                case axis_x:
                    space.angle_gradient[angle] += x;
                    turn(y, z, cosine, sine);
                    break;
                case axis_y:
                    space.angle_gradient[angle] += y;
                    turn(z, x, cosine, sine);
                    break;
                default:
                    space.angle_gradient[angle] += z;
                    turn(x, y, cosine, sine);
            }
        }
    }

    // One sweep of the adjoint pass: gradients of its runs, then both states go back before it.
    static void adjoint_sweep(const Tile<Real>& tile, Space& space, int s, int layer, C* ket, bool undo, V scale) {
        const ProgramView& p = *tile.program;
        const bool is_first = s == p.layer_sweep_begin[layer];
        const bool undo_ket = undo && (!is_first || tile.mode == Mode::gradient_undoing_kets);
        const int phase = undo && is_first ? layer : 0;
        const int bits = p.sweep_bits[s];
        const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
        typename S::Moments moments[16] = {}, lane_moments[8] = {};
        bool wanted = false, with_x = false;
        for_each_run(p, s, [&](int r, int) {
            wanted |= bool(tile.wanted->run[r]);
            with_x |= tile.wanted->run[r] && !p.run_is_real[r];
        });
        if (!wanted && !undo) return;
        S::for_each_coset(p, space, s, phase, [&](uint32_t base) {
            const typename S::Coset bra_coset{space.bra, base, offset}, ket_coset{ket, base, offset};
            if (wanted) {
                S::add_all_moments(space, bits, with_x, bra_coset, ket_coset, moments);
                for (int i = p.sweep_lane_run_begin[s]; spread && i < p.sweep_lane_run_begin[s + 1]; ++i)
                    S::add_lane_moments(bits, p.run_x[p.sweep_lane_run[i]], space.block_bra, space.block_ket,
                                        lane_moments[i - p.sweep_lane_run_begin[s]]);
                using Block = typename S::Block;
                if (undo) S::undo(p, space, s, phase, Block{space.block_bra}, bra_coset, space.block_bra);
                if (undo_ket) S::undo(p, space, s, phase, Block{space.block_ket}, ket_coset, space.block_ket);
            } else {
                S::undo(p, space, s, phase, bra_coset, bra_coset, space.block_bra);
                if (undo_ket) S::undo(p, space, s, phase, ket_coset, ket_coset, space.block_ket);
            }
        });
        const V square = scale * scale;
        for_each_run(p, s, [&](int r, int position) {
            if (!tile.wanted->run[r]) return;
            typename S::Moments found = position < 16 ? moments[position] : lane_moments[position - 16];
            if constexpr (spread) {
                const V signs = lane_signs<Real, lanes>(p.run_z[r] & L::lane_mask);
                found = {W::sum_over_state(found.x), W::sum_over_state(found.y * signs),
                         W::sum_over_state(found.z * signs)};
            }
            run_gradients(p, space, r, {found.x * square, found.y * square, found.z * square});
        });
    }

    // Calls visit(run, position) for the runs of a sweep: positions from 0 on for those on bits of the block, from 16
    // on for those that flip lanes only.
    template <class Visit>
    static void for_each_run(const ProgramView& p, int s, Visit visit) {
        for (int i = p.sweep_run_begin[s]; i < p.sweep_run_begin[s + 1]; ++i)
            visit(p.sweep_run[i], i - p.sweep_run_begin[s]);
        for (int i = p.sweep_lane_run_begin[s]; i < p.sweep_lane_run_begin[s + 1]; ++i)
            visit(p.sweep_lane_run[i], 16 + i - p.sweep_lane_run_begin[s]);
    }

    static void adjoint_layer(const Tile<Real>& tile, Space& space, int layer, C* ket) {
        const ProgramView& p = *tile.program;
        if (tile.wanted->phase[layer + 1]) phase_gradients(tile, space, layer, ket);
        const bool undo = layer > tile.wanted->first_layer;
        // What bra and ket lack since sweeps of this layer were undone by tangent.
        V scale = broadcast<Real, lanes>(1);
        for (int s = p.layer_sweep_begin[layer + 1] - 1; s >= p.layer_sweep_begin[layer]; --s) {
            adjoint_sweep(tile, space, s, layer, ket, undo, scale);
            for_each_run(p, s, [&](int r, int) {
                if (undo && space.run[r].by_tangent) scale *= space.run[r].cosine;
            });
        }
    }

    static void values(const Tile<Real>& tile) {
        Space space(*tile.program, tile.mode, tile.scratch);
        A::prepare(tile, space);
        O::values(tile, space, forward(*tile.program, space));
    }

    static void vector_jacobian_product(const Tile<Real>& tile) {
        const ProgramView& p = *tile.program;
        Space space(p, tile.mode, tile.scratch);
        A::prepare(tile, space);
        C* last = forward(p, space);
        O::adjoint_state(tile, space, last, space.bra);
        for (int a = 0; a < p.num_angles; ++a) space.angle_gradient[a] = V{};
        if (p.last_phase_acts && p.num_layers > 0) {
            const int s = p.layer_sweep_begin[p.num_layers];
            const uint32_t* offset = p.sweep_offset + p.sweep_offset_begin[s];
            const auto undo = [&](C* state) {
                S::for_each_coset(p, space, s, p.num_layers, [&](uint32_t base) {
                    const typename S::Coset coset{state, base, offset};
                    S::undo(p, space, s, p.num_layers, coset, coset, space.block_bra);
                });
            };
            undo(space.bra);
            if (tile.mode == Mode::gradient_undoing_kets) undo(space.ket);
        }
        for (int layer = p.num_layers - 1; layer >= tile.wanted->first_layer; --layer)
            adjoint_layer(tile, space, layer, space.ket + layer * space.ket_stride);
        A::pull_back(tile, space);
    }

    static constexpr Kernel<Real> kernel{lanes, L::lane_bits, scratch_bytes, values, vector_jacobian_product};
};
