// What is read from the last kets, and the bras that start the way back. A term of a Pauli sum with flips x and signs z
// is sum_i (-1)^{z.i} conj(k[i^x]) k[i], its real or imaginary part; masks are of addresses in memory.

// A block for a part of a sample: all slots, each the terms of one flip, one kind and one observable.
QTM_KERNEL(read, 128) {
    const Constants c{a.constants};
    const int part = block.index % a.parts;
    const long long sample = block.index / a.parts;
    const Complex* ket = a.ket + (sample << c.num_qubits());
    const unsigned size = (1u << c.num_qubits()) / unsigned(a.parts), begin = unsigned(part) * size;
    Registers<Sums<1>> sum(block);
    for (int slot = 0; slot < c.num_reads(); ++slot) {
        const unsigned x = c.read_flip()[slot];
        const bool is_imaginary = c.read_is_imaginary()[slot];
        const int first = c.read_term_begin()[slot], last = c.read_term_begin()[slot + 1];
        QTM_PHASE {
            Real total = 0;
            for (unsigned i = begin + unsigned(thread); i < begin + size; i += unsigned(block.threads)) {
                const Complex from = ket[i], to = ket[i ^ x];
                Real weight = 0;
                for (int t = first; t < last; ++t) {
                    const Real coefficient = c.term_weight()[t];
                    weight += is_odd(c.term_sign()[t] & i) ? -coefficient : coefficient;
                }
                total += weight * (is_imaginary ? to.re * from.im - to.im * from.re : to.re * from.re + to.im * from.im);
            }
            sum[thread].value[0] = total;
        }
        sum_over_block(block, sum);
        QTM_PHASE {
            if (thread == 0) a.partial[(sample * c.num_reads() + slot) * a.parts + part] = sum[thread].value[0];
        }
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
    const Constants c{a.constants};
    QTM_PHASE {
        const long long number = (long long)(block.index) * block.threads + thread;
        const int num_observables = c.num_observables();
        if (number < a.numbers) {
            const long long sample = number / num_observables;
            const int observable = int(number % num_observables);
            Real value = c.observable_constant()[observable];
            for (int i = c.observable_begin()[observable]; i < c.observable_begin()[observable + 1]; ++i)
                value += a.sums[sample * c.num_reads() + c.observable_read()[i]];
            a.values[number] = value;
        }
    }
}

// A thread for an amplitude of the state, in the order of the caller.
QTM_KERNEL(states, 128) {
    const Constants c{a.constants};
    QTM_PHASE {
        const long long number = (long long)(block.index) * block.threads + thread;
        if (number < a.numbers) {
            const long long sample = number >> c.state_bits();
            const unsigned index = unsigned(number) & ((1u << c.state_bits()) - 1);
            const unsigned address = image_of(index, c.state_address()) ^ c.state_base();
            const Complex phase = *Factors(c, a.factors, sample).phase;
            reinterpret_cast<Complex*>(a.values)[number] = phase * a.ket[(sample << c.num_qubits()) + address];
        }
    }
}

// The bra at an address: half of the gradient with respect to the state, without the phase that the ket lacks.
QTM_DEVICE Complex seed_of_state(const Arguments& a, const Constants& c, long long sample, unsigned address) {
    const unsigned index = image_of(address ^ c.state_base(), c.state_index());
    if (index >> c.state_bits() != 0) return {Real(0), Real(0)};
    const Complex phase = *Factors(c, a.factors, sample).phase;
    const Complex gradient = reinterpret_cast<const Complex*>(a.cotangent)[(sample << c.state_bits()) + index];
    return conjugated(phase) * Complex{Real(0.5) * gradient.re, Real(0.5) * gradient.im};
}

// sum_m cotangent[m] O_m ket at an address.
QTM_DEVICE Complex seed_of_terms(const Arguments& a, const Constants& c, long long sample, unsigned address) {
    const Complex* ket = a.ket + (sample << c.num_qubits());
    const Real* cotangent = a.cotangent + sample * c.num_observables();
    Complex bra = {Real(0), Real(0)};
    for (int slot = 0; slot < c.num_reads(); ++slot) {
        const unsigned source = address ^ c.read_flip()[slot];
        Real weight = 0;
        for (int t = c.read_term_begin()[slot]; t < c.read_term_begin()[slot + 1]; ++t) {
            const Real coefficient = c.term_weight()[t];
            weight += is_odd(c.term_sign()[t] & source) ? -coefficient : coefficient;
        }
        weight *= cotangent[c.read_observable()[slot]];
        const Complex k = ket[source];
        if (c.read_is_imaginary()[slot]) {
            bra.re += weight * k.im;
            bra.im -= weight * k.re;
        } else {
            bra.re += weight * k.re;
            bra.im += weight * k.im;
        }
    }
    return bra;
}

QTM_DEVICE void seed(const Arguments& a, const Constants& c, int pass, const Place& at, Tile& bra) {
    const bool is_state = c.state_phase() >= 0;
    for_each_amplitude(c, pass, at, [&](int r, unsigned address) {
        const Complex b = is_state ? seed_of_state(a, c, at.sample, address) : seed_of_terms(a, c, at.sample, address);
        bra.re[r] = b.re;
        bra.im[r] = b.im;
    });
}
