// A state as a sum of products of two halves, and back. Included by isa/*.cpp.
//
// state[j, i] = sqrt(branches) * sum over c: low[c, i] * high[c, j], with i in the lowest bits of the index.

template <class Real, int lanes, bool spread>
struct Join {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using Space = Workspace<Real, lanes, spread>;
    using L = Layout<lanes, spread>;

    // Sizes as vectors of the low half and amplitudes of the high one; half 0 is low.
    struct Shape {
        size_t row, rows;
        Real scale;

        explicit Shape(const ProgramView& p)
            : row(L::vectors(p.half[0]->num_qubits - p.glue_bits)),
              rows(size_t(1) << (p.half[1]->num_qubits - p.glue_bits)),
              scale(Real(1 << p.glue_bits / 2) * Real(p.glue_bits % 2 == 0 ? 1 : 1.41421356237309504880)) {}
    };

    // state = the sum, for this thread's share of the rows; then waits for the others.
    static void join(const ProgramView& p, const Space& space, const C* low, const C* high, C* state) {
        const Shape shape(p);
        const auto [begin, end] = space.team.share(shape.rows);
        for (size_t j = begin; j < end; ++j)
            for_each_block(p, [&](auto width, size_t c) { add_up<width.value>(shape, j, c, low, high, state); });
        space.team.meet();
    }

    // The adjoint: what this thread's share of the rows of `bra` adds to the bras of the halves.
    static void split(const ProgramView& p, const Space& space, const C* low, const C* high, C* low_bra, C* high_bra) {
        const Shape shape(p);
        const size_t branches = size_t(1) << p.glue_bits;
        for (size_t i = 0; i < shape.row * branches; ++i) low_bra[i] = {V{}, V{}};
        const auto [begin, end] = space.team.share(shape.rows);
        if (end - begin < shape.rows)
            for (size_t i = 0; i < L::vectors(p.half[1]->num_qubits); ++i) high_bra[i] = {V{}, V{}};
        for (size_t j = begin; j < end; j += rows_at_once) {
            const size_t last = end - j < rows_at_once ? end : j + rows_at_once;
            for_each_block(p, [&](auto width, size_t c) {
                fill_high<width.value>(shape, j, last, c, low, space.bra, high_bra);
                add_to_low<width.value>(shape, j, last, c, high, space.bra, low_bra);
            });
        }
    }

   private:
    // Rows of a bra that are in the first cache for both halves.
    static constexpr size_t rows_at_once = 4;

    // Calls visit(width, c) for blocks of branches c to c + width - 1, whose sums stay in registers.
    template <class Visit>
    static void for_each_block(const ProgramView& p, Visit visit) {
        if (p.glue_bits == 0) return visit(std::integral_constant<int, 1>{}, 0);
        if (p.glue_bits == 1) return visit(std::integral_constant<int, 2>{}, 0);
        for (size_t c = 0; c < size_t(1) << p.glue_bits; c += 4) visit(std::integral_constant<int, 4>{}, c);
    }

    // Amplitude `index` of the high half in all lanes (spread), or that of each sample.
    static C element(const C* high, size_t index) {
        if constexpr (spread) {
            const C& found = high[index >> L::lane_bits];
            return {broadcast<Real, lanes>(found.re[index & L::lane_mask]),
                    broadcast<Real, lanes>(found.im[index & L::lane_mask])};
        } else {
            return high[index];
        }
    }

    // scale * high[first + c, j]
    template <int width>
    [[gnu::always_inline]] static void load_factors(const Shape& shape, size_t j, size_t first, const C* high,
                                                    C* factor) {
        for (int c = 0; c < width; ++c) {
            const C found = element(high, (first + size_t(c)) * shape.rows + j);
            factor[c] = {found.re * shape.scale, found.im * shape.scale};
        }
    }

    // Row j of the state, from this block on or with those before.
    template <int width>
    [[gnu::noinline]] static void add_up(const Shape& shape, size_t j, size_t first, const C* low, const C* high,
                                         C* state) {
        C factor[width];
        load_factors<width>(shape, j, first, high, factor);
        for (size_t i = 0; i < shape.row; ++i) {
            C& to = state[j * shape.row + i];
            C sum = first > 0 ? to : C{V{}, V{}};
#pragma GCC unroll 4
            for (int c = 0; c < width; ++c) {
                const C& x = low[(first + size_t(c)) * shape.row + i];
                sum.re += factor[c].re * x.re;
                sum.im += factor[c].re * x.im;
                sum.re -= factor[c].im * x.im;
                sum.im += factor[c].im * x.re;
            }
            to = sum;
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
    template <int width>
    [[gnu::noinline]] static void fill_high(const Shape& shape, size_t begin, size_t end, size_t first, const C* low,
                                            const C* bra, C* high_bra) {
        for (size_t j = begin; j < end; ++j) {
            V re[width] = {}, im[width] = {};
            for (size_t i = 0; i < shape.row; ++i) {
                const C b = bra[j * shape.row + i];
#pragma GCC unroll 4
                for (int c = 0; c < width; ++c)
                    add_conjugate(re[c], im[c], low[(first + size_t(c)) * shape.row + i], b);
            }
            for (int c = 0; c < width; ++c) {
                const size_t index = (first + size_t(c)) * shape.rows + j;
                if constexpr (spread) {
                    C& to = high_bra[index >> L::lane_bits];
                    to.re[index & L::lane_mask] = shape.scale * sum_of_lanes<Real, lanes>(re[c]);
                    to.im[index & L::lane_mask] = shape.scale * sum_of_lanes<Real, lanes>(im[c]);
                } else {
                    high_bra[index] = {shape.scale * re[c], shape.scale * im[c]};
                }
            }
        }
    }

    // low_bra[c, i] += scale * sum over these rows j: conj(high[c, j]) bra[j, i].
    template <int width>
    [[gnu::noinline]] static void add_to_low(const Shape& shape, size_t begin, size_t end, size_t first, const C* high,
                                             const C* bra, C* low_bra) {
        C factor[rows_at_once][width];
        for (size_t j = begin; j < end; ++j) load_factors<width>(shape, j, first, high, factor[j - begin]);
        for (size_t i = 0; i < shape.row; ++i) {
            C* to = low_bra + first * shape.row + i;
            V re[width], im[width];
#pragma GCC unroll 4
            for (int c = 0; c < width; ++c) {
                re[c] = to[size_t(c) * shape.row].re;
                im[c] = to[size_t(c) * shape.row].im;
            }
            for (size_t j = begin; j < end; ++j) {
                const C b = bra[j * shape.row + i];
#pragma GCC unroll 4
                for (int c = 0; c < width; ++c) add_conjugate(re[c], im[c], factor[j - begin][c], b);
            }
#pragma GCC unroll 4
            for (int c = 0; c < width; ++c) to[size_t(c) * shape.row] = {re[c], im[c]};
        }
    }
};
