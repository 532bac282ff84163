// A state as a sum of products of two halves, and back (halved.py). With i the low bits of an index, j the high ones:
//
// state[j, i] = sqrt(branches) * sum over c: low[c, i] * high[c, j], with one branch for each basis state of the glue.

// The root, and the phases that the kets of halves lack, where somebody asks for them.
QTM_DEVICE Complex factor_of_halves(const Arguments& a, long long sample) {
    Complex factor = {Real(a.glue_bits & 1 ? 1.4142135623730951 : 1.0) * Real(1 << a.glue_bits / 2), Real(0)};
    if (a.low_phase == nullptr) return factor;
    factor = factor * *reinterpret_cast<const Complex*>(a.low_phase + sample * a.low_stride);
    return factor * *reinterpret_cast<const Complex*>(a.high_phase + sample * a.high_stride);
}

// What a thread adds up of the state: columns, a warp apart, and rows side by side.
constexpr int join_columns = 2, join_rows = 8;

// A block for so many columns and rows of a sample.
QTM_KERNEL(join, 128) {
    QTM_PHASE {
        const int high_bits = a.num_qubits - a.low_bits, columns = 1 << a.low_bits, rows = 1 << high_bits;
        const int columns_at_once = join_columns * lanes, rows_at_once = join_rows * (block.threads / lanes);
        const int across = (columns + columns_at_once - 1) / columns_at_once;
        const int down = (rows + rows_at_once - 1) / rows_at_once;
        const long long sample = block.index / (across * down);
        const int tile = block.index % (across * down);
        const int column = tile % across * columns_at_once + thread % lanes;
        const int row = tile / across * rows_at_once + thread / lanes * join_rows;
        const Complex* low = a.low + (sample << (a.low_bits + a.glue_bits));
        const Complex* high = a.high + (sample << (high_bits + a.glue_bits));
        Complex sum[join_columns][join_rows] = {};
        QTM_NO_UNROLL
        for (int c = 0; c < 1 << a.glue_bits; ++c) {
            Complex of_low[join_columns], of_high[join_rows];
            // Beyond the state: anything of it, which is not stored.
            QTM_UNROLL
            for (int x = 0; x < join_columns; ++x)
                of_low[x] = low[(c << a.low_bits) + ((column + x * lanes) & (columns - 1))];
            QTM_UNROLL
            for (int y = 0; y < join_rows; ++y) of_high[y] = high[(c << high_bits) + ((row + y) & (rows - 1))];
            QTM_UNROLL
            for (int x = 0; x < join_columns; ++x) {
                QTM_UNROLL
                for (int y = 0; y < join_rows; ++y) {
                    const Complex l = of_low[x], h = of_high[y];
                    sum[x][y].re += l.re * h.re;
                    sum[x][y].re -= l.im * h.im;
                    sum[x][y].im += l.re * h.im;
                    sum[x][y].im += l.im * h.re;
                }
            }
        }
        const Complex factor = factor_of_halves(a, sample);
        Complex* state = a.ket + (sample << a.num_qubits);
        QTM_UNROLL
        for (int x = 0; x < join_columns; ++x) {
            QTM_UNROLL
            for (int y = 0; y < join_rows; ++y)
                if (column + x * lanes < columns && row + y < rows)
                    state[((row + y) << a.low_bits) + column + x * lanes] = factor * sum[x][y];
        }
    }
}

// Terms of a sum that a block has in shared memory, and that a part of it has; branches of a thread.
constexpr int split_terms = 16, terms_of_part = 128, split_branches = 4;

