// Truncated power series of numbers: what a batch holds where derivatives along a direction are wanted.
#pragma once

#include <type_traits>

namespace qtm {

// x(t) = term[0] + term[1] t + ... + term[order] t^order of a number that moves with t; powers beyond are dropped.
// Always inline: code for one instruction set must share no function with code for another.
template <class Number, int order>
struct Jet {
    Number term[order + 1];

    Jet() = default;
    [[gnu::always_inline]] Jet(Number value) : term{value} {}
    template <class Other>
    [[gnu::always_inline]] explicit Jet(const Jet<Other, order>& other) {
        for (int k = 0; k <= order; ++k) term[k] = Number(other.term[k]);
    }
    [[gnu::always_inline]] Jet& operator+=(const Jet& other) {
        for (int k = 0; k <= order; ++k) term[k] += other.term[k];
        return *this;
    }
    [[gnu::always_inline]] Jet& operator-=(const Jet& other) {
        for (int k = 0; k <= order; ++k) term[k] -= other.term[k];
        return *this;
    }
    [[gnu::always_inline]] friend Jet operator*(Jet x, Number factor) {
        for (int k = 0; k <= order; ++k) x.term[k] *= factor;
        return x;
    }
};

template <class Number>
using FirstJet = Jet<Number, 1>;
template <class Number>
using SecondJet = Jet<Number, 2>;

template <class Real>
struct JetOf {
    using Number = Real;
    using Double = double;
    static constexpr int order = 0;
};
template <class Of, int order_>
struct JetOf<Jet<Of, order_>> {
    using Number = Of;
    using Double = Jet<double, order_>;
    static constexpr int order = order_;
};

// What a batch of Real is made of, and in which sums are added up.
template <class Real>
using NumberOf = typename JetOf<Real>::Number;
template <class Real>
using DoubleOf = typename JetOf<Real>::Double;
template <class Real>
inline constexpr int order_of = JetOf<Real>::order;
template <class Real>
inline constexpr bool is_jet = order_of<Real> > 0;
template <class Real>
inline constexpr bool is_single = sizeof(NumberOf<Real>) == 4;

}  // namespace qtm
