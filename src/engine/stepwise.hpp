// A tile of a circuit that holds matrices: one step after the other, over the whole state. Included by isa/*.cpp.

template <class Real, int lanes, bool spread>
struct Stepwise {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, spread>;
    using A = Angles<Real, lanes, spread>;
    using Out = Outputs<Real, lanes, spread>;
    using W = Walsh<Real, lanes, spread>;
    using Space = Workspace<Real, lanes, spread>;
    using Step = StepView<Real>;
    using Steps = StepsView<Real>;

    // Columns of amplitudes that a matrix is multiplied with at once: what is loaded of it serves so many vectors.
    static constexpr int most_columns = 2;
    // Rows that are summed up in registers at once.
    static constexpr int rows_at_once = num_registers == 32 ? 4 : 2;
    // Cosets in a vector.
    static constexpr int cosets_at_once = spread ? lanes : 1;

    static size_t scratch_bytes(const ProgramView& p, const Steps& steps, Mode mode) {
        return panel_begin(p, mode) + size_t(steps.most_rows) * most_columns * sizeof(C);
    }

    static void values(const Tile<Real>& tile, const Steps& steps) {
        Space space(tile);
        C* ket = forward(tile, steps, space);
        Out::read(tile, space, ket);
    }

    // Undoes ket and bra together, step by step, down to step number `first_step`.
    static void vector_jacobian_product(const Tile<Real>& tile, const Steps& steps, int first_step) {
        const ProgramView& p = *tile.program;
        if (first_step == steps.num_steps && !Out::has_gradient(tile)) return;
        Space space(tile);
        C* ket = forward(tile, steps, space);
        for (int a = 0; a < p.num_angles; ++a) space.angle_gradient[a] = V{};
        Out::seed(tile, space, ket, space.bra);
        for (int s = steps.num_steps; s-- > first_step;) {
            const Step& step = steps.step[s];
            if (step.kind == step_matrix) {
                multiply<true>(p, step, panel(tile), {ket, space.bra});
                continue;
            }
            const V moment = step.kind == step_diagonal ? undo_diagonal(tile, space, step, ket)
                                                        : undo_rotation(p, space, {step, steps.controls[s]}, ket);
            if (tile.wanted->angle[step.angle]) space.angle_gradient[step.angle] += W::sum_over_state(moment);
        }
        A::pull_back(tile, space);
    }

   private:
    static size_t panel_begin(const ProgramView& p, Mode mode) {
        const Storage storage{mode, false, Taped::nothing, false};
        return (Space(p, storage, nullptr, nullptr, nullptr, nullptr).bytes + 63) / 64 * 64;
    }
    static C* panel(const Tile<Real>& tile) {
        return reinterpret_cast<C*>(static_cast<char*>(tile.scratch) + panel_begin(*tile.program, tile.storage.mode));
    }

    // The ket after all steps.
    static C* forward(const Tile<Real>& tile, const Steps& steps, Space& space) {
        const ProgramView& p = *tile.program;
        A::load_inputs(tile, space);
        if (tile.first) A::compute(tile, space, false);
        A::compute(tile, space, true);
        C* ket = space.ket(0);
        __builtin_memset(static_cast<void*>(ket), 0, L::vectors(p.num_qubits) * sizeof(C));
        if constexpr (spread)
            ket[0].re[0] = 1;
        else
            ket[0].re = broadcast<Real, lanes>(1);
        for (const Step* step = steps.step; step < steps.step + steps.num_steps; ++step) {
            if (step->kind == step_matrix)
                multiply<false>(p, *step, panel(tile), {ket, nullptr});
            else if (step->kind == step_diagonal)
                turn_diagonal(tile, space, *step, ket);
            else
                rotate(p, {*step, steps.controls[step - steps.step]}, space.half[step->angle], ket);
        }
        return ket;
    }

    struct Controlled {
        const Step& step;
        const ControlsView& controls;
    };

    static C flipped(C amplitude, uint32_t flip) {
        if constexpr (spread)
            return {flip_lanes<Real, lanes>(amplitude.re, flip), flip_lanes<Real, lanes>(amplitude.im, flip)};
        else
            return amplitude;
    }

