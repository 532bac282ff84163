// Expectation values of Pauli words from two halves that are never joined. Included by isa/*.cpp.
//
// The state is sqrt(branches) * sum over c: low[c] (x) high[c]. A word is a half-word on each half, and words that
// share the one on the near half are read together: with G = branches * <near_c|P|near_c'>, each of them is
// <far|Q|image>, where image_c = sum over c': G[c, c'] far_c'. Their adjoint: with B = sum of cotangent * Q, the bra of
// the far half is B image, and that of the near half M P near, where M = branches * <far_c|B|far_c'>.

template <class Real, int lanes, int lane_bits>
struct Unjoined {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using W = Walsh<Real, lanes, lane_bits>;
    using A = Angles<Real, lanes, lane_bits>;
    using O = Observable<Real, lanes, lane_bits>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using Absorbed = Absorb<Real, lanes, lane_bits>;
    using J = Join<Real, lanes, lane_bits>;
    using Entry = typename Space::Entry;  // of a Gram matrix, as products take it

    // A half: the vectors of one of its branches, which lie one after the other.
    struct Half {
        const C* ket;
        C* bra;
        size_t row;
    };

    // Words that share a half-word.
    struct Group {
        const ProgramView& p;
        int number;
        const Half &near, &far;
        size_t branches;

        Group(const ProgramView& program, const Half* half, int gram)
            : p(program),
              number(gram),
              near(half[program.gram_half[gram]]),
              far(half[1 - program.gram_half[gram]]),
              branches(size_t(1) << program.glue_bits) {}

        // Calls visit(number of the flip, begin, end) for words that flip the same bits.
        template <class Visit>
        void for_each_flip(Visit visit) const {
            const int last = p.gram_word_begin[number + 1];
            int flips = 0;
            for (int begin = p.gram_word_begin[number], end = begin; begin < last; begin = end) {
                while (end < last && p.word_x[end] == p.word_x[begin]) ++end;
                visit(flips++, begin, end);
            }
        }
    };

    static bool is_odd(uint32_t x, uint32_t z) { return parity(x & z) != 0; }

    // (-1)^{z.i} of the first lane of vector i.
    static Number sign_of(uint32_t z, size_t i) {
        return parity(uint32_t(i) & z >> L::lane_bits) ? Number(-1) : Number(1);
    }

    // Vectors of a branch that are this thread's, in pairs where they come in pairs: all that is done to a vector of a
    // half between two meetings is done by one thread.
    static Team::Share share(const Space& space, size_t row) {
        const size_t pair = row % 2 == 0 ? 2 : 1;
        const auto [begin, end] = space.team.share(row / pair);
        return {begin * pair, end * pair};
    }

    // target = P source, of all branches, where P is a half-word.
    static void apply(const Space& space, uint32_t x, uint32_t z, size_t row, size_t branches, const C* source,
                      C* target) {
        const auto [begin, end] = share(space, row);
        const V signs = L::template signs<Real>(z) * broadcast<Real, lanes>(is_odd(x, z) ? Number(-1) : Number(1));
        for (size_t c = 0; c < branches * row; c += row)
            for (size_t i = begin; i < end; ++i) {
                const C k = L::element(source + c, uint32_t(i << L::lane_bits) ^ x);
                const V sign = signs * sign_of(z, i);
                if (is_odd(x, z))
                    target[c + i] = {-(sign * k.im), sign * k.re};
                else
                    target[c + i] = {sign * k.re, sign * k.im};
            }
    }

    // What P makes of the near half: that half itself, if P is the identity.
    static const C* applied(const Group& group, const Space& space) {
        const uint32_t x = group.p.gram_x[group.number], z = group.p.gram_z[group.number];
        if ((x | z) == 0) return group.near.ket;
        apply(space, x, z, group.near.row, group.branches, group.near.ket, space.applied);
        space.team.meet();
        return space.applied;
    }

    static Entry* gram_of(const Group& group, const Space& space) {
        return space.gram + size_t(group.number) * group.branches * group.branches;
    }

    // gram = branches * <left_c|right_c'>, a Hermitian matrix; then waits for the others.
    static void fill_gram(const Space& space, size_t branches, size_t row, const C* left, const C* right, Entry* gram) {
        const auto fill = [&](auto count) {
            const size_t blocks = branches / count.value;
            const auto [begin, end] = space.team.share(blocks * (blocks + 1) / 2);
            uint64_t number = 0;
            for (size_t c = 0; c < branches; c += count.value)
                for (size_t d = c; d < branches; d += count.value, ++number)
                    if (number >= begin && number < end)
                        fill_block<count.value>(branches, row, c, d, left, right, gram);
        };
        if (branches == 1)
            fill(std::integral_constant<size_t, 1>{});
        else
            fill(std::integral_constant<size_t, 2>{});
        space.team.meet();
    }

