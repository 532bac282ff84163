// From inputs and weights to what the sweeps need: angles, run factors, phase tables. Included by isa/*.cpp.

template <class Real, int lanes, int lane_bits>
struct Angles {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using Value = Vector<Number, lanes>;
    using Unit = Complex<Number, lanes>;
    using Space = Workspace<Real, lanes, lane_bits>;
    using L = Layout<lanes, lane_bits>;

    static void load_inputs(const Tile<Real>& tile, Space& space) {
        const int num_inputs = tile.program->num_inputs;
        for (int lane = 0; lane < lanes; ++lane) {
            const int64_t own = lane >> lane_bits, sample = own < tile.num_samples ? own : tile.num_samples - 1;
            const Real* row = tile.inputs + sample * num_inputs;
            for (int i = 0; i < num_inputs; ++i) space.input[i][lane] = row[i];
        }
    }

    static V variable(const Tile<Real>& tile, const Space& space, int index) {
        const int num_inputs = tile.program->num_inputs;
        return index < num_inputs ? space.input[index] : broadcast<Real, lanes>(tile.weights[index - num_inputs]);
    }

    // In double precision at all times: terms cancel. Doubles come in vectors of as many bytes as a V, because
    // compilers take wider ones apart lane by lane; in single precision that is half of the lanes at a time.
    static constexpr int parts = int(sizeof(double) / sizeof(Number));
    using D = Vector<DoubleOf<Real>, lanes / parts>;
    using Doubles = Vector<double, lanes / parts>;
    using Part = Vector<Number, lanes / parts>;

    static Doubles as_doubles(const Value& x, int part) {
        Part some;
        __builtin_memcpy(&some, reinterpret_cast<const char*>(&x) + size_t(part) * sizeof(Part), sizeof(Part));
        return __builtin_convertvector(some, Doubles);
    }
    static D as_double(const V& x, int part) {
        if constexpr (is_jet<Real>) {
            D found;
            for (int k = 0; k <= order_of<Real>; ++k) found.term[k] = as_doubles(x.term[k], part);
            return found;
        } else {
            return as_doubles(x, part);
        }
    }

    static void set_numbers(Value& x, int part, Doubles value) {
        const Part some = __builtin_convertvector(value, Part);
        __builtin_memcpy(reinterpret_cast<char*>(&x) + size_t(part) * sizeof(Part), &some, sizeof(Part));
    }
    static void set_part(V& x, int part, const D& value) {
        if constexpr (is_jet<Real>)
            for (int k = 0; k <= order_of<Real>; ++k) set_numbers(x.term[k], part, value.term[k]);
        else
            set_numbers(x, part, value);
    }

    static D exact_angle(const Tile<Real>& tile, const Space& space, int index, int part) {
        const ProgramView& p = *tile.program;
        D theta = broadcast<DoubleOf<Real>, lanes / parts>(p.angle_constant[index]);
        for (int t = p.angle_term_begin[index]; t < p.angle_term_begin[index + 1]; ++t) {
            D term = broadcast<DoubleOf<Real>, lanes / parts>(p.term_coefficient[t]);
            for (int f = p.term_factor_begin[t]; f < p.term_factor_begin[t + 1]; ++f)
                term *= as_double(variable(tile, space, p.factor_variable[f]), part);
            theta += term;
        }
        return theta;
    }

    static V angle(const Tile<Real>& tile, const Space& space, int index) {
        V theta;
        for (int part = 0; part < parts; ++part) set_part(theta, part, exact_angle(tile, space, index, part));
        return theta;
    }

    // Where nothing is added up nothing cancels: the precision of the variables is enough.
    static bool is_product(const ProgramView& p, int angle) {
        return p.angle_constant[angle] == 0 && p.angle_term_begin[angle + 1] == p.angle_term_begin[angle] + 1;
    }