    // factor * (-1)^{z.i} in the lanes of a vector, by the parity of its number with `high`.
    struct Signed {
        uint32_t high;
        V factor[2];

        Signed(uint32_t z, V positive) : high(z >> L::lane_bits) {
            const V even = spread ? positive * lane_signs<Real, lanes>(z & L::lane_mask) : positive;
            factor[0] = even;
            factor[1] = -even;
        }
        V operator()(uint32_t vector) const { return factor[parity(vector & high)]; }
    };

    // What exp(-i angle/2 P) makes of an amplitude and its partner's, where P takes that one to it: the sine is signed
    // for Y and Z.
    template <int kind>
    static C turned(C own, C partner, V cosine, V sine) {
        if constexpr (kind == step_y)
            return {cosine * own.re + sine * partner.re, cosine * own.im + sine * partner.im};
        else
            return {cosine * own.re + sine * partner.im, cosine * own.im - sine * partner.re};
    }

    // Share of Im<b|P|k> of one amplitude of the bra and the partner of the ket's.
    template <int kind>
    static V moment(C bra, C partner, V sign) {
        if constexpr (kind == step_y) return sign * (bra.re * partner.re + bra.im * partner.im);
        return sign * (bra.re * partner.im - bra.im * partner.re);
    }

    // 1 in the lanes of a vector that controls leave the rotation to, 0 in the others.
    template <bool controlled>
    struct Active {
        int bits;
        uint32_t high[most_lane_bits], negative;
        V mask[size_t(1) << (controlled ? L::lane_bits : 0)];

        explicit Active(const ControlsView& controls) : bits(controls.bits), negative(controls.negative) {
            mask[0] = broadcast<Real, lanes>(1);
            if constexpr (!controlled || !spread) return;
            for (int i = 0; i < bits; ++i) {
                high[i] = controls.high[i];
                const V signs = Real(0.5) * lane_signs<Real, lanes>(controls.lane[i]);
                for (uint32_t row = 0; row < uint32_t(1) << i; ++row) {
                    mask[row | uint32_t(1) << i] = mask[row] * (Real(0.5) - signs);
                    mask[row] *= Real(0.5) + signs;
                }
            }
        }
        V operator()(uint32_t vector) const {
            if constexpr (!controlled || !spread) return mask[0];
            uint32_t row = negative;
            for (int i = 0; i < bits; ++i) row ^= uint32_t(parity(vector & high[i])) << i;
            return mask[row];
        }
    };

    // Calls visit(vector, partner) for every vector that the rotation acts on, or, where it pairs vectors, for every
    // pair.
    template <bool controlled, class Visit>
    static void for_each_pair(const ProgramView& p, const Controlled& rotation, Visit visit) {
        const uint32_t high = rotation.step.x >> L::lane_bits, pivot = high & (0 - high);
        if constexpr (controlled) {
            const ControlsView& controls = rotation.controls;
            uint32_t vector = controls.first;
            for (uint32_t c = 1; c <= controls.count; ++c) {
                visit(vector, vector ^ high);
                vector ^= controls.next[__builtin_ctz(c)];
            }
            return;
        }
        const uint32_t count = uint32_t(L::vectors(p.num_qubits)) >> (high != 0);
        for (uint32_t number = 0; number < count; ++number) {
            // A zero inserted at the pivot.
            const uint32_t below = pivot == 0 ? ~uint32_t(0) : pivot - 1;
            const uint32_t vector = pivot == 0 ? number : (number & ~below) << 1 | (number & below);
            visit(vector, vector ^ high);
        }
    }

    // Calls visit(kind, whether it is controlled), which are constants to the compiler.
    template <class Visit>
    static auto with_kind(const Step& step, Visit visit) {
        using std::bool_constant, std::integral_constant;
        if (step.kind == step_z) return visit(integral_constant<int, step_z>{}, bool_constant<false>{});
        if (step.kind == step_x)
            return step.bits > 0 ? visit(integral_constant<int, step_x>{}, bool_constant<true>{})
                                 : visit(integral_constant<int, step_x>{}, bool_constant<false>{});
        return step.bits > 0 ? visit(integral_constant<int, step_y>{}, bool_constant<true>{})
                             : visit(integral_constant<int, step_y>{}, bool_constant<false>{});
    }

