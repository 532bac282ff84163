// The sums of a join, and of its adjoint, where a vector holds amplitudes of one sample: those of the high half are
// numbers then, and a tile of sums stays in registers over all branches, or over many rows. Included by isa/*.cpp.

// Of the two halves: the vectors of a row of the low one, the rows, the branches, and what multiplies their sum.
template <class Number, int lanes, int lane_bits>
struct JoinShape {
    size_t row, rows, branches;
    Number scale;

    explicit JoinShape(const ProgramView& p)
        : row(Layout<lanes, lane_bits>::vectors(p.half[0]->num_qubits - p.glue_bits)),
          rows(size_t(1) << (p.half[1]->num_qubits - p.glue_bits)),
          branches(size_t(1) << p.glue_bits),
          scale(Number(1 << p.glue_bits / 2) * Number(p.glue_bits % 2 == 0 ? 1 : 1.41421356237309504880)) {}
};

template <class Real, int lanes>
struct Outer {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, __builtin_ctz(lanes)>;
    using Shape = JoinShape<Real, lanes, L::lane_bits>;
    static constexpr std::make_index_sequence<lanes> all_lanes{};

    // state[j, i] for rows j from begin to end - 1.
    static void join(const Shape& shape, size_t begin, size_t end, const C* low, const C* high, C* state) {
        for_each_block(shape, begin, end, high, Use::product, [&](const Factors& factors, size_t base, Part part) {
            for_each<rows_at_once>(part.begin, part.end, [&](auto rows, size_t r) {
                for_each<vectors_at_once>(0, shape.row, [&](auto vectors, size_t i) {
                    add_up<rows.value, vectors.value>(shape, factors, r, low + i, state + (base + r) * shape.row + i);
                });
            });
        });
    }

    // What rows begin to end - 1 of `bra` add to the bra of the low half, and their part of that of the high one.
    static void split(const Shape& shape, size_t begin, size_t end, const C* low, const C* high, const C* bra,
                      C* low_bra, C* high_bra, bool fetches) {
        for_each_block(shape, begin, end, high, Use::adjoint, [&](const Factors& factors, size_t base, Part part) {
            const C* first = bra + base * shape.row;
            for_each<rows_at_once>(part.begin, part.end, [&](auto rows, size_t r) {
                for_each<branches_at_once>(0, shape.branches, [&](auto branches, size_t c) {
                    fill_high<rows.value, branches.value>(shape, base + r, c, low, first + r * shape.row, high_bra);
                });
            });
            for_each<branches_at_once>(0, shape.branches, [&](auto branches, size_t c) {
                for_each<vectors_at_once>(0, shape.row, [&](auto vectors, size_t i) {
                    const size_t ahead = fetches && c == 0 ? lanes * shape.row : 0;
                    add_to_low<branches.value, vectors.value>(shape, factors, part, c, first + i, ahead, low_bra + i);
                });
            });
        });
    }

   private:
    // With three sums for each of the products below, and what they are made of, all registers are taken.
    static constexpr int rows_at_once = 4, branches_at_once = 4, vectors_at_once = num_registers == 32 ? 2 : 1;
    static constexpr int most_branches = 1 << most_glue_bits;

    // Three products make a complex one (Gauss): h x = (s + first re x) + i (s + second im x) with s = third (re x - im
    // x), and conj(h) b = (s + first (re b + im b)) + i (s + second (im b - re b)) with s = third re b. Here is what
    // each of two amplitudes brings, to be multiplied by what stands in the same place for the other.
    struct Triple {
        V first, second, third;
    };
    [[gnu::always_inline]] static Triple of_ket(const C& x) {
        const V re = in_register(x.re), im = in_register(x.im);
        return {re, im, in_register(re - im)};
    }
    [[gnu::always_inline]] static Triple of_bra(const C& b) {
        const V re = in_register(b.re), im = in_register(b.im);
        return {in_register(re + im), in_register(im - re), re};
    }
    [[gnu::always_inline]] static Triple of_conjugate(const C& h) {
        const V re = in_register(h.re), im = in_register(h.im);
        return {im, re, re - im};
    }
    struct Sum {
        V re{}, im{}, both{};