    // A term, or its derivative with respect to one of its factors.
    static V term_of(const Tile<Real>& tile, const Space& space, int term, int without = -1) {
        const ProgramView& p = *tile.program;
        V product = broadcast<Real, lanes>(Number(p.term_coefficient[term]));
        for (int f = p.term_factor_begin[term]; f < p.term_factor_begin[term + 1]; ++f)
            if (f != without) product *= variable(tile, space, p.factor_variable[f]);
        return product;
    }

    // Half of an angle; in single precision, which would lose digits to multiples of 2 pi, at most 32.
    static V half_angle(const Tile<Real>& tile, const Space& space, int index) {
        const ProgramView& p = *tile.program;
        if (is_product(p, index)) {
            const V half = term_of(tile, space, p.angle_term_begin[index]) * Number(0.5);
            // A large one is wrong by its rounding, however right its factors are.
            const Number large = 32;
            const Value& value = value_of(half);
            if (!is_single<Real> || !any(~((value < large) & (value > -large)))) return half;
        }
        V result;
        for (int part = 0; part < parts; ++part) {
            D half = exact_angle(tile, space, index, part) * 0.5;
            if constexpr (is_single<Real>) {
                const double round = 6755399441055744.0;  // 1.5 * 2^52: the sum is rounded to an integer
                Doubles& value = value_of(half);
                const Doubles turns = (value * 0.15915494309189535 + round) - round;
                value = (value - turns * 6.283185307179586) - turns * 2.4492935982947064e-16;
            }
            set_part(result, part, half);
        }
        return result;
    }

    // sin and cos of half of every angle that varies over the batch, or of every one that does not.
    static void compute(const Tile<Real>& tile, Space& space, bool varying) {
        const ProgramView& p = *tile.program;
        for (int a = 0; a < p.num_angles; ++a)
            if (bool(p.angle_varies[a]) == varying)
                space.half[a] = sine_cosine<Real, lanes, is_single<Real>>(half_angle(tile, space, a));
    }

    // z / |z|, or 1 where z vanishes; also |z|.
    static Unit unit(Unit z, Value& modulus) {
        const Value square = z.re * z.re + z.im * z.im;
        const auto vanishes = square < Number(is_single<Real> ? 1e-36 : 1e-290);
        const Value safe = vanishes ? broadcast<Number, lanes>(1) : square;
        const Value root = square_root<Number, lanes>(safe);
        const Value inverse = Number(1) / root;
        modulus = vanishes ? Value{} : root;
        return {vanishes ? broadcast<Number, lanes>(1) : Value(z.re * inverse),
                vanishes ? Value{} : Value(z.im * inverse)};
    }

    // Multiplies the rotations of a run up to a|0><0| + b|1><0| + ... in SU(2).
    [[gnu::always_inline]] static void multiply_up(const ProgramView& p, const Space& space, int r, Unit& a, Unit& b) {
        a = {broadcast<Number, lanes>(1), Value{}};
        b = {Value{}, Value{}};
        for (int g = p.run_gate_begin[r]; g < p.run_gate_begin[r + 1]; ++g) {
            const Value s = value_of(space.half[p.gate_angle[g]].sine),
                        c = value_of(space.half[p.gate_angle[g]].cosine);
            const Unit a0 = a, b0 = b;
            switch (p.gate_axis[g]) {
                case axis_x:
                    a = {c * a0.re + s * b0.im, c * a0.im - s * b0.re};
                    b = {c * b0.re + s * a0.im, c * b0.im - s * a0.re};
                    break;
                case axis_y:
                    a = {c * a0.re - s * b0.re, c * a0.im - s * b0.im};
                    b = {s * a0.re + c * b0.re, s * a0.im + c * b0.im};
                    break;
                default:
                    a = {c * a0.re + s * a0.im, c * a0.im - s * a0.re};
                    b = {c * b0.re - s * b0.im, c * b0.im + s * b0.re};
            }
        }
    }