    static void rotate(const ProgramView& p, const Controlled& rotation, const SineCosine<Real, lanes>& half,
                       C* state) {
        with_kind(rotation.step, [&](auto kind, auto controlled) {
            rotate_about<kind.value, controlled.value>(p, rotation, half, state);
        });
    }

    // The sign of Y is that of the partner's index, which is the opposite of its own.
    template <int kind>
    static Signed signs(const Step& step, V factor) {
        return Signed(kind == step_x ? 0 : step.z, kind == step_y ? -factor : factor);
    }

    template <int kind, bool controlled>
    static void rotate_about(const ProgramView& p, const Controlled& rotation, const SineCosine<Real, lanes>& half,
                             C* state) {
        const Signed sines = signs<kind>(rotation.step, half.sine);
        const Active<controlled> active(rotation.controls);
        const uint32_t lane_flip = rotation.step.x & L::lane_mask;
        for_each_pair<controlled>(p, rotation, [&](uint32_t i, uint32_t j) {
            const V acts = active(i), cosine = acting<controlled>(acts, half.cosine), sine = acts * sines(i);
            const C own = state[i], partner = flipped(state[j], lane_flip);
            state[i] = turned<kind>(own, partner, cosine, sine);
            if (i == j) return;
            state[j] = flipped(turned<kind>(partner, own, cosine, kind == step_y ? -sine : sine), lane_flip);
        });
    }

    // 1 in lanes where the rotation does not act.
    template <bool controlled>
    static V acting(V acts, V cosine) {
        return controlled && spread ? acts * cosine + (Real(1) - acts) : cosine;
    }

    static V undo_rotation(const ProgramView& p, Space& space, const Controlled& rotation, C* ket) {
        return with_kind(rotation.step, [&](auto kind, auto controlled) {
            return undo_rotation_about<kind.value, controlled.value>(p, space, rotation, ket);
        });
    }

    template <int kind, bool controlled>
    static V undo_rotation_about(const ProgramView& p, const Space& space, const Controlled& rotation, C* ket) {
        const Step& step = rotation.step;
        const auto [s, c] = space.half[step.angle];
        const Signed sines = signs<kind>(step, -s), units = signs<kind>(step, broadcast<Real, lanes>(1));
        const Active<controlled> active(rotation.controls);
        const uint32_t lane_flip = step.x & L::lane_mask;
        C* bra = space.bra;
        V sum{};
        for_each_pair<controlled>(p, rotation, [&, c = c](uint32_t i, uint32_t j) {
            const V acts = active(i), cosine = acting<controlled>(acts, c);
            const V sine = acts * sines(i), unit = acts * units(i);
            const C k = ket[i], other_k = flipped(ket[j], lane_flip), b = bra[i], other_b = flipped(bra[j], lane_flip);
            sum += moment<kind>(b, other_k, unit);
            ket[i] = turned<kind>(k, other_k, cosine, sine);
            bra[i] = turned<kind>(b, other_b, cosine, sine);
            if (i == j) return;
            sum += moment<kind>(other_b, k, kind == step_y ? -unit : unit);
            const V other = kind == step_y ? -sine : sine;
            ket[j] = flipped(turned<kind>(other_k, k, cosine, other), lane_flip);
            bra[j] = flipped(turned<kind>(other_b, b, cosine, other), lane_flip);
        });
        return sum;
    }

    // Calls visit(row, vector, energy) for all vectors; spread, the energy differs from lane to lane and the row says
    // nothing. Otherwise all vectors of a row come one after the other.
    template <class Visit>
    static void for_each_energy(const ProgramView& p, const Step& step, Visit visit) {
        if constexpr (spread) {
            uint32_t lane_row[lanes];
            for (uint32_t lane = 0; lane < lanes; ++lane) lane_row[lane] = row_of(step, lane);
            for (uint32_t vector = 0; vector < L::vectors(p.num_qubits); ++vector) {
                const uint32_t row = row_of(step, vector << L::lane_bits) ^ lane_row[0];
                V energy;
                for (int lane = 0; lane < lanes; ++lane) energy[lane] = step.energies[row ^ lane_row[lane]];
                visit(vector, vector, energy);
            }
        } else {
            const uint32_t rows = uint32_t(1) << step.bits, cosets = uint32_t(1) << (p.num_qubits - step.bits);
            for (uint32_t row = 0; row < rows; ++row) {
                const V energy = broadcast<Real, lanes>(step.energies[row]);
                uint32_t index = step.first ^ step.offset[row];
                for (uint32_t c = 1; c <= cosets; ++c) {
                    visit(row, index, energy);
                    index ^= step.next[__builtin_ctz(c)];
                }
            }
        }
    }