    template <size_t count>
    [[gnu::noinline]] static void fill_block(size_t branches, size_t row, size_t first, size_t second, const C* left,
                                             const C* right, Entry* gram) {
        typename J::LowSum sum[count][count];
        for (size_t i = 0; i < row; ++i) {
            const auto of = [&](size_t d) { return typename J::LowSum::Bra(right[(second + d) * row + i]); };
            const typename J::LowSum::Bra found[2] = {of(0), of(count - 1)};
#pragma GCC unroll 2
            for (size_t c = 0; c < count; ++c) {
                const typename J::LowSum::Low x(left[(first + c) * row + i]);
#pragma GCC unroll 2
                for (size_t d = 0; d < count; ++d) sum[c][d].add(x, found[d]);
            }
        }
        const auto scale = Number(branches);
        V parts[2 * count * count];
        for (size_t k = 0; k < count * count; ++k) {
            const C found = sum[k / count][k % count].value();
            parts[2 * k] = found.re;
            parts[2 * k + 1] = found.im;
        }
        typename Entry::Part total[2 * count * count];
        in_all_lanes(parts, total);
        for (size_t k = 0; k < count * count; ++k) {
            const auto re = total[2 * k] * scale, im = total[2 * k + 1] * scale;
            const size_t i = first + k / count, j = second + k % count;
            gram[i * branches + j] = Entry::of(re, im);
            gram[j * branches + i] = Entry::of(re, -im);
        }
    }

    // Of a single sample, a number for all lanes.
    template <size_t count>
    static void in_all_lanes(V (&parts)[count], typename Entry::Part (&total)[count]) {
        constexpr size_t at_once = count < size_t(lanes) ? count : size_t(lanes);
        for (size_t k = 0; k < count; k += L::is_single ? at_once : 1) {
            if constexpr (L::is_single) {
                const V sums = sums_of_lanes<Real, lanes, at_once>(parts + k);
                for (size_t i = 0; i < at_once; ++i) total[k + i] = sums[i];
            } else {
                total[k] = W::sum_over_state(parts[k]);
            }
        }
    }

    // target_c = sum over c': gram[c, c'] source_c', or is added to.
    template <bool adds>
    static void multiply(const Space& space, size_t branches, size_t row, const Entry* gram, const C* source,
                         C* target) {
        const Team::Share own = share(space, row);
        const auto multiply_rows = [&](auto count) {
            constexpr size_t width = num_registers == 32 ? 2 : 1;
            for (size_t c = 0; c < branches; c += count.value) {
                const Entry* first = gram + c * branches;
                if (row % width == 0)
                    multiply_block<adds, count.value, width>(own, branches, row, first, source, target + c * row);
                else
                    multiply_block<adds, count.value, 1>(own, branches, row, first, source, target + c * row);
            }
        };
        if (branches == 1)
            multiply_rows(std::integral_constant<size_t, 1>{});
        else if (branches == 2 || num_registers < 32)
            multiply_rows(std::integral_constant<size_t, 2>{});
        else
            multiply_rows(std::integral_constant<size_t, 4>{});
    }

    // Three products make a complex one (Gauss).
    template <bool adds, size_t count, size_t width>
    [[gnu::noinline]] static void multiply_block(Team::Share own, size_t branches, size_t row, const Entry* gram,
                                                 const C* source, C* target) {
        for (size_t i = own.begin; i < own.end; i += width) {
            V re[count][width] = {}, im[count][width] = {}, both[count][width] = {};
            for (size_t d = 0; d < branches; ++d) {
                V x[width], y[width], less[width];
#pragma GCC unroll 2
                for (size_t v = 0; v < width; ++v) {
                    x[v] = in_register(source[d * row + i + v].re);
                    y[v] = in_register(source[d * row + i + v].im);
                    less[v] = in_register(x[v] - y[v]);
                }
#pragma GCC unroll 4
                for (size_t c = 0; c < count; ++c) {
                    const Entry& entry = gram[c * branches + d];
#pragma GCC unroll 2
                    for (size_t v = 0; v < width; ++v) {
                        both[c][v] += entry.im * less[v];
                        re[c][v] += entry.difference * x[v];
                        im[c][v] += entry.sum * y[v];
                    }
                }
            }
#pragma GCC unroll 4
            for (size_t c = 0; c < count; ++c)
#pragma GCC unroll 2
                for (size_t v = 0; v < width; ++v) {
                    C& to = target[c * row + i + v];
                    const C found{re[c][v] + both[c][v], im[c][v] + both[c][v]};
                    to = adds ? C{to.re + found.re, to.im + found.im} : found;
                }
        }
    }

    // Words.

