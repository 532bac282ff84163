// The way forward: passes over tiles, from |0...0> or from states in memory.

// The first layer makes a product state of |0...0>: a cosine or a sine for every run, and nothing where other parities
// are odd.
QTM_DEVICE void start(const Arguments& a, const Factors& factors, const Place& at, Tile& tile) {
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) {
        tile.re[r] = Real(1);
        tile.im[r] = Real(0);
    }
    Real total = Real(1);
    for (int i = 0; i < a.num_starts; ++i) {
        const int run = a.start_run[i];
        const Real cosine = run < 0 ? Real(1) : factors.turn[run].cosine;
        const Real sine = run < 0 ? Real(0) : factors.turn[run].sine;
        const bool odd = is_odd(a.start_mask[i] & at.high);
        const Real even_factor = odd ? sine : cosine, odd_factor = odd ? cosine : sine;
        const unsigned bits = a.start_mask[i] >> a.thread_bits & unsigned(registers - 1);
        if (bits == 0) {
            total *= even_factor;
            continue;
        }
        QTM_UNROLL
        for (int r = 0; r < registers; ++r) tile.re[r] *= is_odd(bits & unsigned(r)) ? odd_factor : even_factor;
    }
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) tile.re[r] *= total;
}

// Passes `pass_begin` to `pass_end` - 1. With `starts`, the first of them begins with the product state of the first
// layer; unless it `goes_on`, it is the last one of that layer.
QTM_KERNEL(forward, QTM_MOST_THREADS) {
    Registers<Tile> ket(block);
    for (int pass = a.pass_begin; pass < a.pass_end; ++pass) {
        const bool is_first = pass == a.pass_begin, exchanges = !is_first && a.pass_exchanges[pass];
        if (exchanges) {
            QTM_GROUP_PHASE {
                const Place at(a, block, thread);
                put(a, map_of_before(a, pass), block, at, ket[thread]);
            }
        }
        QTM_GROUP_PHASE {
            const Place at(a, block, thread);
            const Factors factors(a, a.factors, at.sample);
            if (exchanges) take(a, map_of_own(a, pass), block, at, ket[thread]);
            if (is_first && a.starts)
                start(a, factors, at, ket[thread]);
            else if (is_first)
                load(a, map_of_pass(a, pass), at, a.ket, ket[thread]);
            if (!is_first || a.goes_on) {
                multiply_phase<false>(a, pass, factors, at.high, ket[thread]);
                rotate<false>(a, pass, factors, ket[thread]);
            }
        }
    }
    QTM_GROUP_PHASE {
        const Place at(a, block, thread);
        store(a, map_of_pass(a, a.pass_end - 1), at, a.ket, ket[thread]);
    }
}