    static uint32_t row_of(const Step& step, uint32_t index) {
        uint32_t row = step.negative;
        for (int q = 0; q < step.bits; ++q) row ^= uint32_t(parity(step.sign[q] & index)) << q;
        return row;
    }

    // exp(-i angle energy) of the row at hand.
    class Factor {
       public:
        explicit Factor(V theta) : theta_(theta) {}
        const SineCosine<Real, lanes>& operator()(uint32_t row, V energy) {
            if (row != row_) found_ = sine_cosine<Real, lanes>(theta_ * energy);
            row_ = row;
            return found_;
        }

       private:
        V theta_;
        uint32_t row_ = ~uint32_t(0);
        SineCosine<Real, lanes> found_{};
    };

    static void turn_diagonal(const Tile<Real>& tile, Space& space, const Step& step, C* state) {
        Factor factor(A::angle(tile, space, step.angle));
        for_each_energy(*tile.program, step, [&](uint32_t row, uint32_t vector, V energy) {
            const auto& [s, c] = factor(row, energy);
            state[vector] = product<true, Real, lanes>({c, s}, state[vector]);
        });
    }

    // 2 Im<b|E|k>
    static V undo_diagonal(const Tile<Real>& tile, Space& space, const Step& step, C* ket) {
        Factor factor(A::angle(tile, space, step.angle));
        C* bra = space.bra;
        V sum{};
        for_each_energy(*tile.program, step, [&](uint32_t row, uint32_t vector, V energy) {
            const C k = ket[vector], b = bra[vector];
            sum += energy * (b.re * k.im - b.im * k.re);
            const auto& [s, c] = factor(row, energy);
            ket[vector] = product<false, Real, lanes>({c, s}, k);
            bra[vector] = product<false, Real, lanes>({c, s}, b);
        });
        return Real(2) * sum;
    }

    // Amplitudes of one coset of a state, for all samples; spread, of as many cosets as there are lanes, or as there
    // are.
    struct Column {
        C* state;
        uint32_t base[cosets_at_once];
        int count;

        void load(uint32_t offset, C& to) const {
            if constexpr (spread) {
                to = {V{}, V{}};
                for (int lane = 0; lane < count; ++lane) {
                    const uint32_t index = base[lane] ^ offset;
                    to.re[lane] = state[index >> L::lane_bits].re[index & L::lane_mask];
                    to.im[lane] = state[index >> L::lane_bits].im[index & L::lane_mask];
                }
            } else {
                to = state[base[0] ^ offset];
            }
        }
        void store(uint32_t offset, V re, V im) {
            if constexpr (spread) {
                for (int lane = 0; lane < count; ++lane) {
                    const uint32_t index = base[lane] ^ offset;
                    state[index >> L::lane_bits].re[index & L::lane_mask] = re[lane];
                    state[index >> L::lane_bits].im[index & L::lane_mask] = im[lane];
                }
            } else {
                state[base[0] ^ offset] = {re, im};
            }
        }
    };

    struct States {
        C *first, *second;  // the second may be null
    };

    // A matrix, or its adjoint, times one state or two.
    template <bool adjoint>
    static void multiply(const ProgramView& p, const Step& step, C* panel, States states) {
        const uint32_t cosets = uint32_t(1) << (p.num_qubits - step.bits);
        Column column[most_columns];
        int filled = 0;
        const auto add = [&](const Column& next, C* state) {
            column[filled] = next;
            column[filled].state = state;
            if (++filled < most_columns) return;
            multiply_columns<adjoint, most_columns>(step, panel, column);
            filled = 0;
        };
        uint32_t base = step.first;
        for (uint32_t c = 0; c < cosets;) {
            Column next{};
            for (next.count = 0; next.count < cosets_at_once && c < cosets; ++next.count) {
                next.base[next.count] = base;
                base ^= step.next[__builtin_ctz(++c)];
            }
            add(next, states.first);
            if (states.second != nullptr) add(next, states.second);
        }
        if (filled > 0) multiply_columns<adjoint, 1>(step, panel, column);
    }

