// A tile of the state in registers: 2^(registers + threads) amplitudes, of which each thread has those that differ in
// the register bits of their place. From place to index goes a linear map over bits, another one in every pass, which
// makes flips of the runs of the pass register bits (passes.py). From pass to pass the tile goes through shared memory.

constexpr int register_bits = QTM_REGISTER_BITS, registers = 1 << register_bits;

struct Tile {
    Real re[registers], im[registers];
};

// Where a thread is: bits of a place are those of the thread, of the register, of the tile, from the lowest on.
struct Place {
    int group;         // of threads that share a tile, in its block
    unsigned thread;   // in its group
    unsigned high;     // all bits but those of the register
    unsigned tile;
    long long sample;
    bool acts;

    QTM_DEVICE Place(const Arguments& a, const Block& block, int number) {
        const int bits = a.thread_bits;
        const long long unit = (long long)(block.index) * (block.threads >> bits) + (number >> bits);
        group = number >> bits;
        thread = unsigned(number) & ((1u << bits) - 1);
        acts = unit < (long long)(a.samples) << a.tile_bits;
        tile = unsigned(unit) & ((1u << a.tile_bits) - 1);
        sample = acts ? unit >> a.tile_bits : 0;
        high = thread | tile << (bits + register_bits);
    }
};

QTM_DEVICE constexpr int lowest_bit(int j) { return j & 1 ? 0 : j & 2 ? 1 : j & 4 ? 2 : j & 8 ? 3 : 4; }

// Calls visit(register, image) for all registers: the image of a place under a linear map, which goes from one to the
// next by exclusive or (Gray code).
template <class Visit>
QTM_DEVICE void for_each_register(unsigned image, const unsigned* of_registers, Visit visit) {
    unsigned step[register_bits];
    QTM_UNROLL
    for (int q = 0; q < register_bits; ++q) step[q] = of_registers[q];
    QTM_UNROLL
    for (int j = 0; j < registers; ++j) {
        if (j > 0) image ^= step[lowest_bit(j)];
        visit(j ^ j >> 1, image);
    }
}

QTM_DEVICE unsigned image_of(unsigned bits, const unsigned* map) {
    unsigned image = 0;
    for (int q = 0; bits >> q != 0; ++q)
        if (bits >> q & 1) image ^= map[q];
    return image;
}

// The map from places in a pass, or in a view, to indices in the state.
QTM_DEVICE const unsigned* map_of_pass(const Arguments& a, int pass) { return a.pass_address + pass * a.num_qubits; }
QTM_DEVICE const unsigned* map_of_view(const Arguments& a) { return a.view_address + a.view * a.num_qubits; }

// Calls visit(register, index in the state) for all amplitudes of a thread.
template <class Visit>
QTM_DEVICE void for_each_amplitude(const Arguments& a, const unsigned* map, const Place& at, Visit visit) {
    for_each_register(image_of(at.high, map), map + a.thread_bits, visit);
}

QTM_DEVICE void load(const Arguments& a, const unsigned* map, const Place& at, const Complex* states, Tile& tile) {
    const Complex* state = states + (at.sample << a.num_qubits);
    for_each_amplitude(a, map, at, [&](int r, unsigned index) {
        const Complex amplitude = state[index];
        tile.re[r] = amplitude.re;
        tile.im[r] = amplitude.im;
    });
}

QTM_DEVICE void store(const Arguments& a, const unsigned* map, const Place& at, Complex* states, const Tile& tile) {
    if (!at.acts) return;
    Complex* state = states + (at.sample << a.num_qubits);
    for_each_amplitude(a, map, at, [&](int r, unsigned index) { state[index] = {tile.re[r], tile.im[r]}; });
}

// Where a group keeps its tile on the way from pass to pass: one real number after the other, those of small groups at
// an odd distance.
QTM_DEVICE Real* exchange_of(const Arguments& a, const Block& block, const Place& at) {
    return reinterpret_cast<Real*>(block.shared) + at.group * a.tile_numbers;
}

QTM_DEVICE void put(const Arguments& a, const unsigned* map, const Block& block, const Place& at, const Tile& tile) {
    Real* real = exchange_of(a, block, at);
    Real* imaginary = real + (1 << (a.thread_bits + register_bits));
    for_each_register(image_of(at.thread, map), map + a.thread_bits, [&](int r, unsigned address) {
        real[address] = tile.re[r];
        imaginary[address] = tile.im[r];
    });
}