    // overlap[i] = sum over the branches of conj(far[i ^ x]) image[i]; of diagonal words the real part alone.
    template <bool flips>
    [[gnu::noinline]] static void fill_overlaps(const Group& group, const Space& space, uint32_t x) {
        const size_t row = group.far.row;
        const auto [begin, end] = share(space, row);
        for (size_t i = begin; i < end; ++i) {
            V re{}, more_re{}, im{}, less_im{};
            for (size_t c = 0; c < group.branches; ++c) {
                const C to = L::element(group.far.ket + c * row, uint32_t(i << L::lane_bits) ^ x);
                const C& from = space.image[c * row + i];
                re += to.re * from.re;
                more_re += to.im * from.im;
                if constexpr (!flips) continue;
                im += to.re * from.im;
                less_im += to.im * from.re;
            }
            space.overlap[i] = {re + more_re, im - less_im};
        }
    }

    // The values of all words, or this thread's share of them.
    static void measure(const ProgramView& p, const Space& space, const Half* half) {
        for (int number = 0; number < p.num_grams; ++number) {
            const Group group(p, half, number);
            Entry* gram = gram_of(group, space);
            fill_gram(space, group.branches, group.near.row, group.near.ket, applied(group, space), gram);
            multiply<false>(space, group.branches, group.far.row, gram, group.far.ket, space.image);
            group.for_each_flip([&](int, int begin, int end) {
                const uint32_t x = p.word_x[begin];
                x == 0 ? fill_overlaps<false>(group, space, x) : fill_overlaps<true>(group, space, x);
                for (int word = begin; word < end; ++word)
                    space.word_value[word] = value_of(x, p.word_z[word], share(space, group.far.row), space.overlap);
            });
        }
    }

    // <X^x Z^z>, or <i X^x Z^z>.
    static V value_of(uint32_t x, uint32_t z, Team::Share own, const C* overlap) {
        V sum{};
        if (is_odd(x, z))
            for (size_t i = own.begin; i < own.end; ++i) sum -= overlap[i].im * sign_of(z, i);
        else
            for (size_t i = own.begin; i < own.end; ++i) sum += overlap[i].re * sign_of(z, i);
        return W::sum_over_state(sum * L::template signs<Real>(z));
    }

    // B by its flips: to element i comes weight[i] times element i ^ x.
    static void fill_weights(const ProgramView& p, const Space& space, int flip, int begin, int end, size_t row) {
        C* weight = space.flip_weight + size_t(flip) * row;
        const auto [first, last] = share(space, row);
        __builtin_memset(static_cast<void*>(weight + first), 0, (last - first) * sizeof(C));
        for (int word = begin; word < end; ++word) {
            const uint32_t x = p.word_x[word], z = p.word_z[word];
            const bool odd = is_odd(x, z);
            const V cotangent =
                (odd ? -space.word_cotangent[word] : space.word_cotangent[word]) * L::template signs<Real>(z);
            for (size_t i = first; i < last; ++i) {
                V& sum = odd ? weight[i].im : weight[i].re;
                sum += cotangent * sign_of(z, i);
            }
        }
    }

    // target = B source, or is added to, of `count` branches.
    template <bool adds, size_t count>
    [[gnu::noinline]] static void apply_sum(const Group& group, const Space& space, const C* source, C* target) {
        const size_t row = group.far.row;
        const auto [first, last] = share(space, row);
        for (size_t i = first; i < last; ++i) {
            V re[count] = {}, im[count] = {};
            group.for_each_flip([&](int flip, int begin, int) {
                const uint32_t x = group.p.word_x[begin];
                const C weight = space.flip_weight[size_t(flip) * row + i];
#pragma GCC unroll 4
                for (size_t c = 0; c < count; ++c) {
                    const C k = L::element(source + c * row, uint32_t(i << L::lane_bits) ^ x);
                    re[c] += weight.re * k.re;
                    im[c] += weight.re * k.im;
                    if (x == 0) continue;
                    re[c] -= weight.im * k.im;
                    im[c] += weight.im * k.re;
                }
            });
#pragma GCC unroll 4
            for (size_t c = 0; c < count; ++c) {
                C& to = target[c * row + i];
                to = adds ? C{to.re + re[c], to.im + im[c]} : C{re[c], im[c]};
            }
        }
    }

    template <bool adds>
    static void apply_sum(const Group& group, const Space& space, const C* source, C* target) {
        const size_t row = group.far.row;
        const auto apply_rows = [&](auto count) {
            for (size_t c = 0; c < group.branches; c += count.value)
                apply_sum<adds, count.value>(group, space, source + c * row, target + c * row);
        };
        if (group.branches < 4)
            apply_rows(std::integral_constant<size_t, 1>{});
        else
            apply_rows(std::integral_constant<size_t, 4>{});
    }