    template <bool adjoint, int width>
    static void multiply_columns(const Step& step, C* panel, Column* column) {
        const int rows = 1 << step.bits;
        const int from = adjoint ? rows : step.columns, to = adjoint ? step.columns : rows;
        for (int i = 0; i < from; ++i)
            for (int w = 0; w < width; ++w) column[w].load(step.offset[i], panel[i * width + w]);
        for (int row = 0; row < to; row += rows_at_once) {
            V re[rows_at_once][width], im[rows_at_once][width];
            if constexpr (adjoint)
                sum_adjoint_rows<width>(step, row, panel, re, im);
            else
                sum_rows<width>(step, row, panel, re, im);
            for (int q = 0; q < rows_at_once && row + q < to; ++q)
                for (int w = 0; w < width; ++w) column[w].store(step.offset[row + q], re[q][w], im[q][w]);
        }
        for (int row = to; row < rows; ++row)
            for (int w = 0; w < width; ++w) column[w].store(step.offset[row], V{}, V{});
    }

    // re, im [q] = sum over columns of entry[row + q, column] * panel[column]
    template <int width>
    [[gnu::always_inline]] static void sum_rows(const Step& step, int row, const C* panel, V (*re)[width],
                                                V (*im)[width]) {
        const int columns = step.columns, in_block = row % rows_in_block;
        const Real* entry = step.entries + size_t(row - in_block) * size_t(step.stored_columns) * 2 + in_block;
        Sums<width> sums;
        for (int c = 0; c < columns; ++c, entry += 2 * rows_in_block)
            sums.template add<false, 1>(entry, panel + c * width);
        sums.write(re, im);
    }

    // re, im [q] = sum over rows of conj(entry[row, column + q]) * panel[row]
    template <int width>
    [[gnu::always_inline]] static void sum_adjoint_rows(const Step& step, int column, const C* panel, V (*re)[width],
                                                        V (*im)[width]) {
        const int rows = 1 << step.bits;
        const Real* block = step.entries + size_t(column) * 2 * rows_in_block;
        Sums<width> sums;
        for (int r = 0; r < rows; r += rows_in_block, block += size_t(step.stored_columns) * 2 * rows_in_block)
            for (int in_block = 0; in_block < rows_in_block && r + in_block < rows; ++in_block)
                sums.template add<true, 2 * rows_in_block>(block + in_block, panel + (r + in_block) * width);
        sums.write(re, im);
    }

    template <int width>
    struct Sums {
        V re[rows_at_once][width] = {}, im[rows_at_once][width] = {};

        // Adds entry[q * stride] times a row of the panel, real parts of entries first.
        template <bool conjugate, int stride>
        [[gnu::always_inline]] void add(const Real* entry, const C* amplitude) {
            V x[width], y[width];
#pragma GCC unroll 2
            for (int w = 0; w < width; ++w) {
                x[w] = amplitude[w].re;
                y[w] = amplitude[w].im;
            }
#pragma GCC unroll 4
            for (int q = 0; q < rows_at_once; ++q) {
                const Real a = entry[q * stride],
                           b = conjugate ? -entry[q * stride + rows_in_block] : entry[q * stride + rows_in_block];
#pragma GCC unroll 2
                for (int w = 0; w < width; ++w) {
                    re[q][w] += a * x[w];
                    re[q][w] -= b * y[w];
                    im[q][w] += a * y[w];
                    im[q][w] += b * x[w];
                }
            }
        }
        [[gnu::always_inline]] void write(V (*to_re)[width], V (*to_im)[width]) const {
#pragma GCC unroll 4
            for (int q = 0; q < rows_at_once; ++q)
#pragma GCC unroll 2
                for (int w = 0; w < width; ++w) {
                    to_re[q][w] = re[q][w];
                    to_im[q][w] = im[q][w];
                }
        }
    };
};