    // The same, split into diagonals and RY. Below the smallest angle the split is arbitrary, but left * right is not:
    // the product stays exact. RY, then RZ, is split as it is, at every angle: moments right after the RY are those of
    // its gates.
    static void factor_run(const ProgramView& p, Space& space, int r) {
        Unit a, b;
        multiply_up(p, space, r, a, b);
        auto& run = space.run[r];
        if (p.run_is_real[r]) {
            run.cosine = a.re;
            run.sine = b.re;
        } else if (p.run_is_turned[r]) {
            const Unit half = half_turn(p, space, r);
            run.cosine = product<false, Number, lanes>(half, a).re;
            run.sine = product<true, Number, lanes>(half, b).re;
            run.left = product<false, Number, lanes>(half, half);
            run.right = {broadcast<Number, lanes>(1), Value{}};
        } else {
            const Unit unit_a = unit(a, run.cosine), unit_b = unit(b, run.sine);
            run.left = product<true, Number, lanes>(unit_a, unit_b);
            run.right = product<false, Number, lanes>(unit_a, unit_b);
            run.right.im = -run.right.im;
        }
        if constexpr (is_jet<Real>) run.motion = motion(p, space, r);
    }

    // exp(i theta / 2), with theta the sum of the angles about Z of a run.
    static Unit half_turn(const ProgramView& p, const Space& space, int r) {
        Unit found{broadcast<Number, lanes>(1), Value{}};
        for (int g = p.run_gate_begin[r]; g < p.run_gate_begin[r + 1]; ++g) {
            if (p.gate_axis[g] != axis_z) continue;
            const auto& half = space.half[p.gate_angle[g]];
            found = product<false, Number, lanes>({value_of(half.cosine), value_of(half.sine)}, found);
        }
        return found;
    }

    // (a, b) turned as the first two axes are by a rotation about the third.
    template <class Cosine>
    static void turn(V& a, V& b, const Cosine& cosine, const Cosine& sine) {
        const V before = a;
        a = before * cosine - b * sine;
        b = before * sine + b * cosine;
    }

    // d(theta / 2) / dt, from its sine and cosine: one power less than those.
    static V half_slope(const SineCosine<Real, lanes>& half) {
        V slope{};
        const auto &s = half.sine.term, &c = half.cosine.term;
        slope.term[0] = c[0] * s[1] - s[0] * c[1];
        if constexpr (order_of<Real> > 1) slope.term[1] = Number(2) * (c[0] * s[2] - s[0] * c[2]);
        return slope;
    }

    // Every gate adds its axis, which the gates after it turn.
    static Motion<Real, lanes> motion(const ProgramView& p, const Space& space, int r) {
        Motion<Real, lanes> found{false, V{}, V{}, V{}};
        for (int g = p.run_gate_begin[r]; g < p.run_gate_begin[r + 1]; ++g) {
            const auto& half = space.half[p.gate_angle[g]];
            const V slope = half_slope(half);
            const V cosine = half.cosine * half.cosine - half.sine * half.sine,
                    sine = Number(2) * (half.cosine * half.sine);
            switch (p.gate_axis[g]) {
                case axis_x:
                    turn(found.y, found.z, cosine, sine);
                    found.x += slope;
                    break;
                case axis_y:
                    turn(found.z, found.x, cosine, sine);
                    found.y += slope;
                    break;
                default:
                    turn(found.x, found.y, cosine, sine);
                    found.z += slope;
            }
            for (int k = 0; k < order_of<Real>; ++k) found.moves |= any(slope.term[k] != 0);
        }
        // To before the left diagonal.
        const auto& left = space.run[r].left;
        if (!p.run_is_real[r]) turn(found.x, found.y, left.re, -left.im);
        return found;
    }

