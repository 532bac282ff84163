// Vectors of jets: as many truncated power series side by side as a vector has lanes. Included by isa/*.cpp.

template <class Number, int lanes, int order>
struct JetVector {
    using V = Vector<Number, lanes>;
    using J = Jet<Number, order>;
    V term[order + 1];

    JetVector() = default;
    [[gnu::always_inline]] JetVector(const JetVector& other) {
        for (int k = 0; k <= order; ++k) term[k] = other.term[k];
    }
    [[gnu::always_inline]] JetVector(V value) : term{value} {}
    [[gnu::always_inline]] JetVector& operator=(const JetVector& other) {
        for (int k = 0; k <= order; ++k) term[k] = other.term[k];
        return *this;
    }

    // One lane, to read and to write.
    struct Lane {
        JetVector& of;
        int lane;
        operator J() const { return static_cast<const JetVector&>(of)[lane]; }
        Lane& operator=(const J& value) {
            for (int k = 0; k <= order; ++k) of.term[k][lane] = value.term[k];
            return *this;
        }
        Lane& operator=(const Lane& other) { return *this = J(other); }
        Lane& operator+=(const J& value) {
            for (int k = 0; k <= order; ++k) of.term[k][lane] += value.term[k];
            return *this;
        }
    };
    Lane operator[](int64_t lane) { return {*this, int(lane)}; }
    J operator[](int64_t lane) const {
        J found;
        for (int k = 0; k <= order; ++k) found.term[k] = term[k][lane];
        return found;
    }

    [[gnu::always_inline]] JetVector operator-() const {
        JetVector found;
        for (int k = 0; k <= order; ++k) found.term[k] = -term[k];
        return found;
    }
    [[gnu::always_inline]] JetVector& operator+=(const JetVector& x) { return *this = *this + x; }
    [[gnu::always_inline]] JetVector& operator-=(const JetVector& x) { return *this = *this - x; }
    [[gnu::always_inline]] JetVector& operator*=(const JetVector& x) { return *this = *this * x; }
    [[gnu::always_inline]] JetVector& operator*=(V x) { return *this = *this * x; }

    [[gnu::always_inline]] friend JetVector operator+(const JetVector& x, const JetVector& y) {
        JetVector found;
        for (int k = 0; k <= order; ++k) found.term[k] = x.term[k] + y.term[k];
        return found;
    }
    [[gnu::always_inline]] friend JetVector operator-(const JetVector& x, const JetVector& y) {
        JetVector found;
        for (int k = 0; k <= order; ++k) found.term[k] = x.term[k] - y.term[k];
        return found;
    }
    [[gnu::always_inline]] friend JetVector operator*(const JetVector& x, const JetVector& y) {
        JetVector found;
        for (int k = 0; k <= order; ++k) {
            found.term[k] = x.term[0] * y.term[k];
            for (int j = 1; j <= k; ++j) found.term[k] += x.term[j] * y.term[k - j];
        }
        return found;
    }
    // What does not move multiplies every term by itself.
    [[gnu::always_inline]] friend JetVector operator*(const JetVector& x, V y) {
        JetVector found;
        for (int k = 0; k <= order; ++k) found.term[k] = x.term[k] * y;
        return found;
    }
    [[gnu::always_inline]] friend JetVector operator*(V x, const JetVector& y) { return y * x; }
    [[gnu::always_inline]] friend JetVector operator*(const JetVector& x, Number y) {
        return x * broadcast<Number, lanes>(y);
    }
    [[gnu::always_inline]] friend JetVector operator*(Number x, const JetVector& y) { return y * x; }
};

template <class Number, int order, int lanes>
struct VectorOf<Jet<Number, order>, lanes> {
    using Type = JetVector<Number, lanes, order>;
};

template <class Number, int lanes, int order>
[[gnu::always_inline]] inline JetVector<Number, lanes, order> in_register(JetVector<Number, lanes, order> x) {
    for (int k = 0; k <= order; ++k) x.term[k] = in_register(x.term[k]);
    return x;
}

template <class Number, int lanes, int order>
[[gnu::always_inline]] inline void stream(JetVector<Number, lanes, order>& to,
                                          const JetVector<Number, lanes, order>& x) {
    for (int k = 0; k <= order; ++k) stream(to.term[k], x.term[k]);
}

// Whether all powers of a number do.
template <class Real>
inline bool vanishes(const Real& x) {
    if constexpr (is_jet<Real>) {
        for (const auto& term : x.term)
            if (term != 0) return false;
        return true;
    } else {
        return x == 0;
    }
}

// The power number k of what moves; what does not has one.
template <class V>
[[gnu::always_inline]] inline auto& term_of(V& x, [[maybe_unused]] int k) {
    if constexpr (requires { x.term; })
        return x.term[k];
    else
        return x;
}

// The value of what moves, and of what does not.
template <class V>
[[gnu::always_inline]] inline auto& value_of(V& x) {
    return term_of(x, 0);
}

// The functions of vector.hpp, term by term where they are linear.

template <class Real, int lanes>
    requires is_jet<Real>
[[gnu::always_inline]] inline Vector<Real, lanes> broadcast(Real value) {
    Vector<Real, lanes> found;
    for (int k = 0; k <= order_of<Real>; ++k) found.term[k] = broadcast<NumberOf<Real>, lanes>(value.term[k]);
    return found;
}

template <class Real, int lanes>
    requires is_jet<Real>
inline Vector<Real, lanes> flip_lanes(Vector<Real, lanes> x, uint32_t flip) {
    for (auto& term : x.term) term = flip_lanes<NumberOf<Real>, lanes>(term, flip);
    return x;
}

template <class Real, int lanes>
    requires is_jet<Real>
inline Real sum_of_lanes(Vector<Real, lanes> x) {
    Real found;
    for (int k = 0; k <= order_of<Real>; ++k) found.term[k] = sum_of_lanes<NumberOf<Real>, lanes>(x.term[k]);
    return found;
}

template <class Real, int lanes>
    requires is_jet<Real>
inline Vector<NumberOf<Real>, lanes> lane_signs(uint32_t mask) {
    return lane_signs<NumberOf<Real>, lanes>(mask);
}

// From the powers of the value: k s_k = sum of j x_j c_(k - j), and likewise for the cosine.
template <class Real, int lanes, bool is_small = false>
    requires is_jet<Real>
inline SineCosine<Real, lanes> sine_cosine(Vector<Real, lanes> x) {
    using Number = NumberOf<Real>;
    const auto value = sine_cosine<Number, lanes, is_small>(x.term[0]);
    SineCosine<Real, lanes> found{value.sine, value.cosine};
    for (int k = 1; k <= order_of<Real>; ++k)
        for (int j = 1; j <= k; ++j) {
            const auto slope = x.term[j] * (Number(j) / Number(k));
            found.sine.term[k] += slope * found.cosine.term[k - j];
            found.cosine.term[k] -= slope * found.sine.term[k - j];
        }
    return found;
}
