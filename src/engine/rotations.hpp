// Rotations about X^x Z^z, those with controls among them, of a state. Included by isa/*.cpp.

template <class Real, int lanes, int lane_bits>
struct Rotations {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using Value = Vector<Number, lanes>;

    struct Controlled {
        const StepView<Number>& step;
        const ControlsView& controls;
        size_t vectors;  // of a state
        const Team& team;

        bool is_controlled() const { return controls.next != nullptr; }
    };

    // The factors by which a rotation is applied: [[cosine, -i sine], ...], or, by tangent, with 1 as cosine, which
    // makes states larger.
    struct Factors {
        V cosine, sine;
        bool by_tangent = false;
    };

    static void apply(const Controlled& rotation, const SineCosine<Real, lanes>& half, C* state) {
        with_kind(rotation, [&](auto kind, auto controlled) {
            apply_about<kind.value, controlled.value>(rotation, half, state);
        });
    }

    // Undone on ket and bra, by factors of the inverse; returns Im<b|P|k> before, each lane and member of the team its
    // share.
    static V undo(const Controlled& rotation, const Factors& inverse, C* ket, C* bra) {
        return with_kind(rotation, [&](auto kind, auto controlled) {
            if constexpr (!controlled.value && !is_jet<Real>)
                if (inverse.by_tangent) return undo_about<kind.value, false, true>(rotation, inverse, ket, bra);
            return undo_about<kind.value, controlled.value, false>(rotation, inverse, ket, bra);
        });
    }

   private:
    static C flipped(C amplitude, uint32_t flip) {
        if constexpr (L::is_spread)
            return {flip_lanes<Real, lanes>(amplitude.re, flip), flip_lanes<Real, lanes>(amplitude.im, flip)};
        else
            return amplitude;
    }

    // factor * (-1)^{z.i} in the lanes of a vector, by the parity of its number with `high`.
    template <class Factor>
    struct Signed {
        uint32_t high;
        Factor factor[2];

        Signed(uint32_t z, Factor positive) : high(z >> L::lane_bits) {
            if constexpr (L::is_spread) positive *= L::template signs<Real>(z);
            factor[0] = positive;
            factor[1] = -positive;
        }
        Factor operator()(uint32_t vector) const { return factor[parity(vector & high)]; }
    };

    // The sign of Y is that of the partner's index, which is the opposite of its own.
    template <int kind, class Factor>
    static Signed<Factor> signs(const Controlled& rotation, Factor factor) {
        return {kind == step_x ? 0 : rotation.step.z, kind == step_y ? Factor(-factor) : factor};
    }

    // What exp(-i angle/2 P) makes of an amplitude and its partner's, where P takes that one to it: the sine is signed
    // for Y and Z. By tangent, the cosine is 1.
    template <int kind, bool by_tangent = false>
    static C turned(C own, C partner, V cosine, V sine) {
        const C kept = by_tangent ? own : C{cosine * own.re, cosine * own.im};
        if constexpr (kind == step_y)
            return {kept.re + sine * partner.re, kept.im + sine * partner.im};
        else
            return {kept.re + sine * partner.im, kept.im - sine * partner.re};
    }

    // Share of Im<b|P|k>, but for the sign, of one amplitude of the bra and the partner of the ket's.
    template <int kind>
    static V moment(C bra, C partner) {
        if constexpr (kind == step_y) return bra.re * partner.re + bra.im * partner.im;
        return bra.re * partner.im - bra.im * partner.re;
    }

    // 1 in the lanes of a vector that controls leave the rotation to, 0 in the others.
    template <bool controlled>
    struct Active {
        const ControlsView& controls;
        Value mask[controlled && L::is_spread ? size_t(lanes) : 1];

        explicit Active(const ControlsView& given) : controls(given) {
            mask[0] = broadcast<Number, lanes>(1);
            if constexpr (!controlled || !L::is_spread) return;
            for (int i = 0; i < controls.bits; ++i) {
                const Value signs = Number(0.5) * lane_signs<Real, lanes>(controls.lane[i]);
                for (uint32_t row = 0; row < uint32_t(1) << i; ++row) {
                    mask[row | uint32_t(1) << i] = mask[row] * (Number(0.5) - signs);
                    mask[row] *= Number(0.5) + signs;
                }
            }
        }
        Value operator()(uint32_t vector) const {
            if constexpr (!controlled || !L::is_spread) return mask[0];
            uint32_t row = controls.negative;
            for (int i = 0; i < controls.bits; ++i) row ^= uint32_t(parity(vector & controls.high[i])) << i;
            return mask[row];
        }
    };

