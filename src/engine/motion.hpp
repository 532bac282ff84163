// How a run moves where derivatives are wanted, and what that does to amplitudes and Bloch vectors. Included by
// isa/*.cpp.
//
// U(t) = W(t) U(0) with W' = G W, G(t) = -i (x(t) X + y(t) Y + z(t) Z). The factors of U(0) take all powers of a state
// along; W is added on top: W = 1 + G0 t + (G0^2 + G1) t^2 / 2 for G = G0 + G1 t, and its inverse is that of -G. (Jets
// of the factors themselves would not do: the split into diagonals and RY has no derivative where an entry vanishes.)

// <P> for P = X, Y, Z of a virtual qubit; or moments Im<b|P|k>.
template <class Real, int lanes>
struct Moments {
    Vector<Real, lanes> x, y, z;
};

// Right after the RY of the run.
template <class Real, int lanes>
struct Motion {
    static constexpr bool moves = false;
};
template <class Number, int order, int lanes>
struct Motion<Jet<Number, order>, lanes> {
    bool moves;
    Vector<Jet<Number, order>, lanes> x, y, z;
};

template <class Number, int order, int lanes>
struct Move {
    using V = Vector<Jet<Number, order>, lanes>;
    using Value = Vector<Number, lanes>;
    using MotionOf = Motion<Jet<Number, order>, lanes>;

    // One power of the amplitudes of a virtual qubit.
    struct Pair {
        Value re0, im0, re1, im1;
        [[gnu::always_inline]] Pair plus(Number factor, const Pair& other) const {
            return {re0 + factor * other.re0, im0 + factor * other.im0, re1 + factor * other.re1,
                    im1 + factor * other.im1};
        }
    };
    // One power of a Bloch vector.
    struct Point {
        Value x, y, z;
        [[gnu::always_inline]] Point plus(Number factor, const Point& other) const {
            return {x + factor * other.x, y + factor * other.y, z + factor * other.z};
        }
    };

    // G times a pair; G as Bloch vectors see it: 2 (x, y, z) times one.
    [[gnu::always_inline]] static Pair generated(const MotionOf& by, int power, const Pair& k) {
        const Value x = by.x.term[power], y = by.y.term[power], z = by.z.term[power];
        return {x * k.im1 - y * k.re1 + z * k.im0, -(x * k.re1) - y * k.im1 - z * k.re0,
                x * k.im0 + y * k.re0 - z * k.im1, y * k.im0 - x * k.re0 + z * k.re1};
    }
    [[gnu::always_inline]] static Point generated(const MotionOf& by, int power, const Point& r) {
        const Value x = Number(2) * by.x.term[power], y = Number(2) * by.y.term[power],
                    z = Number(2) * by.z.term[power];
        return {y * r.z - z * r.y, z * r.x - x * r.z, x * r.y - y * r.x};
    }

    // W, or its inverse, on the powers of a pair or a Bloch vector.
    template <bool inverse, class Of>
    [[gnu::always_inline]] static void apply(const MotionOf& by, Of* power) {
        constexpr Number sign = inverse ? -1 : 1;
        const Of first = generated(by, 0, power[0]);
        if constexpr (order > 1) {
            const Of second = generated(by, 0, power[1].plus(sign / 2, first)), slope = generated(by, 1, power[0]);
            power[2] = power[2].plus(sign, second).plus(sign / 2, slope);
        }
        power[1] = power[1].plus(sign, first);
    }

    template <bool inverse>
    [[gnu::always_inline]] static void pair(const MotionOf& by, V& re0, V& im0, V& re1, V& im1) {
        Pair power[order + 1];
        for (int k = 0; k <= order; ++k) power[k] = {re0.term[k], im0.term[k], re1.term[k], im1.term[k]};
        apply<inverse>(by, power);
        for (int k = 1; k <= order; ++k) {
            re0.term[k] = power[k].re0;
            im0.term[k] = power[k].im0;
            re1.term[k] = power[k].re1;
            im1.term[k] = power[k].im1;
        }
    }

    template <bool inverse>
    static Moments<Jet<Number, order>, lanes> bloch(const MotionOf& by, Moments<Jet<Number, order>, lanes> r) {
        Point power[order + 1];
        for (int k = 0; k <= order; ++k) power[k] = {r.x.term[k], r.y.term[k], r.z.term[k]};
        apply<inverse>(by, power);
        for (int k = 1; k <= order; ++k) {
            r.x.term[k] = power[k].x;
            r.y.term[k] = power[k].y;
            r.z.term[k] = power[k].z;
        }
        return r;
    }
};
template <class Real, int lanes>
using MoveOf = Move<NumberOf<Real>, order_of<Real>, lanes>;
