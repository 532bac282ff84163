// A tile of a circuit that runs step by step: one step after the other, over the whole state. Included by isa/*.cpp.

template <class Real, int lanes, int lane_bits>
struct Stepwise {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using A = Angles<Real, lanes, lane_bits>;
    using Out = Outputs<Real, lanes, lane_bits>;
    using W = Walsh<Real, lanes, lane_bits>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using R = Rotations<Real, lanes, lane_bits>;
    using D = Diagonals<Real, lanes, lane_bits>;
    using Step = StepView<Number>;
    using Steps = StepsView<Number>;

    // Matrices and energies do not move: each power of what does is multiplied by itself.
    static constexpr int powers = order_of<Real> + 1;
    using Power = Vector<Number, lanes>;
    using ComplexPower = Complex<Number, lanes>;
    // Columns of amplitudes that a matrix is multiplied with at once: what is loaded of it serves so many vectors.
    static constexpr int most_columns = is_jet<Real> ? 1 : 2;
    // Rows that are summed up in registers at once.
    static constexpr int rows_at_once = num_registers == 32 ? 4 : 2;
    // Cosets in a vector.
    static constexpr int cosets_at_once = 1 << lane_bits;

    static size_t scratch_bytes(const ProgramView& p, const Steps& steps, const Storage& storage) {
        return space_bytes(p, storage) + panel_size(steps) * sizeof(ComplexPower) + size_t(p.num_angles) * sizeof(V) +
               D::Tables::bytes(L::vectors(p.num_qubits));
    }
    static size_t shared_bytes(const ProgramView& p, const Storage& storage) {
        return Space(p, storage, nullptr, nullptr, nullptr, nullptr).shared_bytes;
    }

    static void values(const Tile<Real>& tile, const Steps& steps) {
        Space space(tile);
        C* ket = forward(tile, steps, Room(tile, steps), space);
        Out::read(tile, space, ket);
    }

    // Undoes ket and bra together, step by step, down to step number `first_step`.
    static void vector_jacobian_product(const Tile<Real>& tile, const Steps& steps, int first_step) {
        const ProgramView& p = *tile.program;
        if (first_step == steps.num_steps && !Out::has_gradient(tile)) return;
        Space space(tile);
        const Room room(tile, steps);
        C* ket = forward(tile, steps, room, space);
        for (int a = 0; a < p.num_angles; ++a) space.angle_gradient[a] = room.moments[a] = V{};
        Out::seed(tile, space, ket, space.bra);
        space.team.meet();
        Undoing undoing;
        for (int s = steps.num_steps; s-- > first_step;) {
            const Step& step = steps.step[s];
            if (const int begin = begin_of_diagonals(steps, s, first_step); begin < s) {
                D::undo(diagonals(p, steps, begin, s + 1, space, room), ket, space.bra,
                        [&](const Step& one, V sum) { room.moments[one.angle] += undoing.weight() * sum; });
                s = begin;
            } else if (is_dense(step)) {
                undo_dense(tile, space, step, room, undoing.weight(), ket);
            } else {
                room.moments[step.angle] +=
                    undoing.undo(rotation(p, steps, s, space), space.half[step.angle], ket, space.bra);
            }
            space.team.meet();
        }
        for (int a = 0; a < p.num_angles; ++a)
            if (tile.wanted->angle[a]) space.angle_gradient[a] += W::sum_over_state(room.moments[a]);
        A::pull_back(tile, space);
    }

    // Of steps alone.
    static constexpr Kernel<Real> kernel{.lanes = lanes,
                                         .lane_bits = L::lane_bits,
                                         .step_scratch_bytes = scratch_bytes,
                                         .step_shared_bytes = shared_bytes,
                                         .step_values = values,
                                         .step_vector_jacobian_product = vector_jacobian_product};

   private:
    static size_t space_bytes(const ProgramView& p, const Storage& storage) {
        return (Space(p, storage, nullptr, nullptr, nullptr, nullptr).bytes + 63) / 64 * 64;
    }
    static size_t panel_size(const Steps& steps) { return size_t(steps.most_rows) * most_columns * powers; }
    // What a tile has beside its space.
    struct Room {
        ComplexPower* panel;
        V* moments;  // [num_angles]: each lane its share
        typename D::Tables tables;

        Room(const Tile<Real>& tile, const Steps& steps)
            : panel(reinterpret_cast<ComplexPower*>(static_cast<char*>(tile.scratch) +
                                                    space_bytes(*tile.program, tile.storage))),
              moments(reinterpret_cast<V*>(panel + panel_size(steps))),
              tables(moments + tile.program->num_angles, L::vectors(tile.program->num_qubits)) {}
    };

