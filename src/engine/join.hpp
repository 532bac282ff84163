// A state as a sum of products of two halves, and back. Included by isa/*.cpp.
//
// state[j, i] = sqrt(branches) * sum over c: low[c, i] * high[c, j], with i in the lowest bits of the index.

template <class Real, int lanes, int lane_bits>
struct Join {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using L = Layout<lanes, lane_bits>;

    using Shape = JoinShape<Number, lanes, lane_bits>;  // half 0 is low

    // state = the sum, for this thread's share of the rows; then waits for the others.
    static void join(const ProgramView& p, const Space& space, const C* low, const C* high, C* state) {
        const Shape shape(p);
        const auto [begin, end] = space.team.share(shape.rows);
        if constexpr (L::is_single)
            Outer<Real, lanes>::join(shape, begin, end, low, high, state);
        else
            for_each_rows<rows_to_join>(begin, end, [&](auto rows, size_t j) {
                for_each_block(
                    p, [&](auto width, size_t c) { add_up<width.value, rows.value>(shape, j, c, low, high, state); });
            });
        space.team.meet();
    }

    // The adjoint: what this thread's share of the rows of `bra` adds to the bras of the halves.
    static void split(const ProgramView& p, const Space& space, const C* low, const C* high, C* low_bra, C* high_bra) {
        const Shape shape(p);
        for (size_t i = 0; i < shape.row * shape.branches; ++i) low_bra[i] = {V{}, V{}};
        const auto [begin, end] = space.team.share(shape.rows);
        if (end - begin < shape.rows)
            for (size_t i = 0; i < L::vectors(p.half[1]->num_qubits); ++i) high_bra[i] = {V{}, V{}};
        if constexpr (L::is_single)
            Outer<Real, lanes>::split(shape, begin, end, low, high, space.bra, low_bra, high_bra, space.fetches_states);
        else
            for_each_rows<rows_to_split>(begin, end, [&](auto rows, size_t j) {
                for_each_block(p, [&](auto width, size_t c) {
                    fill_high<width.value, rows.value>(shape, j, c, low, space.bra, high_bra);
                    add_to_low<width.value, rows.value>(shape, j, c, high, space.bra, low_bra, space.fetches_states);
                });
            });
    }

    // A sum of conj(x) b with amplitudes x of the low half. Where there are registers for a third sum, three products
    // make a complex one (Gauss).
    struct LowSum {
        static constexpr bool has_three = num_registers == 32;
        V re{}, im{}, both{};

        struct Low {
            V re, im, less;
            Low() = default;
            explicit Low(const C& x) : re(in_register(x.re)), im(in_register(x.im)), less(re - im) {}
        };
        struct Bra {
            V re, im, sum, difference;
            explicit Bra(const C& b) : re(b.re), im(b.im), sum(b.re + b.im), difference(b.im - b.re) {}
        };
        [[gnu::always_inline]] void add(const Low& x, const Bra& b) {
            if constexpr (has_three) {
                both += x.less * b.re;
                re += x.im * b.sum;
                im += x.re * b.difference;
            } else {
                add_conjugate(re, im, {x.re, x.im}, {b.re, b.im});
            }
        }
        C value() const { return {re + both, im + both}; }
    };

   private:
    // Rows of a state for which the low half is loaded once: their factors stay in registers, or come from the first
    // cache while the amplitudes stay. Rows of a bra that are in the first cache for both halves.
    static constexpr int rows_to_join = num_registers == 32 ? 2 : 4, rows_to_split = 4;

    // Calls visit(count, j) for rows j to j + count - 1, many at a time; those of the rest one by one.
    template <int many, class Visit>
    static void for_each_rows(size_t begin, size_t end, Visit visit) {
        size_t j = begin;
        for (; j + many <= end; j += many) visit(std::integral_constant<int, many>{}, j);
        for (; j < end; ++j) visit(std::integral_constant<int, 1>{}, j);
    }

    // Calls visit(width, c) for blocks of branches c to c + width - 1, whose sums stay in registers.
    template <class Visit>
    static void for_each_block(const ProgramView& p, Visit visit) {
        if (p.glue_bits == 0) return visit(std::integral_constant<int, 1>{}, 0);
        if (p.glue_bits == 1) return visit(std::integral_constant<int, 2>{}, 0);
        for (size_t c = 0; c < size_t(1) << p.glue_bits; c += 4) visit(std::integral_constant<int, 4>{}, c);
    }

    // scale * high[first + c, j]
    template <int width>
    [[gnu::always_inline]] static void load_factors(const Shape& shape, size_t j, size_t first, const C* high,
                                                    C* factor) {
        for (int c = 0; c < width; ++c) {
            const size_t index = (first + size_t(c)) * shape.rows + j;
            const C found = L::template in_all_lanes<Real>(high[index >> lane_bits], index & L::lane_mask);
            factor[c] = {found.re * shape.scale, found.im * shape.scale};
        }
    }

