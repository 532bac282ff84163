// One vector type for every width, and the few operations on it that operators do not spell.
// Included by isa/*.cpp inside an unnamed namespace: nothing here may have external linkage. For jets, see jets.hpp.

template <class Real, int lanes>
struct VectorOf {
    typedef Real Type __attribute__((vector_size(sizeof(Real) * lanes)));
    using Bits = std::conditional_t<sizeof(Real) == 4, int32_t, int64_t>;
    typedef Bits Integer __attribute__((vector_size(sizeof(Real) * lanes)));
};

template <class Real, int lanes>
using Vector = typename VectorOf<Real, lanes>::Type;
template <class Real, int lanes>
using IntegerVector = typename VectorOf<Real, lanes>::Integer;

// Written out: compilers would add a number to a vector of zeros.
template <class V, class Real, size_t... lane>
[[gnu::always_inline]] inline V repeated(Real value, std::index_sequence<lane...>) {
    return V{(void(lane), value)...};
}
template <class Real, int lanes>
    requires(!is_jet<Real>)
inline Vector<Real, lanes> broadcast(Real value) {
    return repeated<Vector<Real, lanes>>(value, std::make_index_sequence<lanes>{});
}

// Vector registers of the instruction set.
#if defined(__AVX512VL__) || defined(__aarch64__)
constexpr int num_registers = 32;
#else
constexpr int num_registers = 16;
#endif

// Compilers would load an amplitude anew for each product that it is part of.
template <class V>
[[gnu::always_inline]] inline V in_register(V amplitude) {
#if defined(__x86_64__)
    asm("" : "+v"(amplitude));
#endif
    return amplitude;
}

// to = value, past the caches where the instruction set can: for what is not read again before they hold other things.
// Other threads see it after a locked instruction, as the barrier of a team has one.
template <class V>
[[gnu::always_inline]] inline void stream(V& to, V value) {
#if defined(__AVX__)
    if constexpr (sizeof(V) >= 32) {
        asm volatile("vmovntps %1, %0" : "=m"(to) : "v"(value));
        return;
    }
#endif
    to = value;
}

template <class Real, int lanes>
inline Vector<Real, lanes> square_root(Vector<Real, lanes> x) {
    Vector<Real, lanes> result;
    for (int i = 0; i < lanes; ++i) result[i] = sizeof(Real) == 4 ? __builtin_sqrtf(x[i]) : __builtin_sqrt(x[i]);
    return result;
}

#if defined(__clang__)
template <int bit, class V, size_t... lane>
inline V flip_lane_bit(V x, std::index_sequence<lane...>) {
    return __builtin_shufflevector(x, x, (int(lane) ^ 1 << bit)...);
}
#endif

// x with lane i taken from lane i ^ flip.
template <class Real, int lanes>
    requires(!is_jet<Real>)
inline Vector<Real, lanes> flip_lanes(Vector<Real, lanes> x, uint32_t flip) {
#if defined(__clang__)
    constexpr std::make_index_sequence<lanes> all{};
    if constexpr (lanes > 1) x = flip & 1 ? flip_lane_bit<0>(x, all) : x;
    if constexpr (lanes > 2) x = flip & 2 ? flip_lane_bit<1>(x, all) : x;
    if constexpr (lanes > 4) x = flip & 4 ? flip_lane_bit<2>(x, all) : x;
    if constexpr (lanes > 8) x = flip & 8 ? flip_lane_bit<3>(x, all) : x;
    return x;
#else
    using Bits = typename VectorOf<Real, lanes>::Bits;
    IntegerVector<Real, lanes> index;
    for (int i = 0; i < lanes; ++i) index[i] = i;
    return __builtin_shuffle(x, index ^ Bits(flip));
#endif
}

// Of two vectors side by side, those elements whose numbers are given.
template <size_t... element, class V>
[[gnu::always_inline]] inline V chosen(V x, V y) {
#if defined(__clang__)
    return __builtin_shufflevector(x, y, int(element)...);
#else
    using Number = std::decay_t<decltype(x[0])>;
    return __builtin_shuffle(x, y, IntegerVector<Number, int(sizeof...(element))>{element...});
#endif
}

