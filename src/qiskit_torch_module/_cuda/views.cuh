// Views: tiles that are closed under flips, in shared memory for the threads of a group to see.

// Where a thread keeps a number for each of its registers, behind the tile of its group.
QTM_DEVICE Real* column_of(const Arguments& a, const Block& block, const Place& at) {
    return exchange_of(a, block, at) + (2 << (a.thread_bits + register_bits)) + at.thread;
}

// A tile for all threads of its group to see.
QTM_DEVICE void show(const Arguments& a, const Block& block, const Place& at, const Tile& tile) {
    Real* real = exchange_of(a, block, at) + at.thread;
    Real* imaginary = real + (1 << (a.thread_bits + register_bits));
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) {
        real[r << a.thread_bits] = tile.re[r];
        imaginary[r << a.thread_bits] = tile.im[r];
    }
}

// Calls visit(register, amplitude) for what a flip makes of the amplitudes of a thread.
template <class Visit>
QTM_DEVICE void for_each_flipped(const Arguments& a, const Block& block, const Place& at, unsigned flip, Visit visit) {
    const unsigned thread = at.thread ^ (flip & ((1u << a.thread_bits) - 1)), of_register = flip >> a.thread_bits;
    const Real* real = exchange_of(a, block, at) + thread;
    const Real* imaginary = real + (1 << (a.thread_bits + register_bits));
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) {
        const unsigned place = (unsigned(r) ^ of_register) << a.thread_bits;
        visit(r, Complex{real[place], imaginary[place]});
    }
}
