// The scratch memory of one thread: where everything that a tile computes lives. Included by isa/*.cpp.

template <class Real, int lanes>
struct Complex {
    Vector<Real, lanes> re, im;

    Complex() = default;
    Complex(Vector<Real, lanes> real, Vector<Real, lanes> imaginary) : re(real), im(imaginary) {}
    // Member by member: compilers copy a plain struct of vectors in smaller pieces, which stalls the loads that follow.
    Complex(const Complex& other) : re(other.re), im(other.im) {}
    Complex& operator=(const Complex& other) {
        re = other.re;
        im = other.im;
        return *this;
    }
};

// z * w, or conj(z) * w.
template <bool conjugate, class Real, int lanes>
inline Complex<Real, lanes> product(Complex<Real, lanes> z, Complex<Real, lanes> w) {
    if constexpr (conjugate)
        return {z.re * w.re + z.im * w.im, z.re * w.im - z.im * w.re};
    else
        return {z.re * w.re - z.im * w.im, z.re * w.im + z.im * w.re};
}

// What a run comes down to: exp(i.) diag(1, left) RY diag(1, right), with RY = [[cosine, -sine], [sine, cosine]].
template <class Real, int lanes>
struct RunFactors {
    Vector<Real, lanes> cosine, sine;
    Complex<Real, lanes> left, right;
    // RY as it is applied: [[cosine, -sine], [sine, cosine]], or, where that is safe, [[1, -tangent], [tangent, 1]];
    // the cosine then goes into the phase. Spread, the sign is that of the virtual qubit in each lane.
    bool by_tangent;
    Vector<Real, lanes> applied_cosine, applied_sine;
};

// How a state lies in memory. Not spread: every lane is a sample, so vector i holds amplitude i of all of them.
// Spread: the lanes are the lowest bits of the index of a single state.
template <int lanes, bool spread>
struct Layout {
    static constexpr int lane_bits = spread ? __builtin_ctz(lanes) : 0;
    static constexpr uint32_t lane_mask = (uint32_t(1) << lane_bits) - 1;

    static size_t vectors(int num_qubits) { return size_t(1) << (num_qubits - lane_bits); }

    // Lane i of the result is the element of index `index ^ i` (spread), or `index` of sample i.
    template <class V>
    static V element(const V* data, uint32_t index) {
        if constexpr (spread)
            return flip_lanes<std::decay_t<decltype(data[0][0])>, lanes>(data[index >> lane_bits], index & lane_mask);
        else
            return data[index];
    }
    template <class Real>
    static Complex<Real, lanes> element(const Complex<Real, lanes>* state, uint32_t index) {
        const Complex<Real, lanes>& amplitude = state[index >> lane_bits];
        if constexpr (spread)
            return {flip_lanes<Real, lanes>(amplitude.re, index & lane_mask),
                    flip_lanes<Real, lanes>(amplitude.im, index & lane_mask)};
        else
            return amplitude;
    }
};

template <class Real, int lanes, bool spread>
struct Workspace {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, spread>;

    V* input;                       // [num_inputs]
    SineCosine<Real, lanes>* half;  // [num_angles]: of theta / 2
    V* angle_gradient;              // [num_angles]
    RunFactors<Real, lanes>* run;   // [num_runs]
    V* layer_scale;                 // [num_layers]: product of the cosines left out of the layer
    C* character;                   // factors of the characters of one group
    C* table;                       // phase tables of all groups
    C* block_ket;                   // [2^max_block_bits]
    C* block_bra;                   // [2^max_block_bits]
    V* weight;                      // [2^n]: Walsh-Hadamard transforms
    C* ket;                         // [2^n], or, kept, one after each layer and after the last phase
    C* bra;                         // [2^n]
    uint32_t* position;             // [num_groups]: row of the phase tables at the current coset
    size_t ket_stride;              // from one kept ket to the next; 0: there is only one
    size_t bytes;

    // Lays the arrays out from `memory` (which may be null, to learn their size).
    Workspace(const ProgramView& program, Mode mode, void* memory) {
        const bool gradient = mode != Mode::values, keep = mode == Mode::gradient_keeping_kets;
        const size_t dimension = L::vectors(program.num_qubits);
        const size_t block = size_t(1) << program.max_block_bits;
        uintptr_t cursor = reinterpret_cast<uintptr_t>(memory);
        const auto take = [&](auto*& pointer, size_t count) {
            pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(cursor);
            cursor += (count * sizeof(*pointer) + 63) / 64 * 64;
        };
        take(input, program.num_inputs);
        take(half, program.num_angles);
        take(angle_gradient, gradient ? program.num_angles : 0);
        take(run, program.num_runs);
        take(layer_scale, program.num_layers);
        take(character, program.character_vectors);
        take(table, program.table_vectors);
        take(block_ket, block);
        take(block_bra, gradient ? block : 0);
        take(weight, dimension);
        ket_stride = keep ? dimension : 0;
        take(ket, dimension * (keep ? program.num_layers + program.last_phase_acts : 1));
        take(position, program.num_groups);
        take(bra, gradient ? dimension : 0);
        bytes = cursor - reinterpret_cast<uintptr_t>(memory);
    }
};
