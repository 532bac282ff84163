// What is read from the last kets, and the bras that start the way back. A term of a Pauli sum with flips x and signs z
// is sum_i (-1)^{z.i} conj(k[i^x]) k[i], its real or imaginary part; masks are of addresses in memory.

// An observable from its constant and its slots.
QTM_DEVICE Real value_of(const Arguments& a, long long sample, int observable) {
    Real value = a.observable_constant[observable];
    for (int i = a.observable_begin[observable]; i < a.observable_begin[observable + 1]; ++i)
        value += a.sums[sample * a.num_reads + a.observable_read[i]];
    return value;
}

// A block for a part of a sample: all slots, each the terms of one flip, one kind and one observable. If it is the only
// part, also the values.
QTM_KERNEL(read, 128) {
    const int part = block.index % a.parts;
    const long long sample = block.index / a.parts;
    const Complex* ket = a.ket + (sample << a.num_qubits);
    const unsigned size = (1u << a.num_qubits) / unsigned(a.parts), begin = unsigned(part) * size;
    Registers<Sums<1>> sum(block);
    for (int slot = 0; slot < a.num_reads; ++slot) {
        const unsigned x = a.read_flip[slot];
        const bool is_imaginary = a.read_is_imaginary[slot];
        const int first = a.read_term_begin[slot], last = a.read_term_begin[slot + 1];
        QTM_PHASE {
            Real total = 0;
            for (unsigned i = begin + unsigned(thread); i < begin + size; i += unsigned(block.threads)) {
                const Complex from = ket[i], to = ket[i ^ x];
                Real weight = 0;
                for (int t = first; t < last; ++t) {
                    const Real coefficient = a.term_weight[t];
                    weight += is_odd(a.term_sign[t] & i) ? -coefficient : coefficient;
                }
                total += weight * (is_imaginary ? to.re * from.im - to.im * from.re : to.re * from.re + to.im * from.im);
            }
            sum[thread].value[0] = total;
        }
        sum_over_block(block, sum);
        QTM_PHASE {
            if (thread == 0) a.partial[(sample * a.num_reads + slot) * a.parts + part] = sum[thread].value[0];
        }
    }
    if (a.parts > 1) return;
    QTM_PHASE {
        for (int m = thread; m < a.num_observables; m += block.threads)
            a.values[sample * a.num_observables + m] = value_of(a, sample, m);
    }
}

// A warp for a number: adds up its parts, in an order of their own.
QTM_KERNEL(reduce, 128) {
    Registers<Sums<1>> sum(block);
    const long long first = (long long)(block.index) * (block.threads / lanes);
    QTM_PHASE {
        const long long number = first + thread / lanes;
        Real total = 0;
        if (number < a.numbers)
            for (int part = thread % lanes; part < a.parts; part += lanes) total += a.partial[number * a.parts + part];
        sum[thread].value[0] = total;
    }
    sum_over_lanes<1>(block, sum, lane_bits);
    QTM_PHASE {
        const long long number = first + thread / lanes;
        if (thread % lanes == 0 && number < a.numbers) a.sums[number] = sum[thread].value[0];
    }
}

// A thread for a value: its constant and its slots.
QTM_KERNEL(values, 128) {
    QTM_PHASE {
        const long long number = (long long)(block.index) * block.threads + thread;
        if (number < a.numbers)
            a.values[number] = value_of(a, number / a.num_observables, int(number % a.num_observables));
    }
}

// A thread for an amplitude of the state, in the order of the caller.
QTM_KERNEL(states, 128) {
    QTM_PHASE {
        const long long number = (long long)(block.index) * block.threads + thread;
        if (number < a.numbers) {
            const long long sample = number >> a.state_bits;
            const unsigned index = unsigned(number) & ((1u << a.state_bits) - 1);
            const unsigned address = image_of(index, a.state_address) ^ a.state_base;
            const Complex phase = *Factors(a, a.factors, sample).phase;
            reinterpret_cast<Complex*>(a.values)[number] = phase * a.ket[(sample << a.num_qubits) + address];
        }
    }
}

// The bra at an address: half of the gradient with respect to the state, without the phase that the ket lacks.
QTM_DEVICE Complex seed_of_state(const Arguments& a, long long sample, unsigned address) {
    const unsigned index = image_of(address ^ a.state_base, a.state_index);
    if (index >> a.state_bits != 0) return {Real(0), Real(0)};
    const Complex phase = *Factors(a, a.factors, sample).phase;
    const Complex gradient = reinterpret_cast<const Complex*>(a.cotangent)[(sample << a.state_bits) + index];
    return conjugated(phase) * Complex{Real(0.5) * gradient.re, Real(0.5) * gradient.im};
}

// sum_m cotangent[m] O_m ket at an address.
QTM_DEVICE Complex seed_of_terms(const Arguments& a, long long sample, unsigned address) {
    const Complex* ket = a.ket + (sample << a.num_qubits);
    const Real* cotangent = a.cotangent + sample * a.num_observables;
    Complex bra = {Real(0), Real(0)};
    for (int slot = 0; slot < a.num_reads; ++slot) {
        const unsigned source = address ^ a.read_flip[slot];
        Real weight = 0;
        for (int t = a.read_term_begin[slot]; t < a.read_term_begin[slot + 1]; ++t) {
            const Real coefficient = a.term_weight[t];
            weight += is_odd(a.term_sign[t] & source) ? -coefficient : coefficient;
        }
        weight *= cotangent[a.read_observable[slot]];
        const Complex k = ket[source];
        if (a.read_is_imaginary[slot]) {
            bra.re += weight * k.im;
            bra.im -= weight * k.re;
        } else {
            bra.re += weight * k.re;
            bra.im += weight * k.im;
        }
    }
    return bra;
}

// Through shared memory, each thread through a part of its own, so that the code is there once and not for each register.
QTM_DEVICE void seed(const Arguments& a, const Block& block, int pass, const Place& at, Tile& bra) {
    const unsigned* map = a.pass_address + pass * a.num_qubits;
    Real* real = exchange_of(a, block, at) + at.thread;
    Real* imaginary = real + (1 << (a.thread_bits + register_bits));
    QTM_NO_UNROLL
    for (int r = 0; r < registers; ++r) {
        const unsigned address = image_of(at.high | unsigned(r) << a.thread_bits, map);
        const Complex b = a.state_phase >= 0 ? seed_of_state(a, at.sample, address) : seed_of_terms(a, at.sample, address);
        real[r << a.thread_bits] = b.re;
        imaginary[r << a.thread_bits] = b.im;
    }
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) {
        bra.re[r] = real[r << a.thread_bits];
        bra.im[r] = imaginary[r << a.thread_bits];
    }
}