        [[gnu::always_inline]] void add(const Triple& factor, const Triple& amplitude) {
            re += factor.first * amplitude.first;
            im += factor.second * amplitude.second;
            both += factor.third * amplitude.third;
        }
        C value() const { return {re + both, im + both}; }
    };

    // What the high half brings, times the scale: of all branches, of rows side by side.
    enum class Use { product, adjoint };
    struct Factors {
        V first[most_branches], second[most_branches], third[most_branches];

        [[gnu::always_inline]] Triple operator()(size_t c, size_t r) const {
            return {broadcast<Real, lanes>(first[c][r]), broadcast<Real, lanes>(second[c][r]),
                    broadcast<Real, lanes>(third[c][r])};
        }
    };
    struct Part {  // of the rows of a block
        size_t begin, end;
    };

    // Calls visit(factors, first row, which of the rows that follow it) for blocks of as many rows as there are lanes.
    template <class Visit>
    static void for_each_block(const Shape& shape, size_t begin, size_t end, const C* high, Use use, Visit visit) {
        Factors factors;
        for (size_t base = begin & ~size_t(lanes - 1); base < end; base += lanes) {
            const Part part{begin > base ? begin - base : 0, end - base < lanes ? end - base : lanes};
            for (size_t c = 0; c < shape.branches; ++c) {
                const C h = rows_of(shape, high, c, base);
                const V re = h.re * shape.scale, im = h.im * shape.scale;
                const Triple of = use == Use::product ? Triple{re - im, re + im, im} : of_conjugate({re, im});
                factors.first[c] = of.first;
                factors.second[c] = of.second;
                factors.third[c] = of.third;
            }
            visit(factors, base, part);
        }
    }

    // Amplitudes of the high half, of rows side by side; rows that are not there are zero.
    static C rows_of(const Shape& shape, const C* high, size_t c, size_t base) {
        const size_t index = c * shape.rows + base;
        if (shape.rows >= lanes) return high[index >> L::lane_bits];
        C found{V{}, V{}};
        for (size_t r = 0; r < shape.rows; ++r) {
            found.re[r] = high[(index + r) >> L::lane_bits].re[(index + r) & L::lane_mask];
            found.im[r] = high[(index + r) >> L::lane_bits].im[(index + r) & L::lane_mask];
        }
        return found;
    }

    // Calls visit(count, i) from begin to end, many at a time; those of the rest one by one.
    template <int many, class Visit>
    [[gnu::always_inline]] static void for_each(size_t begin, size_t end, Visit visit) {
        size_t i = begin;
        for (; i + many <= end; i += many) visit(std::integral_constant<int, many>{}, i);
        for (; i < end; ++i) visit(std::integral_constant<int, 1>{}, i);
    }

    // Some vectors of some rows of the state.
    template <int rows, int vectors>
    [[gnu::noinline]] static void add_up(const Shape& shape, const Factors& factors, size_t r, const C* low, C* state) {
        Sum sum[rows][vectors];
        for (size_t c = 0; c < shape.branches; ++c) {
            Triple x[vectors];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; ++v) x[v] = of_ket(low[c * shape.row + size_t(v)]);
#pragma GCC unroll 4
            for (int j = 0; j < rows; ++j) {
                const Triple h = factors(c, r + size_t(j));
#pragma GCC unroll 2
                for (int v = 0; v < vectors; ++v) sum[j][v].add(h, x[v]);
            }
        }
#pragma GCC unroll 4
        for (int j = 0; j < rows; ++j)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; ++v) state[size_t(j) * shape.row + size_t(v)] = sum[j][v].value();
    }

    // Some vectors of some branches of the low half's bra.
    template <int branches, int vectors>
    [[gnu::noinline]] static void add_to_low(const Shape& shape, const Factors& factors, Part part, size_t begin,
                                             const C* bra, size_t ahead, C* low_bra) {
        Sum sum[branches][vectors];
        for (size_t r = part.begin; r < part.end; ++r) {
            Triple b[vectors];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; ++v) {
                const C* at = bra + r * shape.row + size_t(v);
                if (ahead > 0) fetch_ahead<true>(at + ahead);
                b[v] = of_bra(*at);
            }
#pragma GCC unroll 4
            for (int c = 0; c < branches; ++c) {
                const Triple h = factors(begin + size_t(c), r);
#pragma GCC unroll 2
                for (int v = 0; v < vectors; ++v) sum[c][v].add(h, b[v]);
            }
        }