    // 1 in lanes where the rotation does not act; and 0.
    template <bool controlled>
    static V cosine_where(Value acts, V cosine) {
        if constexpr (controlled && L::is_spread) return acts * cosine + (Number(1) - acts);
        return cosine;
    }
    template <bool controlled, class Factor>
    static Factor sine_where(Value acts, Factor sine) {
        if constexpr (controlled && L::is_spread) return acts * sine;
        return sine;
    }

    // Calls visit(vector, partner) for every vector that the rotation acts on, or, where it pairs vectors, for every
    // pair; each member of the team for its share.
    template <bool controlled, class Visit>
    static void for_each_pair(const Controlled& rotation, Visit visit) {
        const uint32_t high = rotation.step.x >> L::lane_bits, pivot = high & (0 - high), below = pivot - 1;
        if constexpr (controlled) {
            const ControlsView& controls = rotation.controls;
            const auto [begin, end] = rotation.team.share(controls.count);
            uint32_t vector = controls.first;
            for (uint32_t flipped = uint32_t(begin) ^ uint32_t(begin) >> 1; flipped != 0; flipped &= flipped - 1)
                vector ^= controls.next[__builtin_ctz(flipped)];
            for (uint64_t number = begin; number < end;) {
                visit(vector, vector ^ high);
                vector ^= controls.next[__builtin_ctzll(++number)];
            }
            return;
        }
        const auto [begin, end] = rotation.team.share(rotation.vectors >> (high != 0));
        for (auto number = uint32_t(begin); number < uint32_t(end); ++number) {
            // A zero inserted at the pivot.
            const uint32_t vector = pivot == 0 ? number : (number & ~below) << 1 | (number & below);
            visit(vector, vector ^ high);
        }
    }

    // Calls visit(kind, whether it is controlled), which are constants to the compiler.
    template <class Visit>
    static auto with_kind(const Controlled& rotation, Visit visit) {
        const auto with_controls = [&](auto kind) {
            return rotation.is_controlled() ? visit(kind, std::bool_constant<true>{})
                                            : visit(kind, std::bool_constant<false>{});
        };
        if (rotation.step.kind == step_x) return with_controls(std::integral_constant<int, step_x>{});
        if (rotation.step.kind == step_y) return with_controls(std::integral_constant<int, step_y>{});
        return with_controls(std::integral_constant<int, step_z>{});
    }

    template <int kind, bool controlled>
    static void apply_about(const Controlled& rotation, const SineCosine<Real, lanes>& half, C* state) {
        const auto sines = signs<kind>(rotation, half.sine);
        const Active<controlled> active(rotation.controls);
        const uint32_t lane_flip = rotation.step.x & L::lane_mask;
        for_each_pair<controlled>(rotation, [&](uint32_t i, uint32_t j) {
            const Value acts = active(i);
            const V cosine = cosine_where<controlled>(acts, half.cosine), sine = sine_where<controlled>(acts, sines(i));
            const C own = state[i], partner = flipped(state[j], lane_flip);
            state[i] = turned<kind>(own, partner, cosine, sine);
            if (i == j) return;
            state[j] = flipped(turned<kind>(partner, own, cosine, kind == step_y ? V(-sine) : sine), lane_flip);
        });
    }

    template <int kind, bool controlled, bool by_tangent>
    static V undo_about(const Controlled& rotation, const Factors& inverse, C* ket, C* bra) {
        const auto sines = signs<kind>(rotation, inverse.sine);
        const auto units = signs<kind>(rotation, broadcast<Number, lanes>(1));
        const Active<controlled> active(rotation.controls);
        const uint32_t lane_flip = rotation.step.x & L::lane_mask;
        V sum{};
        for_each_pair<controlled>(rotation, [&](uint32_t i, uint32_t j) {
            const Value acts = active(i), unit = sine_where<controlled>(acts, units(i));
            const V cosine = cosine_where<controlled>(acts, inverse.cosine),
                    sine = sine_where<controlled>(acts, sines(i));
            const C k = ket[i], other_k = flipped(ket[j], lane_flip), b = bra[i], other_b = flipped(bra[j], lane_flip);
            V found = moment<kind>(b, other_k);
            ket[i] = turned<kind, by_tangent>(k, other_k, cosine, sine);
            bra[i] = turned<kind, by_tangent>(b, other_b, cosine, sine);
            if (i != j) {
                const V other = moment<kind>(other_b, k);
                found = kind == step_y ? V(found - other) : V(found + other);
                const V back = kind == step_y ? V(-sine) : sine;
                ket[j] = flipped(turned<kind, by_tangent>(other_k, k, cosine, back), lane_flip);
                bra[j] = flipped(turned<kind, by_tangent>(other_b, b, cosine, back), lane_flip);
            }
            sum += unit * found;
        });
        return sum;
    }
};
