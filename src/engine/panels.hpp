// Panels of states, and their products. Included by isa/*_gram.cpp.

template <class Real, int lanes>
struct Panels {
    using V = Vector<Real, lanes>;
    static constexpr std::make_index_sequence<lanes> all_lanes{};

    static void pack(const Real* states, size_t stride, int rows, size_t numbers, Real* panel) {
        size_t number = 0;
        for (; number + lanes <= numbers; number += lanes) {  // a square
            V square[lanes];
            for (int row = 0; row < lanes; ++row) {
                square[row] = V{};
                if (row < rows) __builtin_memcpy(&square[row], states + size_t(row) * stride + number, sizeof(V));
            }
            transpose<1>(square, all_lanes);
            __builtin_memcpy(panel + number * lanes, square, sizeof(square));
        }
        for (; number < numbers; ++number)
            for (int row = 0; row < lanes; ++row)
                panel[number * lanes + size_t(row)] = row < rows ? states[size_t(row) * stride + number] : Real(0);
    }

    static void add(const Real* left, const Real* right, size_t amplitudes, bool is_real, Real* sums) {
        // Pieces of the panels that stay in the first cache while all rows of the left one meet them.
        constexpr size_t piece = 64;
        for (size_t begin = 0; begin < amplitudes; begin += piece) {
            const size_t count = amplitudes - begin < piece ? amplitudes - begin : piece;
            const size_t at = 2 * lanes * begin;
            if (is_real)
                add_rows<true>(left + at, right + at, count, sums);
            else
                add_rows<false>(left + at, right + at, count, sums);
        }
    }

    static constexpr GramKernel<Real> kernel{lanes, pack, add};

   private:
    template <bool is_real>
    static void add_rows(const Real* left, const Real* right, size_t amplitudes, Real* sums) {
        // Sums of so many rows, an amplitude of the right panel, and two numbers of the left one fill the registers.
        constexpr int most = num_registers / (is_real ? 2 : 4), rows = most < lanes ? most : lanes;
        for (int row = 0; row < lanes; row += rows) {
            V re[rows], im[rows];
            for (int r = 0; r < rows; ++r) {
                __builtin_memcpy(&re[r], sums + (2 * (row + r)) * lanes, sizeof(V));
                __builtin_memcpy(&im[r], sums + (2 * (row + r) + 1) * lanes, sizeof(V));
            }
            for (size_t i = 0; i < amplitudes; ++i) {
                const Real* number = left + 2 * i * lanes + size_t(row);
                V x, y;
                __builtin_memcpy(&x, right + 2 * i * lanes, sizeof(V));
                __builtin_memcpy(&y, right + (2 * i + 1) * lanes, sizeof(V));
#pragma GCC unroll 16
                for (int r = 0; r < rows; ++r) {
                    const V a = broadcast<Real, lanes>(number[r]), b = broadcast<Real, lanes>(number[lanes + r]);
                    re[r] += a * x;
                    re[r] += b * y;
                    if constexpr (is_real) continue;
                    im[r] += a * y;
                    im[r] -= b * x;
                }
            }
            for (int r = 0; r < rows; ++r) {
                __builtin_memcpy(sums + (2 * (row + r)) * lanes, &re[r], sizeof(V));
                if (!is_real) __builtin_memcpy(sums + (2 * (row + r) + 1) * lanes, &im[r], sizeof(V));
            }
        }
    }
};