    // The ket after all steps, which stays on the tape if there is one.
    static C* forward(const Tile<Real>& tile, const Steps& steps, const Room& room, Space& space) {
        const ProgramView& p = *tile.program;
        A::load_inputs(tile, space);
        if (tile.first) A::compute(tile, space, false);
        A::compute(tile, space, true);
        const auto [begin, end] = space.team.share(L::vectors(p.num_qubits));
        const size_t bytes = (end - begin) * sizeof(C);
        C *ket = space.ket(0), *tape = static_cast<C*>(tile.storage.is_team ? tile.shared_tape : tile.tape);
        if (tile.recorded) {
            __builtin_memcpy(static_cast<void*>(ket + begin), tape + begin, bytes);
            space.team.meet();
            return ket;
        }
        if (tape != nullptr) ket = tape;
        __builtin_memset(static_cast<void*>(ket + begin), 0, bytes);
        if (begin < end && begin == 0) {
            L::template set_element<Real>(ket[0].re, 0, broadcast<Real, lanes>(1));
        }
        space.team.meet();
        for (int s = 0; s < steps.num_steps; ++s) {
            const Step& step = steps.step[s];
            if (const int end = end_of_diagonals(steps, s); end > s + 1) {
                D::apply(diagonals(p, steps, s, end, space, room), ket);
                s = end - 1;
            } else if (is_dense(step)) {
                apply_dense(tile, space, step, room, ket);
            } else {
                R::apply(rotation(p, steps, s, space), space.half[step.angle], ket);
            }
            space.team.meet();
        }
        return ket;
    }

    static bool is_dense(const Step& step) { return step.kind == step_matrix || step.kind == step_diagonal; }
    static void apply_dense(const Tile<Real>& tile, Space& space, const Step& step, const Room& room, C* ket) {
        if (step.kind == step_matrix)
            multiply<false>(*tile.program, step, room.panel, {ket, nullptr});
        else
            turn_diagonal(tile, space, step, ket);
    }
    static void undo_dense(const Tile<Real>& tile, Space& space, const Step& step, const Room& room, const V& weight,
                           C* ket) {
        if (step.kind == step_matrix)
            multiply<true>(*tile.program, step, room.panel, {ket, space.bra});
        else
            room.moments[step.angle] += weight * undo_diagonal(tile, space, step, ket);
    }

    // Rotations about Z from step s on, or down to it, that are one pass.
    static int end_of_diagonals(const Steps& steps, int s) {
        for (int mixed = 0; s < steps.num_steps && is_diagonal(steps, s); ++s)
            if (D::is_mixed(steps.step[s]) && ++mixed > D::most_mixed) break;
        return s;
    }
    static int begin_of_diagonals(const Steps& steps, int s, int first_step) {
        int begin = s + 1;
        for (int mixed = 0; begin > first_step && is_diagonal(steps, begin - 1); --begin)
            if (D::is_mixed(steps.step[begin - 1]) && ++mixed > D::most_mixed) break;
        return begin;
    }
    static bool is_diagonal(const Steps& steps, int s) {
        return steps.step[s].kind == step_z && steps.controls[s].next == nullptr;
    }
    static typename D::Run diagonals(const ProgramView& p, const Steps& steps, int begin, int end, const Space& space,
                                     const Room& room) {
        return {steps.step, begin, end, space.half, L::vectors(p.num_qubits), space.team, room.tables};
    }

    static typename R::Controlled rotation(const ProgramView& p, const Steps& steps, int s, const Space& space) {
        return {steps.step[s], steps.controls[s], L::vectors(p.num_qubits), space.team};
    }

    // Undoes rotations on ket and bra: by tangent, as long as that is safe. It leaves the cosine out of both, which
    // therefore are larger than they should be, and so is what is found there, by the square.
    class Undoing {
       public:
        // Of what is found next.
        V weight() const { return left_out_ * left_out_; }

        // Returns Im<b|P|k> before.
        V undo(const typename R::Controlled& rotation, const SineCosine<Real, lanes>& half, C* ket, C* bra) {
            const V before = weight();
            return before * R::undo(rotation, inverse(rotation, half), ket, bra);
        }

       private:
        typename R::Factors inverse(const typename R::Controlled& rotation, const SineCosine<Real, lanes>& half) {
            const auto [sine, cosine] = half;
            if constexpr (!is_jet<Real>)
                if (!rotation.is_controlled()) return by_tangent(sine, cosine);
            return {cosine, -sine};
        }