    // Decides which runs of a layer are applied by their tangent: as long as the product of the cosines, which the
    // amplitudes gain until the next phase, stays far from the limits of the exponent.
    static void scale_layer(const ProgramView& p, Space& space, int layer) {
        const Number least_cosine = Number(1.0 / 16), least_scale = Number(1.0 / (1 << 24));
        Value scale = broadcast<Number, lanes>(1);
        for (int r = p.layer_run_begin[layer]; r < p.layer_run_begin[layer + 1]; ++r) {
            auto& run = space.run[r];
            const Value next = scale * run.cosine;
            const auto small = ((run.cosine < least_cosine) & (run.cosine > -least_cosine)) |
                               ((next < least_scale) & (next > -least_scale));
            run.by_tangent = layer > 0 && !(absorbs<Real>(p) && layer + 1 == p.num_layers) && !any(small);
            if (run.by_tangent) scale = next;
            run.applied_cosine = run.by_tangent ? broadcast<Number, lanes>(1) : run.cosine;
            run.applied_sine = run.by_tangent ? run.sine / run.cosine : run.sine;
            if constexpr (L::is_spread) run.applied_sine *= L::template signs<Real>(p.run_z[r]);
        }
        space.layer_scale[layer] = scale;
    }

    // table[j] = product of the factors of the `count` characters of a group that are set in j, times `first`. Spread,
    // a character that is set in the index of a lane starts set there, so that setting it in j takes it away:
    // multiplies by the conjugate.
    static void fill_table(const ProgramView& p, const Space& space, C* table, const int32_t* character, int count,
                           C first) {
        table[0] = first;
        for (int c = 0; c < count; ++c) {
            C factor = character_factor(p, space, character[c]);
            if constexpr (L::is_spread) {
                const V signs = L::template signs<Real>(p.character_mask[character[c]]);
                const auto set = signs < 0;
                const C start{set ? factor.re : broadcast<Real, lanes>(1), set ? factor.im : V{}};
                for (size_t j = 0; j < size_t(1) << c; ++j) table[j] = product<false, Real, lanes>(start, table[j]);
                factor.im *= signs;
            }
            for (size_t j = 0; j < size_t(1) << c; ++j)
                table[(size_t(1) << c) + j] = product<false, Real, lanes>(factor, table[j]);
        }
    }

    static C character_factor(const ProgramView& p, const Space& space, int character) {
        const int begin = p.character_source_begin[character], end = p.character_source_begin[character + 1];
        C found = factor(p, space, begin);
        for (int s = begin + 1; s < end; ++s) found = product<false, Real, lanes>(found, factor(p, space, s));
        return found;
    }

    static C factor(const ProgramView& p, const Space& space, int source) {
        const int index = p.source_index[source];
        switch (p.source_kind[source]) {
            case source_run_left:
                return C{space.run[index].left.re, space.run[index].left.im};
            case source_run_right:
                return C{space.run[index].right.re, space.run[index].right.im};
            default: {
                // exp(-i theta/2 Z) is diag(1, exp(i theta)) up to a phase; exp(i theta) = (c + is)^2.
                const auto [s, c] = space.half[index];
                return {c * c - s * s, Number(2) * c * s};
            }
        }
    }

    static void fill_phase(const ProgramView& p, Space& space, int phase) {
        const C one{broadcast<Real, lanes>(1), V{}};
        // The phase also carries the cosines left out of the layer that follows it.
        const C first = phase < p.num_layers ? C{space.layer_scale[phase], V{}} : one;
        const int begin = p.phase_group_begin[phase], constant = p.phase_constant_begin[phase];
        const auto characters = [&](int g) { return p.group_character + p.group_character_begin[g]; };
        const auto count = [&](int g) { return p.group_character_begin[g + 1] - p.group_character_begin[g]; };
        for (int g = begin; g < constant; ++g)
            fill_table(p, space, space.filling + p.group_table_begin[g], characters(g), count(g),
                       g == begin ? first : one);
        C* table = space.table + p.phase_table_begin[phase];
        const size_t size = size_t(1) << p.phase_table_bits[phase];
        const auto factors = [&](int g) {
            const uint32_t* row = p.group_offset + p.group_offset_begin[g];
            const C* own = space.filling + p.group_table_begin[g];
            return [row, own](size_t j) { return own[row[j]]; };
        };
        if (begin == constant) {
            for (size_t j = 0; j < size; ++j) table[j] = first;
        } else if (begin + 1 == constant) {
            for (size_t j = 0; j < size; ++j) table[j] = factors(begin)(j);
        } else {
            const auto one_factor = factors(begin), other_factor = factors(begin + 1);
            for (size_t j = 0; j < size; ++j) table[j] = product<false, Real, lanes>(one_factor(j), other_factor(j));
        }
        for (int g = begin + 2; g < constant; ++g) {
            const auto factor = factors(g);
            for (size_t j = 0; j < size; ++j) table[j] = product<false, Real, lanes>(factor(j), table[j]);
        }
        for (int g = constant; g < p.phase_group_begin[phase + 1]; ++g) {
            const int low_count = count(g) / 2;
            C* low = space.table + p.group_table_begin[g];
            fill_table(p, space, low, characters(g), low_count, one);
            fill_table(p, space, low + (size_t(1) << low_count), characters(g) + low_count, count(g) - low_count, one);
        }
    }