// x, y = re0, im0, re1, im1, ... in place of re, im; and back.
template <class V, size_t... lane>
[[gnu::always_inline]] inline void interleave(V& re, V& im, std::index_sequence<lane...>) {
    constexpr size_t lanes = sizeof...(lane);
    const V first = chosen<(lane / 2 + lane % 2 * lanes)...>(re, im);
    im = chosen<(lanes / 2 + lane / 2 + lane % 2 * lanes)...>(re, im);
    re = first;
}
template <class V, size_t... lane>
[[gnu::always_inline]] inline void take_apart(V& x, V& y, std::index_sequence<lane...>) {
    const V re = chosen<(2 * lane)...>(x, y);
    y = chosen<(2 * lane + 1)...>(x, y);
    x = re;
}

// Exchanges lanes `width` apart between rows that are `width` apart, for all widths: a square is transposed.
template <size_t width, class V, size_t... lane>
[[gnu::always_inline]] inline void transpose(V* rows, std::index_sequence<lane...> all) {
    constexpr size_t lanes = sizeof...(lane);
    if constexpr (width < lanes) {
#pragma GCC unroll 16
        for (size_t i = 0; i < lanes; ++i) {
            if (i & width) continue;
            const V x = rows[i], y = rows[i | width];
            rows[i] = chosen<((lane & width) ? lanes + lane - width : lane)...>(x, y);
            rows[i | width] = chosen<((lane & width) ? lanes + lane : lane + width)...>(x, y);
        }
        transpose<2 * width>(rows, all);
    }
}

template <class Real, int lanes>
    requires(!is_jet<Real>)
inline Real sum_of_lanes(Vector<Real, lanes> x) {
#pragma GCC unroll 4
    for (int flip = lanes / 2; flip > 0; flip /= 2) x += flip_lanes<Real, lanes>(x, uint32_t(flip));
    return x[0];
}

// Sums of lanes i and i ^ width: of x where the bit is not set in i, of y where it is.
template <size_t width, class V, size_t... lane>
[[gnu::always_inline]] inline V folded(V x, V y, std::index_sequence<lane...>) {
    constexpr size_t lanes = sizeof...(lane);
    return chosen<((lane & width) ? lanes + lane : lane)...>(x, y) +
           chosen<((lane & width) ? lanes + (lane ^ width) : lane ^ width)...>(x, y);
}

// Lane k of the result: the sum of all lanes of x[k], for `count` vectors, a power of two and as many as lanes at most.
template <class Real, int lanes, size_t count, size_t width = 1>
    requires(!is_jet<Real>)
inline Vector<Real, lanes> sums_of_lanes(Vector<Real, lanes>* x) {
    if constexpr (width < count) {
        for (size_t k = 0; k < count; k += 2 * width)
            x[k] = folded<width>(x[k], x[k + width], std::make_index_sequence<lanes>{});
        return sums_of_lanes<Real, lanes, count, 2 * width>(x);
    } else {
#pragma GCC unroll 4
        for (uint32_t flip = width; flip < uint32_t(lanes); flip *= 2) x[0] += flip_lanes<Real, lanes>(x[0], flip);
        return x[0];
    }
}

// Whether a comparison holds in any lane. Compilers would fetch a wide mask word by word.
template <class Mask>
inline bool any(const Mask& mask) {
#if defined(__AVX512F__)
    if constexpr (sizeof(Mask) == 64) return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0;
#endif
#if defined(__AVX__)
    if constexpr (sizeof(Mask) == 32) return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#endif
    constexpr int count = sizeof(Mask) / sizeof(int64_t);
    const auto words = (IntegerVector<double, count>)mask;
    int64_t found = 0;
    for (int i = 0; i < count; ++i) found |= words[i];
    return found != 0;
}

inline int parity(uint32_t bits) { return __builtin_parity(bits); }

template <class Real, int lanes>
struct SignsOfLanes {
    alignas(64) Real of[lanes][lanes];

    constexpr SignsOfLanes() : of() {
        for (uint32_t mask = 0; mask < lanes; ++mask)
            for (uint32_t i = 0; i < lanes; ++i) of[mask][i] = __builtin_parity(mask & i) ? Real(-1) : Real(1);
    }
};
template <class Real, int lanes>
inline constexpr SignsOfLanes<Real, lanes> signs_of_lanes;