#pragma GCC unroll 4
        for (int c = 0; c < branches; ++c)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; ++v) {
                C& to = low_bra[(begin + size_t(c)) * shape.row + size_t(v)];
                const C more = sum[c][v].value();
                to = {to.re + more.re, to.im + more.im};
            }
    }

    // Some branches of the high half's bra, at some rows: sums over a row, lanes and all.
    template <int rows, int branches>
    [[gnu::noinline]] static void fill_high(const Shape& shape, size_t j, size_t first, const C* low, const C* bra,
                                            C* high_bra) {
        constexpr int at_once = rows < 2 ? 1 : 2;
        V re[branches * rows], im[branches * rows];
#pragma GCC unroll 2
        for (int r = 0; r < rows; r += at_once)
            add_rows<rows, branches, at_once>(shape, low + first * shape.row, bra + size_t(r) * shape.row, re + r,
                                              im + r);
        sum_each<branches * rows>(re);
        sum_each<branches * rows>(im);
        for (int c = 0; c < branches; ++c)
            for (int r = 0; r < rows; ++r) {
                const size_t index = (first + size_t(c)) * shape.rows + j + size_t(r), n = size_t(c * rows + r);
                C& to = high_bra[index >> L::lane_bits];
                to.re[index & L::lane_mask] = shape.scale * re[n / lanes][n % lanes];
                to.im[index & L::lane_mask] = shape.scale * im[n / lanes][n % lanes];
            }
    }

    // re[rows c + r] + i im[...] = conj(low[c]) bra[r], over a row; each lane its own.
    template <int rows, int branches, int at_once>
    [[gnu::always_inline]] static void add_rows(const Shape& shape, const C* low, const C* bra, V* re_found,
                                                V* im_found) {
        Sum sum[branches][at_once];
        for (size_t i = 0; i < shape.row; ++i) {
            Triple b[at_once];
#pragma GCC unroll 2
            for (int r = 0; r < at_once; ++r) b[r] = of_bra(bra[size_t(r) * shape.row + i]);
#pragma GCC unroll 4
            for (int c = 0; c < branches; ++c) {
                const Triple x = of_conjugate(low[size_t(c) * shape.row + i]);
#pragma GCC unroll 2
                for (int r = 0; r < at_once; ++r) sum[c][r].add(x, b[r]);
            }
        }
#pragma GCC unroll 4
        for (int c = 0; c < branches; ++c)
#pragma GCC unroll 2
            for (int r = 0; r < at_once; ++r) {
                const C value = sum[c][r].value();
                re_found[c * rows + r] = value.re;
                im_found[c * rows + r] = value.im;
            }
    }

    // The sums of the lanes of vectors, as the lanes of the first of them.
    template <int count>
    [[gnu::always_inline]] static void sum_each(V* vectors) {
        if constexpr (count % lanes == 0) {
#pragma GCC unroll 16
            for (int i = 0; i < count; i += lanes) {
                add_neighbours<1>(vectors + i, all_lanes);
                vectors[i / lanes] = vectors[i];
            }
        } else {
            V sums[(count + lanes - 1) / lanes] = {};
            for (int i = 0; i < count; ++i) sums[i / lanes][i % lanes] = sum_of_lanes<Real, lanes>(vectors[i]);
            for (int i = 0; i < count; i += lanes) vectors[i / lanes] = sums[i / lanes];
        }
    }

    // Lanes `width` apart, of the even vectors where that bit of the lane is 0, of the odd ones where it is 1; and on.
    template <size_t width, size_t... lane>
    [[gnu::always_inline]] static void add_neighbours(V* vectors, std::index_sequence<lane...> all) {
        if constexpr (width < lanes) {
#pragma GCC unroll 8
            for (size_t i = 0; i < lanes / (2 * width); ++i) {
                const V x = vectors[2 * i], y = vectors[2 * i + 1];
                vectors[i] = chosen<((lane & width) ? lanes + lane - width : lane)...>(x, y) +
                             chosen<((lane & width) ? lanes + lane : lane + width)...>(x, y);
            }
            add_neighbours<2 * width>(vectors, all);
        }
    }
};