QTM_DEVICE void take(const Arguments& a, const unsigned* map, const Block& block, const Place& at, Tile& tile) {
    const Real* real = exchange_of(a, block, at);
    const Real* imaginary = real + (1 << (a.thread_bits + register_bits));
    for_each_register(image_of(at.thread, map), map + a.thread_bits, [&](int r, unsigned address) {
        tile.re[r] = real[address];
        tile.im[r] = imaginary[address];
    });
}

// To the order of a pass from that of the one before it, or back.
QTM_DEVICE const unsigned* map_of_before(const Arguments& a, int pass) {
    return a.pass_before + pass * (a.thread_bits + register_bits);
}
QTM_DEVICE const unsigned* map_of_own(const Arguments& a, int pass) {
    return a.pass_own_address + pass * (a.thread_bits + register_bits);
}

// The characters of a phase that have the same register bits, at the places of a thread: what those of even parity in
// these bits are multiplied by, and the ratio of odd to even.
QTM_DEVICE void factors_of_group(const Arguments& a, int group, const Factors& factors, unsigned high, Complex& even,
                                 Complex& ratio) {
    Complex odd = {Real(1), Real(0)};
    even = odd;
    for (int i = a.group_begin[group]; i < a.group_begin[group + 1]; ++i) {
        const Complex factor = factors.character[a.group_character[i]];
        if (is_odd(a.group_mask[i] & high))
            even = even * factor;
        else
            odd = odd * factor;
    }
    ratio = odd * conjugated(even);
}

QTM_DEVICE void multiply(int r, Complex factor, Tile& tile) {
    const Complex found = factor * Complex{tile.re[r], tile.im[r]};
    tile.re[r] = found.re;
    tile.im[r] = found.im;
}
template <class... Tiles>
QTM_DEVICE void multiply(int r, Complex factor, Tile& tile, Tiles&... others) {
    multiply(r, factor, tile);
    multiply(r, factor, others...);
}

// Tiles times the phase before the runs of a pass, or its conjugate. Groups: no register bits; each of them alone;
// others.
template <bool is_conjugate, class... Tiles>
QTM_DEVICE void multiply_phase(const Arguments& a, int pass, const Factors& factors, unsigned high, Tiles&... tiles) {
    const int first = a.pass_group_begin[pass], end = a.pass_group_begin[pass + 1];
    if (first == end) return;
    Complex total, even, ratio;
    factors_of_group(a, first, factors, high, total, ratio);
    const auto next = [&](int group) {
        factors_of_group(a, group, factors, high, even, ratio);
        total = total * even;
        if (is_conjugate) ratio = conjugated(ratio);
    };
    QTM_UNROLL
    for (int q = 0; q < register_bits; ++q) {
        const int group = first + 1 + q;
        if (a.group_begin[group] == a.group_begin[group + 1]) continue;
        next(group);
        QTM_UNROLL
        for (int r = 0; r < registers; ++r)
            if (r >> q & 1) multiply(r, ratio, tiles...);
    }
    for (int group = first + 1 + register_bits; group < end; ++group) {
        next(group);
        const unsigned pattern = a.group_pattern[group];
        QTM_UNROLL
        for (int r = 1; r < registers; ++r)
            if (pattern >> r & 1) multiply(r, ratio, tiles...);
    }
    if (is_conjugate) total = conjugated(total);
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) multiply(r, total, tiles...);
}

// RY on register bit q.
QTM_DEVICE void rotate_bit(int q, Real cosine, Real sine, Tile& tile) {
    QTM_UNROLL
    for (int r = 0; r < registers; ++r) {
        if (r >> q & 1) continue;
        const int s = r | 1 << q;
        const Real re = tile.re[r], im = tile.im[r];
        tile.re[r] = cosine * re - sine * tile.re[s];
        tile.im[r] = cosine * im - sine * tile.im[s];
        tile.re[s] = sine * re + cosine * tile.re[s];
        tile.im[s] = sine * im + cosine * tile.im[s];
    }
}
template <class... Tiles>
QTM_DEVICE void rotate_bit(int q, Real cosine, Real sine, Tile& tile, Tiles&... others) {
    rotate_bit(q, cosine, sine, tile);
    rotate_bit(q, cosine, sine, others...);
}

// RY of the runs of a pass, or its inverse.
template <bool is_inverse, class... Tiles>
QTM_DEVICE void rotate(const Arguments& a, int pass, const Factors& factors, Tiles&... tiles) {
    QTM_UNROLL
    for (int q = 0; q < register_bits; ++q) {
        const int run = a.pass_run[pass * register_bits + q];
        if (run < 0) continue;
        const RealTurn turn = factors.turn[run];
        rotate_bit(q, turn.cosine, is_inverse ? -turn.sine : turn.sine, tiles...);
    }
}
