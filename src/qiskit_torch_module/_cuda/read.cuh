// What is read from the last kets. A term of a Pauli sum with flips x and signs z is sum_i (-1)^{z.i} conj(k[i^x]) k[i],
// its real or imaginary part. All flips of a view stay within its tiles; a slot is the terms of one flip, one kind and one
// observable.

// An observable from its constant, its slots and its moments.
QTM_DEVICE Real value_of(const Arguments& a, long long sample, int observable) {
    Real value = a.observable_constant[observable];
    for (int i = a.observable_begin[observable]; i < a.observable_begin[observable + 1]; ++i)
        value += a.reads[sample * a.num_reads + a.observable_slot[i]];
    for (int i = a.absorbed_begin[observable]; i < a.absorbed_begin[observable + 1]; ++i)
        value += a.absorbed_weight[i] * value_of_moment(a, sample, a.absorbed_moment[i]);
    return value;
}

// Of a flip and a kind, what its terms are sums of, with all signs of registers.
QTM_DEVICE void multiply_flipped(const Arguments& a, const Block& block, const Place& at, int part, const Tile& ket) {
    const bool is_imaginary = part & 1;
    Real product[registers];
    for_each_flipped(a, block, at, a.flip_place[part / 2], [&](int r, Complex to) {
        product[r] =
            is_imaginary ? to.re * ket.im[r] - to.im * ket.re[r] : to.re * ket.re[r] + to.im * ket.im[r];
    });
    walsh(product);
    Real* column = column_of(a, block, at);
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) column[r << a.thread_bits] = product[r];
}

QTM_DEVICE unsigned register_of(const Arguments& a, unsigned mask) {
    return mask >> a.thread_bits & unsigned(registers - 1);
}

// The terms of a slot at the places of a thread.
QTM_DEVICE Real sum_of_terms(const Arguments& a, const Block& block, const Place& at, int slot) {
    const Real* column = column_of(a, block, at);
    Real total = 0;
    for (int t = a.slot_term_begin[slot]; t < a.slot_term_begin[slot + 1]; ++t) {
        const unsigned mask = a.term_sign[t];
        const Real term = a.term_weight[t] * column[register_of(a, mask) << a.thread_bits];
        total += is_odd(mask & at.high) ? -term : term;
    }
    return total;
}

// A group of threads for a tile of a view: all of its slots and moments. If a tile holds the state, also the values, where
// they are wanted.
QTM_KERNEL(read, QTM_MOST_THREADS) {
    Registers<Tile> ket(block);
    Registers<FewSums> sums(block);
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        load(a, map_of_view(a), at, a.ket, ket[thread]);
        show(a, block, at, ket[thread]);
    }
    const int part_begin = 2 * a.view_flip_begin[a.view], part_end = 2 * a.view_flip_begin[a.view + 1];
    const int slot_end = a.part_begin[part_end];
    // Slots of several parts are added up together; what a part is made of is computed before its first slot.
    int part = part_begin;
    for (int first = a.part_begin[part_begin]; first < slot_end; first += sums_of_few) {
        int next = part;
        QTM_GROUP_PHASE {
            const Place at(a, block, thread);
            next = part;
            QTM_NO_UNROLL
            for (int slot = first; slot < first + sums_of_few; ++slot) {
                if (slot < slot_end && a.part_begin[next] == slot) {
                    while (a.part_begin[next + 1] == slot) ++next;
                    multiply_flipped(a, block, at, next++, ket[thread]);
                }
                const Real sum = slot < slot_end ? sum_of_terms(a, block, at, slot) : Real(0);
                QTM_UNROLL
                for (int i = 0; i < sums_of_few; ++i)
                    if (slot == first + i) sums[thread].value[i] = sum;
            }
        }
        part = next;
        write_sums(a, block, a.num_reads, sums, [&](int i) { return first + i < slot_end ? first + i : -1; });
    }
    // Two moments at a time, X and Y of each.
    const int moment_end = a.view_moment_begin[a.view + 1];
    for (int first = a.view_moment_begin[a.view]; first < moment_end; first += sums_of_few / 2) {
        QTM_GROUP_PHASE {
            const Place at(a, block, thread);
            QTM_UNROLL
            for (int i = 0; i < sums_of_few / 2; ++i) {
                Complex found = {Real(0), Real(0)};
                if (first + i < moment_end) found = moment_of(a, block, at, first + i, ket[thread]);
                sums[thread].value[2 * i] = found.re;
                sums[thread].value[2 * i + 1] = found.im;
            }
        }
        write_sums(a, block, a.num_reads, sums, [&](int i) {
            return first + i / 2 < moment_end ? a.num_slots_read + 2 * first + i : -1;
        });
    }
    if (a.tile_bits > 0 || a.values == nullptr) return;
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        for (int m = int(at.thread); at.acts && m < a.num_observables; m += 1 << a.thread_bits)
            a.values[at.sample * a.num_observables + m] = value_of(a, at.sample, m);
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