// The other way: the bra of a half is that of the state times the conjugate of the other half, summed over its bits,
// which are the terms; what is left are outputs. A block for a part of the terms of so many outputs.
QTM_KERNEL(split, 128) {
    Registers<Sums<2 * split_branches>> sum(block);
    const int output_bits = a.of_high ? a.num_qubits - a.low_bits : a.low_bits, term_bits = a.num_qubits - output_bits;
    const int outputs = 1 << output_bits, terms = 1 << term_bits, branches = 1 << a.glue_bits;
    const int groups = branches > split_branches ? branches / split_branches : 1, at_once = block.threads / groups;
    const int of_part = terms < terms_of_part ? terms : terms_of_part, parts = terms / of_part;
    const int across = (outputs + at_once - 1) / at_once;
    const int first = block.index % across * at_once, part = block.index / across % parts;
    const long long sample = block.index / (across * parts);
    const Complex* other = (a.of_high ? a.low : a.high) + (sample << (term_bits + a.glue_bits));
    const Complex* bra = a.bra + (sample << a.num_qubits);
    // Of the bra, [terms][outputs], at an odd distance; of the other half, [branches][terms].
    Real* real = reinterpret_cast<Real*>(block.shared);
    Real* imaginary = real + split_terms * (at_once + 1);
    Complex* factors = reinterpret_cast<Complex*>(imaginary + split_terms * (at_once + 1));
    QTM_PHASE { sum[thread] = Sums<2 * split_branches>(); }
    for (int begin = 0; begin < of_part; begin += split_terms) {
        QTM_PHASE {
            // Neighbouring threads read neighbours in memory: columns.
            for (int number = thread; number < split_terms * at_once; number += block.threads) {
                const int output = a.of_high ? number / split_terms : number % at_once;
                const int term = a.of_high ? number % split_terms : number / at_once;
                const int to = first + output, from = part * of_part + begin + term;
                Complex b = {Real(0), Real(0)};
                if (to < outputs && begin + term < of_part)
                    b = bra[a.of_high ? (to << a.low_bits) + from : (from << a.low_bits) + to];
                real[term * (at_once + 1) + output] = b.re;
                imaginary[term * (at_once + 1) + output] = b.im;
            }
            for (int number = thread; number < split_terms * groups * split_branches; number += block.threads) {
                const int term = begin + number % split_terms, branch = number / split_terms;
                Complex factor = {Real(0), Real(0)};
                if (branch < branches && term < of_part) factor = other[(branch << term_bits) + part * of_part + term];
                factors[number] = factor;
            }
        }
        QTM_PHASE {
            const int output = thread % at_once, branch = thread / at_once * split_branches;
            QTM_UNROLL
            for (int term = 0; term < split_terms; ++term) {
                const Real re = real[term * (at_once + 1) + output], im = imaginary[term * (at_once + 1) + output];
                QTM_UNROLL
                for (int i = 0; i < split_branches; ++i) {
                    const Complex factor = factors[(branch + i) * split_terms + term];
                    sum[thread].value[2 * i] += factor.re * re;
                    sum[thread].value[2 * i] += factor.im * im;
                    sum[thread].value[2 * i + 1] += factor.re * im;
                    sum[thread].value[2 * i + 1] -= factor.im * re;
                }
            }
        }
    }
    QTM_PHASE {
        const int output = first + thread % at_once, branch = thread / at_once * split_branches;
        const Complex factor = conjugated(factor_of_halves(a, sample));
        Complex* found = reinterpret_cast<Complex*>(a.partial) + ((sample * parts + part) << (output_bits + a.glue_bits));
        QTM_UNROLL
        for (int i = 0; i < split_branches; ++i)
            if (output < outputs && branch + i < branches)
                found[((branch + i) << output_bits) + output] =
                    factor * Complex{sum[thread].value[2 * i], sum[thread].value[2 * i + 1]};
    }
}

// A thread for an amplitude of the bra of a half: adds up its parts.
QTM_KERNEL(gather, 128) {
    QTM_PHASE {
        const long long number = (long long)(block.index) * block.threads + thread;
        const int bits = (a.of_high ? a.num_qubits - a.low_bits : a.low_bits) + a.glue_bits;
        if (number < a.numbers) {
            const long long sample = number >> bits, amplitude = number & ((1LL << bits) - 1);
            const Complex* parts = reinterpret_cast<const Complex*>(a.partial) + ((sample * a.parts) << bits) + amplitude;
            Complex sum = {Real(0), Real(0)};
            for (int part = 0; part < a.parts; ++part) {
                const Complex found = parts[(long long)(part) << bits];
                sum.re += found.re;
                sum.im += found.im;
            }
            a.bra[number] = sum;
        }
    }
}