// (-1)^{mask.i} in lane i.
template <class Real, int lanes>
    requires(!is_jet<Real>)
inline Vector<Real, lanes> lane_signs(uint32_t mask) {
    Vector<Real, lanes> signs;
    __builtin_memcpy(&signs, signs_of_lanes<Real, lanes>.of[mask % uint32_t(lanes)], sizeof signs);
    return signs;
}

template <class Real, int lanes>
struct SineCosine {
    Vector<Real, lanes> sine, cosine;
};

// sin and cos by quadrant reduction (pi/2 split in three, Cody and Waite) and Taylor polynomials on [-pi/4, pi/4];
// relative error a few units in the last place. Arguments too large for the reduction go through libm, unless it is
// known that there are none.
template <class Real, int lanes, bool is_small = false>
    requires(!is_jet<Real>)
inline SineCosine<Real, lanes> sine_cosine(Vector<Real, lanes> x) {
    using V = Vector<Real, lanes>;
    using I = IntegerVector<Real, lanes>;
    constexpr bool single = sizeof(Real) == 4;
    // Adding 1.5 * 2^(mantissa bits) rounds to an integer and leaves it in the low bits of the sum.
    const Real round = single ? Real(12582912.0) : Real(6755399441055744.0);
    const Real high = single ? Real(1.5703125) : Real(1.57079632673412561417e+00);
    const Real middle = single ? Real(4.837512969970703125e-4) : Real(6.07710050630396597660e-11);
    const Real low = single ? Real(7.54978995489188216e-8) : Real(2.02226624879595063154e-21);
    const Real limit = single ? Real(4096.0) : Real(1e6);

    const V shifted = x * Real(0.63661977236758134308) + round;
    const V quadrants = shifted - round;
    V r = x - quadrants * high;
    r = r - quadrants * middle;
    r = r - quadrants * low;
    const V r2 = r * r;
    V sine, cosine;
    if constexpr (single) {
        sine = r2 * Real(1.0 / 362880) - Real(1.0 / 5040);
        sine = sine * r2 + Real(1.0 / 120);
        sine = sine * r2 - Real(1.0 / 6);
        cosine = Real(1.0 / 40320) - r2 * Real(1.0 / 3628800);
        cosine = cosine * r2 - Real(1.0 / 720);
        cosine = cosine * r2 + Real(1.0 / 24);
        cosine = cosine * r2 - Real(0.5);
    } else {
        sine = r2 * Real(1.0 / 355687428096000.0) - Real(1.0 / 1307674368000.0);
        sine = sine * r2 + Real(1.0 / 6227020800.0);
        sine = sine * r2 - Real(1.0 / 39916800.0);
        sine = sine * r2 + Real(1.0 / 362880.0);
        sine = sine * r2 - Real(1.0 / 5040.0);
        sine = sine * r2 + Real(1.0 / 120.0);
        sine = sine * r2 - Real(1.0 / 6.0);
        cosine = r2 * Real(1.0 / 20922789888000.0) - Real(1.0 / 87178291200.0);
        cosine = cosine * r2 + Real(1.0 / 479001600.0);
        cosine = cosine * r2 - Real(1.0 / 3628800.0);
        cosine = cosine * r2 + Real(1.0 / 40320.0);
        cosine = cosine * r2 - Real(1.0 / 720.0);
        cosine = cosine * r2 + Real(1.0 / 24.0);
        cosine = cosine * r2 - Real(0.5);
    }
    sine = r + r * r2 * sine;
    cosine = Real(1) + r2 * cosine;

    const I quadrant = (I)shifted;
    const I odd = (quadrant & 1) != 0;
    const V swapped_sine = odd ? cosine : sine, swapped_cosine = odd ? sine : cosine;
    SineCosine<Real, lanes> result{(quadrant & 2) != 0 ? -swapped_sine : swapped_sine,
                                   ((quadrant + 1) & 2) != 0 ? -swapped_cosine : swapped_cosine};
    if (!is_small && any(~((x < limit) & (x > -limit)))) {
        for (int i = 0; i < lanes; ++i) {
            if (x[i] < limit && x[i] > -limit) continue;
            result.sine[i] = Real(__builtin_sin(double(x[i])));
            result.cosine[i] = Real(__builtin_cos(double(x[i])));
        }
    }
    return result;
}