    // Rows of the state from j on, from this block on or with those before. Three products make a complex one (Gauss).
    template <int width, int rows>
    [[gnu::noinline]] static void add_up(const Shape& shape, size_t j, size_t first, const C* low, const C* high,
                                         C* state) {
        V im[rows][width], difference[rows][width], sum[rows][width];
        for (int r = 0; r < rows; ++r) {
            C factor[width];
            load_factors<width>(shape, j + size_t(r), first, high, factor);
            for (int c = 0; c < width; ++c) {
                im[r][c] = factor[c].im;
                difference[r][c] = factor[c].re - factor[c].im;
                sum[r][c] = factor[c].re + factor[c].im;
            }
        }
        for (size_t i = 0; i < shape.row; ++i) {
            C x[width];
            V less[width];
#pragma GCC unroll 4
            for (int c = 0; c < width; ++c) {
                const C& found = low[(first + size_t(c)) * shape.row + i];
                x[c] = {in_register(found.re), in_register(found.im)};
                less[c] = in_register(x[c].re - x[c].im);
            }
            for (int r = 0; r < rows; ++r) {
                C& to = state[(j + size_t(r)) * shape.row + i];
                C found = first > 0 ? to : C{V{}, V{}};
                V both{};
#pragma GCC unroll 4
                for (int c = 0; c < width; ++c) {
                    both += im[r][c] * less[c];
                    found.re += difference[r][c] * x[c].re;
                    found.im += sum[r][c] * x[c].im;
                }
                to = {found.re + both, found.im + both};
            }
        }
    }

    // sum += conj(x) b, all the same kind of product
    [[gnu::always_inline]] static void add_conjugate(V& re, V& im, const C& x, const C& b) {
        re += x.re * b.re;
        im += x.re * b.im;
        re += x.im * b.im;
        im -= x.im * b.re;
    }

    // high_bra[c, j] = scale * sum over i: conj(low[c, i]) bra[j, i], for some rows j.
    template <int width, int rows>
    [[gnu::noinline]] static void fill_high(const Shape& shape, size_t begin, size_t first, const C* low, const C* bra,
                                            C* high_bra) {
        constexpr int at_once = rows < 2 ? 1 : 2, sums = num_registers == 32 || width < 2 ? width : 2;
        for (size_t j = begin; j < begin + rows; j += at_once)
            for (size_t c = first; c < first + width; c += sums)
                fill_block<sums, at_once>(shape, j, c, low, bra, high_bra);
    }

    template <int width, int rows>
    [[gnu::always_inline]] static void fill_block(const Shape& shape, size_t j, size_t first, const C* low,
                                                  const C* bra, C* high_bra) {
        LowSum found[rows][width];
        for (size_t i = 0; i < shape.row; ++i) {
            const auto b = [&](int r) { return typename LowSum::Bra(bra[(j + size_t(r)) * shape.row + i]); };
            const typename LowSum::Bra bras[2] = {b(0), b(rows - 1)};
#pragma GCC unroll 4
            for (int c = 0; c < width; ++c) {
                const typename LowSum::Low x(low[(first + size_t(c)) * shape.row + i]);
#pragma GCC unroll 2
                for (int r = 0; r < rows; ++r) found[r][c].add(x, bras[r]);
            }
        }
        for (int r = 0; r < rows; ++r)
            for (int c = 0; c < width; ++c)
                store_high(shape, first + size_t(c), j + size_t(r), found[r][c].value(), high_bra);
    }

    static void store_high(const Shape& shape, size_t c, size_t j, const C& found, C* high_bra) {
        const size_t index = c * shape.rows + j;
        C& to = high_bra[index >> lane_bits];
        L::template set_element<Real>(to.re, index & L::lane_mask,
                                      L::template sum_over_state<Real>(shape.scale * found.re));
        L::template set_element<Real>(to.im, index & L::lane_mask,
                                      L::template sum_over_state<Real>(shape.scale * found.im));
    }

    // low_bra[c, i] += scale * sum over these rows j: conj(high[c, j]) bra[j, i]. The rows that follow are fetched
    // ahead, if that is worth it.
    template <int width, int rows>
    [[gnu::noinline]] static void add_to_low(const Shape& shape, size_t begin, size_t first, const C* high,
                                             const C* bra, C* low_bra, bool fetches) {
        C loaded[rows][width];
        typename LowSum::Low factor[rows][width];
        for (int r = 0; r < rows; ++r) {
            load_factors<width>(shape, begin + size_t(r), first, high, loaded[r]);
            for (int c = 0; c < width; ++c) factor[r][c] = typename LowSum::Low(loaded[r][c]);
        }
        for (size_t i = 0; i < shape.row; ++i) {
            C* const to = low_bra + first * shape.row + i;
            LowSum sum[width];
#pragma GCC unroll 4
            for (int c = 0; c < width; ++c) {
                sum[c].re = to[size_t(c) * shape.row].re;
                sum[c].im = to[size_t(c) * shape.row].im;
            }
            for (int r = 0; r < rows; ++r) {
                const C* at = bra + (begin + size_t(r)) * shape.row + i;
                if (fetches && first == 0) fetch_ahead<false>(at + rows * shape.row);
                const typename LowSum::Bra b(*at);
#pragma GCC unroll 4
                for (int c = 0; c < width; ++c) sum[c].add(factor[r][c], b);
            }
#pragma GCC unroll 4
            for (int c = 0; c < width; ++c) to[size_t(c) * shape.row] = sum[c].value();
        }
    }
};