    // The bras of both halves, from the cotangents of all words.
    static void pull_back(const ProgramView& p, const Space& space, const Half* half) {
        const size_t branches = size_t(1) << p.glue_bits;
        for (int i = 0; i < 2; ++i) {
            const auto [begin, end] = share(space, half[i].row);
            for (size_t c = 0; c < branches; ++c)
                __builtin_memset(static_cast<void*>(half[i].bra + c * half[i].row + begin), 0,
                                 (end - begin) * sizeof(C));
        }
        for (int number = 0; number < p.num_grams; ++number) {
            const Group group(p, half, number);
            if (!counts(group, space)) continue;
            const auto &near = group.near, &far = group.far;
            group.for_each_flip(
                [&](int flip, int begin, int end) { fill_weights(p, space, flip, begin, end, far.row); });
            multiply<false>(space, branches, far.row, gram_of(group, space), far.ket, space.image);
            space.team.meet();
            apply_sum<true>(group, space, space.image, far.bra);
            space.team.meet();
            apply_sum<false>(group, space, far.ket, space.image);
            const C* source = applied(group, space);
            space.team.meet();
            fill_gram(space, branches, far.row, far.ket, space.image, space.adjoint_gram);
            multiply<true>(space, branches, near.row, space.adjoint_gram, source, near.bra);
            space.team.meet();
        }
        space.team.meet();
    }

    // Whether any of its words has a cotangent.
    static bool counts(const Group& group, const Space& space) {
        bool found = false;
        for (int word = group.p.gram_word_begin[group.number]; word < group.p.gram_word_begin[group.number + 1]; ++word)
            found |= any(space.word_cotangent[word] != 0);
        return found;
    }

    // What is read of them: the runs of an absorbed layer, then terms.

    static int num_runs(const ProgramView& p) {
        return p.absorbs ? p.layer_run_begin[p.num_layers] - p.layer_run_begin[p.num_layers - 1] : 0;
    }
    static V reading(const ProgramView& p, const Space& space, int number) {
        const int word = p.reading_word[number];
        return word < 0 ? V{} : space.word_value[word] * Number(p.reading_sign[number]);
    }
    static void add_cotangent(const ProgramView& p, const Space& space, int number, V cotangent) {
        const int word = p.reading_word[number];
        if (word >= 0) space.word_cotangent[word] += cotangent * Number(p.reading_sign[number]);
    }

    // Bloch vectors after the right diagonals of the runs, which no half applies.
    static void fill_bloch(const ProgramView& p, const Space& space) {
        for (int i = 0; i < num_runs(p); ++i) {
            const int r = p.layer_run_begin[p.num_layers - 1] + i;
            auto& bloch = Absorbed::bloch(p, space, r);
            bloch = {reading(p, space, 3 * i), reading(p, space, 3 * i + 1), reading(p, space, 3 * i + 2)};
            if (!p.run_is_real[r]) A::turn(bloch.x, bloch.y, space.run[r].right.re, space.run[r].right.im);
        }
    }

    static void read(const Tile<Real>& tile, const Space& space) {
        const ProgramView& p = *tile.program;
        for (int64_t sample = 0; sample < tile.num_samples; ++sample)
            for (int m = 0; m < p.num_observables; ++m)
                tile.values[sample * p.num_observables + m] =
                    space.team.rank > 0 ? Number(0) : Number(p.observable_constant[m]);
        if (p.absorbs) O::absorbed_values(tile, space);
        for (int t = 0; t < p.flip_term_begin[2 * p.num_flips]; ++t)
            if (!O::is_absorbed(p, t))
                O::add_value(tile, p.pauli_observable[t],
                             Number(p.pauli_coefficient[t]) * reading(p, space, 3 * num_runs(p) + t));
    }

    // Those of words: from those of <Z> after an absorbed layer, as U^+ Z U = cos(theta) Z - sin(theta) X, turned back,
    // and from those of the terms.
    static void fill_cotangents(const Tile<Real>& tile, const Space& space) {
        const ProgramView& p = *tile.program;
        for (int word = 0; word < p.num_words; ++word) space.word_cotangent[word] = V{};
        for (int i = 0; i < num_runs(p); ++i) {
            const int r = p.layer_run_begin[p.num_layers - 1] + i;
            const V cotangent = Absorbed::cotangent(p, space, r);
            V x = -(cotangent * Absorbed::sine(space, r)), y{};
            if (!p.run_is_real[r]) A::turn(x, y, space.run[r].right.re, -space.run[r].right.im);
            add_cotangent(p, space, 3 * i, x);
            add_cotangent(p, space, 3 * i + 1, y);
            add_cotangent(p, space, 3 * i + 2, cotangent * Absorbed::cosine(space, r));
        }
        O::for_each_counting(tile, 0, p.flip_term_begin[2 * p.num_flips],
                             [&](int t, V cotangent) { add_cotangent(p, space, 3 * num_runs(p) + t, cotangent); });
    }
};