    // What varies with the inputs, or what does not, for the layers and phases before `layer_end` and `phase_end`.
    static void prepare_half(const Tile<Real>& tile, Space& space, bool varying, int layer_end, int phase_end) {
        const ProgramView& p = *tile.program;
        compute(tile, space, varying);
        for (int r = 0; r < p.layer_run_begin[layer_end]; ++r)
            if (bool(p.run_varies[r]) == varying) factor_run(p, space, r);
        for (int l = 0; l < layer_end; ++l)
            if (bool(p.layer_varies[l]) == varying) scale_layer(p, space, l);
        for (int phase = 1; phase < phase_end; ++phase)
            if (bool(p.phase_varies[phase]) == varying) fill_phase(p, space, phase);
    }

    // What the first tile has prepared for all, where every tile has a place of its own on the tape.
    static void copy_invariant(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        const ptrdiff_t back = static_cast<const char*>(tile.first_tape) - static_cast<const char*>(tile.tape);
        const auto copy = [&](auto* element, size_t count) {
            const char* source = reinterpret_cast<const char*>(element) + back;
            __builtin_memcpy(static_cast<void*>(element), source, count * sizeof(*element));
        };
        for (int a = 0; a < p.num_angles; ++a)
            if (!p.angle_varies[a]) copy(space.half + a, 1);
        for (int r = 0; r < p.num_runs; ++r)
            if (!p.run_varies[r]) copy(space.run + r, 1);
        for (int l = 0; l < p.num_layers; ++l)
            if (!p.layer_varies[l]) copy(space.layer_scale + l, 1);
        for (int phase = 1; phase < p.num_layers + p.last_phase_acts; ++phase) {
            if (p.phase_varies[phase]) continue;
            const int group = p.phase_constant_begin[phase], table = p.phase_table_begin[phase];
            const int begin = group < p.phase_group_begin[phase + 1] ? p.group_table_begin[group] : table;
            copy(space.table + begin, size_t(table - begin) + (size_t(1) << p.phase_table_bits[phase]));
        }
    }

    // What does not depend on the inputs is prepared once in a call, the rest for every tile. A tape keeps all of it.
    static void prepare(const Tile<Real>& tile, Space& space) {
        if (tile.recorded) return;
        if (tile.storage.taped != Taped::nothing && !tile.first) copy_invariant(tile, space);
        load_inputs(tile, space);
        const int num_layers = tile.program->num_layers, num_phases = num_layers + tile.program->last_phase_acts;
        if (tile.first) prepare_half(tile, space, false, num_layers, num_phases);
        prepare_half(tile, space, true, num_layers, num_phases);
    }

    // The same for the shared prefix alone, where nothing depends on the inputs; `pull_back` reads them all the same.
    static void prepare_prefix(const Tile<Real>& tile, Space& space) {
        const int num_layers = tile.program->prefix_layers;
        load_inputs(tile, space);
        prepare_half(tile, space, false, num_layers, num_layers);
    }

