// From sums over the state to gradients of rotations, of angles, and of inputs and weights, in a fixed order.

// (x, y) turned as the first two axes are by a rotation about the third.
QTM_DEVICE void turn(Real& x, Real& y, Real cosine, Real sine) {
    const Real before = x;
    x = before * cosine - y * sine;
    y = before * sine + y * cosine;
}

// From the moments of a run right after its RY to the gradient of every rotation in it: carries them, which turn like a
// Bloch vector, through the left diagonal and back through the rotations.
QTM_DEVICE void run_gradients(const Arguments& a, const Factors& factors, int run, Real x, Real y, Real z, Real* gradient) {
    if (!a.run_is_real[run]) turn(x, y, Real(factors.run[run].left.re), Real(factors.run[run].left.im));
    for (int g = a.run_gate_begin[run + 1] - 1; g >= a.run_gate_begin[run]; --g) {
        const Half half = factors.half[a.gate_angle[g]];
        const Real cosine = Real(half.cosine * half.cosine - half.sine * half.sine);
        const Real sine = Real(-2 * half.cosine * half.sine);
        const int axis = a.gate_axis[g];
        if (axis == 0) {
            gradient[g] = x;
            turn(y, z, cosine, sine);
        } else if (axis == 1) {
            gradient[g] = y;
            turn(z, x, cosine, sine);
        } else {
            gradient[g] = z;
            turn(x, y, cosine, sine);
        }
    }
}

// Of a run of a layer that is absorbed: the bra would be its cotangent times Z on the ket after its RY.
QTM_DEVICE void absorbed_gradients(const Arguments& a, const Factors& factors, long long sample, int run, Real* gradient) {
    const int moment = a.run_moment[run];
    Real x = 0, y = 0;
    if (moment >= 0) {
        const Real weight = cotangent_of_moment(a, sample, moment);
        const RealTurn turn = turn_of_moment(a, sample, moment);
        const Bloch bloch(a, sample, moment);
        x = weight * bloch.y;
        y = -weight * (turn.cosine * bloch.x + turn.sine * bloch.z);
    }
    run_gradients(a, factors, run, x, y, Real(0), gradient);
}

// d angle / d variable, from the terms that an entry names.
QTM_DEVICE double slope_of(const Arguments& a, long long sample, int entry) {
    const int term = a.entry_term[entry], factor = a.entry_factor[entry];
    double slope = a.term_coefficient[term];
    for (int f = a.term_factor_begin[term]; f < a.term_factor_begin[term + 1]; ++f)
        if (f != factor) slope *= variable(a, sample, a.factor_variable[f]);
    return slope;
}

QTM_DEVICE double gradient_of(const Arguments& a, long long sample, int variable) {
    const Real* gradient = a.angle_gradient + sample * a.num_angles;
    double sum = 0;
    for (int entry = a.variable_begin[variable]; entry < a.variable_begin[variable + 1]; ++entry)
        sum += double(gradient[a.entry_angle[entry]]) * slope_of(a, sample, entry);
    return sum;
}

// A gradient; halves add theirs to that of the rest.
QTM_DEVICE void leave(const Arguments& a, Real found, Real& gradient) { gradient = a.adds ? gradient + found : found; }

// A block for each sample: gradients of its rotations, of its angles, and of its inputs if wanted.
QTM_KERNEL(angles, 128) {
    const long long sample = block.index;
    const Factors factors(a, a.factors, sample);
    const Real* sums = a.sums + sample * a.num_slots;
    Real* of_gate = a.gate_gradient + sample * a.num_gates;
    Real* of_angle = a.angle_gradient + sample * a.num_angles;
    QTM_PHASE {
        for (int run = thread; run < a.num_runs; run += block.threads)
            if (run < a.num_turned)
                run_gradients(a, factors, run, sums[3 * run], sums[3 * run + 1], sums[3 * run + 2], of_gate);
            else
                absorbed_gradients(a, factors, sample, run, of_gate);
    }
    QTM_PHASE {
        for (int angle = thread; angle < a.num_angles; angle += block.threads) {
            Real sum = 0;
            for (int i = a.angle_gate_begin[angle]; i < a.angle_gate_begin[angle + 1]; ++i)
                sum += of_gate[a.angle_gate[i]];
            for (int i = a.angle_slot_begin[angle]; i < a.angle_slot_begin[angle + 1]; ++i)
                sum += sums[a.angle_slot[i]];
            of_angle[angle] = sum;
        }
    }
    if (a.input_gradient == nullptr) return;
    QTM_PHASE {
        for (int i = thread; i < a.num_inputs; i += block.threads)
            leave(a, Real(gradient_of(a, sample, i)), a.input_gradient[sample * a.num_inputs + i]);
    }
}

// A block for each weight: the sum over the batch.
QTM_KERNEL(weights, 128) {
    Registers<Sums<1>> sum(block);
    QTM_PHASE {
        double total = 0;
        for (int sample = thread; sample < a.samples; sample += block.threads)
            total += gradient_of(a, sample, a.num_inputs + block.index);
        sum[thread].value[0] = Real(total);
    }
    sum_over_block(block, sum);
    QTM_PHASE {
        if (thread == 0) leave(a, sum[thread].value[0], a.weight_gradient[block.index]);
    }
}
