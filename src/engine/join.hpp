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
              scale(Real(p.glue_bits == 0   ? 1
                         : p.glue_bits == 1 ? 1.41421356237309504880
                                            : 2)) {}
    };

    // state = the sum, for this thread's share of the rows; then waits for the others.
    static void join(const ProgramView& p, const Space& space, const C* low, const C* high, C* state) {
        with_branches(p, [&](auto branches) { add_up<branches.value>(Shape(p), space.team, low, high, state); });
        space.team.meet();
    }

    // The adjoint: what this thread's share of the rows of `bra` adds to the bras of the halves.
    static void split(const ProgramView& p, const Space& space, const C* low, const C* high, C* low_bra, C* high_bra) {
        const Shape shape(p);
        const size_t branches = size_t(1) << p.glue_bits;
        for (size_t i = 0; i < shape.row * branches; ++i) low_bra[i] = {V{}, V{}};
        for (size_t i = 0; i < L::vectors(p.half[1]->num_qubits); ++i) high_bra[i] = {V{}, V{}};
        with_branches(p, [&](auto count) {
            const auto [begin, end] = space.team.share(shape.rows);
            for (size_t j = begin; j < end; j += rows_at_once) {
                const size_t last = end - j < rows_at_once ? end : j + rows_at_once;
                fill_high<count.value>(shape, j, last, low, space.bra, high_bra);
                add_to_low<count.value>(shape, j, last, high, space.bra, low_bra);
            }
        });
    }

   private:
    // Rows of a bra that are in the first cache for both halves.
    static constexpr size_t rows_at_once = 4;

    template <class Visit>
    static void with_branches(const ProgramView& p, Visit visit) {
        if (p.glue_bits == 0) visit(std::integral_constant<int, 1>{});
        if (p.glue_bits == 1) visit(std::integral_constant<int, 2>{});
        if (p.glue_bits == 2) visit(std::integral_constant<int, 4>{});
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

    template <int branches>
    [[gnu::always_inline]] static void load_branches(const Shape& shape, const C* high, size_t j, C* factor) {
        for (int c = 0; c < branches; ++c) {
            const C found = element(high, size_t(c) * shape.rows + j);
            factor[c] = {found.re * shape.scale, found.im * shape.scale};
        }
    }

    template <int branches>
    [[gnu::noinline]] static void add_up(const Shape& shape, const Team& team, const C* low, const C* high, C* state) {
        const auto [begin, end] = team.share(shape.rows);
        for (size_t j = begin; j < end; ++j) {
            C factor[branches];
            load_branches<branches>(shape, high, j, factor);
            for (size_t i = 0; i < shape.row; ++i) {
                C sum = product<false, Real, lanes>(factor[0], low[i]);
#pragma GCC unroll 4
                for (int c = 1; c < branches; ++c) {
                    const C& x = low[size_t(c) * shape.row + i];
                    sum.re += factor[c].re * x.re;
                    sum.im += factor[c].re * x.im;
                    sum.re -= factor[c].im * x.im;
                    sum.im += factor[c].im * x.re;
                }
                state[j * shape.row + i] = sum;
            }
        }
    }

    // high_bra[c, j] = scale * sum over i: conj(low[c, i]) bra[j, i]
    template <int branches>
    [[gnu::noinline]] static void fill_high(const Shape& shape, size_t begin, size_t end, const C* low, const C* bra,
                                            C* high_bra) {
        for (size_t j = begin; j < end; ++j) {
            V re[branches] = {}, im[branches] = {};
            for (size_t i = 0; i < shape.row; ++i) {
                const C b = bra[j * shape.row + i];
#pragma GCC unroll 4
                for (int c = 0; c < branches; ++c) {
                    const C& x = low[size_t(c) * shape.row + i];
                    re[c] += x.re * b.re;
                    im[c] += x.re * b.im;
                    re[c] += x.im * b.im;
                    im[c] -= x.im * b.re;
                }
            }
            for (int c = 0; c < branches; ++c) {
                const size_t index = size_t(c) * shape.rows + j;
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

    // low_bra[c, i] += scale * sum over rows j: conj(high[c, j]) bra[j, i]
    template <int branches>
    [[gnu::noinline]] static void add_to_low(const Shape& shape, size_t begin, size_t end, const C* high, const C* bra,
                                             C* low_bra) {
        C factor[rows_at_once][branches];
        for (size_t j = begin; j < end; ++j) load_branches<branches>(shape, high, j, factor[j - begin]);
        for (size_t i = 0; i < shape.row; ++i) {
            V re[branches], im[branches];
#pragma GCC unroll 4
            for (int c = 0; c < branches; ++c) {
                re[c] = low_bra[size_t(c) * shape.row + i].re;
                im[c] = low_bra[size_t(c) * shape.row + i].im;
            }
            for (size_t j = begin; j < end; ++j) {
                const C b = bra[j * shape.row + i];
#pragma GCC unroll 4
                for (int c = 0; c < branches; ++c) {
                    const C& x = factor[j - begin][c];
                    re[c] += x.re * b.re;
                    im[c] += x.re * b.im;
                    re[c] += x.im * b.im;
                    im[c] -= x.im * b.re;
                }
            }
#pragma GCC unroll 4
            for (int c = 0; c < branches; ++c) low_bra[size_t(c) * shape.row + i] = {re[c], im[c]};
        }
    }
};