    // Chain rule from angles to inputs and weights: d theta / d v for every factor v of every term.
    static void pull_back(const Tile<Real>& tile, Space& space) {
        const ProgramView& p = *tile.program;
        for (int a = 0; a < p.num_angles; ++a) {
            if (!tile.wanted->angle[a]) continue;
            const V gradient = space.angle_gradient[a];
            if (is_single<Real> && may_cancel(p, a)) {
                pull_back_together(tile, space, a, gradient);
                continue;
            }
            const int first = p.angle_term_begin[a], last = p.angle_term_begin[a + 1];
            for (int t = first; t < last; ++t)
                for (int f = p.term_factor_begin[t]; f < p.term_factor_begin[t + 1]; ++f)
                    add_gradient(tile, p.factor_variable[f], gradient * term_of(tile, space, t, f));
        }
    }

    // So many factors of an angle are compared with each other.
    static constexpr int most_compared = 64;

    static bool stands_before(const ProgramView& p, int begin, int factor) {
        for (int before = begin; before < factor; ++before)
            if (p.factor_variable[before] == p.factor_variable[factor]) return true;
        return false;
    }

    // Whether the derivative with respect to a variable is a sum, because it stands in the angle more than once.
    static bool may_cancel(const ProgramView& p, int angle) {
        const int first = p.angle_term_begin[angle], last = p.angle_term_begin[angle + 1];
        const int begin = p.term_factor_begin[first], end = p.term_factor_begin[last];
        if (last - first < 2 || end - begin > most_compared) return false;
        for (int f = begin + 1; f < end; ++f)
            if (stands_before(p, begin, f)) return true;
        return false;
    }

    // The derivative of a term with respect to one of its factors.
    static D slope(const Tile<Real>& tile, const Space& space, int term, int factor, int part) {
        const ProgramView& p = *tile.program;
        D slope = broadcast<DoubleOf<Real>, lanes / parts>(p.term_coefficient[term]);
        for (int other = p.term_factor_begin[term]; other < p.term_factor_begin[term + 1]; ++other)
            if (other != factor) slope *= as_double(variable(tile, space, p.factor_variable[other]), part);
        return slope;
    }

    // That of a whole angle with respect to a variable.
    static V slope_of(const Tile<Real>& tile, const Space& space, int angle, int variable) {
        const ProgramView& p = *tile.program;
        V slopes;
        for (int part = 0; part < parts; ++part) {
            D sum{};
            for (int t = p.angle_term_begin[angle]; t < p.angle_term_begin[angle + 1]; ++t)
                for (int f = p.term_factor_begin[t]; f < p.term_factor_begin[t + 1]; ++f)
                    if (p.factor_variable[f] == variable) sum += slope(tile, space, t, f, part);
            set_part(slopes, part, sum);
        }
        return slopes;
    }

    // The same where products of a variable may cancel: their derivatives are added up in double precision.
    [[gnu::noinline]] static void pull_back_together(const Tile<Real>& tile, const Space& space, int angle,
                                                     V gradient) {
        const ProgramView& p = *tile.program;
        const int begin = p.term_factor_begin[p.angle_term_begin[angle]];
        const int end = p.term_factor_begin[p.angle_term_begin[angle + 1]];
        for (int f = begin; f < end; ++f) {
            const int v = p.factor_variable[f];
            if (!stands_before(p, begin, f)) add_gradient(tile, v, gradient * slope_of(tile, space, angle, v));
        }
    }

    static void add_gradient(const Tile<Real>& tile, int variable, V slope) {
        const int num_inputs = tile.program->num_inputs;
        if (variable >= num_inputs) {
            if (tile.weight_gradient == nullptr) return;
            tile.weight_gradient[variable - num_inputs] += DoubleOf<Real>(sum_of_samples(tile, slope));
        } else if (tile.input_gradient != nullptr) {
            for (int sample = 0; sample < tile.num_samples; ++sample)
                tile.input_gradient[sample * num_inputs + variable] += slope[sample << lane_bits];
        }
    }

    static Real sum_of_samples(const Tile<Real>& tile, V slope) {
        for (int64_t lane = tile.num_samples << lane_bits; lane < lanes; ++lane) slope[lane] = 0;
        if constexpr (L::is_spread) return L::template sum_over_samples<Real>(slope)[0];
        return sum_of_lanes<Real, lanes>(slope);
    }
};