        typename R::Factors by_tangent(const V& sine, const V& cosine)
            requires(!is_jet<Real>)
        {
            if (!any((cosine * cosine < Real(tuning::least_cosine_square)) |
                     (weight() < Real(tuning::least_left_out)))) {
                left_out_ *= cosine;
                return {V{}, -sine / cosine, true};
            }
            const V before = left_out_;
            left_out_ = broadcast<Real, lanes>(1);
            return {before * cosine, -(before * sine)};
        }

        V left_out_ = broadcast<Real, lanes>(1);
    };

    // Calls visit(row, vector, energy) for all vectors; spread, the energy differs from lane to lane and the row says
    // nothing. Otherwise all vectors of a row come one after the other.
    template <class Visit>
    static void for_each_energy(const ProgramView& p, const Step& step, Visit visit) {
        if constexpr (L::is_spread) {
            uint32_t lane_row[lanes];
            for (uint32_t lane = 0; lane < lanes; ++lane) lane_row[lane] = row_of(step, lane & L::lane_mask);
            for (uint32_t vector = 0; vector < L::vectors(p.num_qubits); ++vector) {
                const uint32_t row = row_of(step, vector << L::lane_bits) ^ lane_row[0];
                Power energy;
                for (int lane = 0; lane < lanes; ++lane) energy[lane] = step.energies[row ^ lane_row[lane]];
                visit(vector, vector, energy);
            }
        } else {
            const uint32_t rows = uint32_t(1) << step.bits, cosets = uint32_t(1) << (p.num_qubits - step.bits);
            for (uint32_t row = 0; row < rows; ++row) {
                const Power energy = broadcast<Number, lanes>(step.energies[row]);
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
        const SineCosine<Real, lanes>& operator()(uint32_t row, Power energy) {
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
        for_each_energy(*tile.program, step, [&](uint32_t row, uint32_t vector, Power energy) {
            const auto& [s, c] = factor(row, energy);
            state[vector] = product<true, Real, lanes>({c, s}, state[vector]);
        });
    }

    // 2 Im<b|E|k>
    static V undo_diagonal(const Tile<Real>& tile, Space& space, const Step& step, C* ket) {
        Factor factor(A::angle(tile, space, step.angle));
        C* bra = space.bra;
        V sum{};
        for_each_energy(*tile.program, step, [&](uint32_t row, uint32_t vector, Power energy) {
            const C k = ket[vector], b = bra[vector];
            sum += energy * (b.re * k.im - b.im * k.re);
            const auto& [s, c] = factor(row, energy);
            ket[vector] = product<false, Real, lanes>({c, s}, k);
            bra[vector] = product<false, Real, lanes>({c, s}, b);
        });
        return Number(2) * sum;
    }

    // Amplitudes of one coset of a state, for all samples; spread, of as many cosets as a sample has lanes, or as there
    // are.
    struct Column {
        C* state;
        uint32_t base[cosets_at_once];
        int count;

        // To and from [powers].
        void load(uint32_t offset, ComplexPower* to) const {
            if constexpr (L::is_spread) {
                for (int k = 0; k < powers; ++k) to[k] = {Power{}, Power{}};
                for_each_lane(offset, [&](uint32_t lane, uint32_t vector, uint32_t element) {
                    for (int k = 0; k < powers; ++k) {
                        to[k].re[lane] = term_of(state[vector].re, k)[element];
                        to[k].im[lane] = term_of(state[vector].im, k)[element];
                    }
                });
            } else {
                const C& from = state[base[0] ^ offset];
                for (int k = 0; k < powers; ++k) to[k] = {term_of(from.re, k), term_of(from.im, k)};
            }
        }
        void store(uint32_t offset, const Power* re, const Power* im) {
            if constexpr (L::is_spread) {
                for_each_lane(offset, [&](uint32_t lane, uint32_t vector, uint32_t element) {
                    for (int k = 0; k < powers; ++k) {
                        term_of(state[vector].re, k)[element] = re[k][lane];
                        term_of(state[vector].im, k)[element] = im[k][lane];
                    }
                });
            } else {
                C& to = state[base[0] ^ offset];
                for (int k = 0; k < powers; ++k) {
                    term_of(to.re, k) = re[k];
                    term_of(to.im, k) = im[k];
                }
            }
        }

        // Calls visit(lane, vector of the state, lane there) for every coset of every sample.
        template <class Visit>
        void for_each_lane(uint32_t offset, Visit visit) const {
            for (uint32_t coset = 0; coset < uint32_t(count); ++coset) {
                const uint32_t index = base[coset] ^ offset;
                for (uint32_t first = 0; first < uint32_t(lanes); first += cosets_at_once)
                    visit(first | coset, index >> L::lane_bits, first | (index & L::lane_mask));
            }
        }
    };

    struct States {
        C *first, *second;  // the second may be null
    };

    // A matrix, or its adjoint, times one state or two.
    template <bool adjoint>
    static void multiply(const ProgramView& p, const Step& step, ComplexPower* panel, States states) {
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

    template <bool adjoint, int num_columns>
    static void multiply_columns(const Step& step, ComplexPower* panel, Column* column) {
        constexpr int width = num_columns * powers;
        const int rows = 1 << step.bits;
        const int from = adjoint ? rows : step.columns, to = adjoint ? step.columns : rows;
        for (int i = 0; i < from; ++i)
            for (int c = 0; c < num_columns; ++c)
                column[c].load(step.offset[i], panel + size_t(i) * width + c * powers);
        for (int row = 0; row < to; row += rows_at_once) {
            Power re[rows_at_once][width], im[rows_at_once][width];
            if constexpr (adjoint)
                sum_adjoint_rows<width>(step, row, panel, re, im);
            else
                sum_rows<width>(step, row, panel, re, im);
            for (int q = 0; q < rows_at_once && row + q < to; ++q)
                for (int c = 0; c < num_columns; ++c)
                    column[c].store(step.offset[row + q], re[q] + c * powers, im[q] + c * powers);
        }
        const Power zeros[powers] = {};
        for (int row = to; row < rows; ++row)
            for (int c = 0; c < num_columns; ++c) column[c].store(step.offset[row], zeros, zeros);
    }

    // re, im [q] = sum over columns of entry[row + q, column] * panel[column]
    template <int width>
    [[gnu::always_inline]] static void sum_rows(const Step& step, int row, const ComplexPower* panel,
                                                Power (*re)[width], Power (*im)[width]) {
        const int columns = step.columns, in_block = row % rows_in_block;
        const Number* entry = step.entries + size_t(row - in_block) * size_t(step.stored_columns) * 2 + in_block;
        Sums<width> sums;
        for (int c = 0; c < columns; ++c, entry += 2 * rows_in_block)
            sums.template add<false, 1>(entry, panel + c * width);
        sums.write(re, im);
    }

    // re, im [q] = sum over rows of conj(entry[row, column + q]) * panel[row]
    template <int width>
    [[gnu::always_inline]] static void sum_adjoint_rows(const Step& step, int column, const ComplexPower* panel,
                                                        Power (*re)[width], Power (*im)[width]) {
        const int rows = 1 << step.bits;
        const Number* block = step.entries + size_t(column) * 2 * rows_in_block;
        Sums<width> sums;
        for (int r = 0; r < rows; r += rows_in_block, block += size_t(step.stored_columns) * 2 * rows_in_block)
            for (int in_block = 0; in_block < rows_in_block && r + in_block < rows; ++in_block)
                sums.template add<true, 2 * rows_in_block>(block + in_block, panel + (r + in_block) * width);
        sums.write(re, im);
    }

    template <int width>
    struct Sums {
        Power re[rows_at_once][width] = {}, im[rows_at_once][width] = {};

        // Adds entry[q * stride] times a row of the panel, real parts of entries first.
        template <bool conjugate, int stride>
        [[gnu::always_inline]] void add(const Number* entry, const ComplexPower* amplitude) {
            Power x[width], y[width];
#pragma GCC unroll 3
            for (int w = 0; w < width; ++w) {
                x[w] = amplitude[w].re;
                y[w] = amplitude[w].im;
            }
#pragma GCC unroll 4
            for (int q = 0; q < rows_at_once; ++q) {
                const Number a = entry[q * stride],
                             b = conjugate ? -entry[q * stride + rows_in_block] : entry[q * stride + rows_in_block];
#pragma GCC unroll 3
                for (int w = 0; w < width; ++w) {
                    re[q][w] += a * x[w];
                    re[q][w] -= b * y[w];
                    im[q][w] += a * y[w];
                    im[q][w] += b * x[w];
                }
            }
        }
        [[gnu::always_inline]] void write(Power (*to_re)[width], Power (*to_im)[width]) const {
#pragma GCC unroll 4
            for (int q = 0; q < rows_at_once; ++q)
#pragma GCC unroll 3
                for (int w = 0; w < width; ++w) {
                    to_re[q][w] = re[q][w];
                    to_im[q][w] = im[q][w];
                }
        }
    };
};
