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

// An amplitude that is needed soon, into the cache. Spread, into the second one: from the first, vectors that are a
// power of two apart push each other out before they are used.
template <bool spread, class Real, int lanes>
[[gnu::always_inline]] inline void fetch_ahead(const Complex<Real, lanes>* amplitude) {
    constexpr int locality = spread ? 2 : 3;
    const char* at = reinterpret_cast<const char*>(amplitude);
    __builtin_prefetch(at, 0, locality);
    if constexpr (sizeof(*amplitude) > 64) __builtin_prefetch(at + 64, 0, locality);
}

// z * w, or conj(z) * w.
template <bool conjugate, class Real, int lanes>
[[gnu::always_inline]] inline Complex<Real, lanes> product(Complex<Real, lanes> z, Complex<Real, lanes> w) {
    if constexpr (conjugate)
        return {z.re * w.re + z.im * w.im, z.re * w.im - z.im * w.re};
    else
        return {z.re * w.re - z.im * w.im, z.re * w.im + z.im * w.re};
}

// What a run comes down to: exp(i.) diag(1, left) RY diag(1, right), with RY = [[cosine, -sine], [sine, cosine]]. Where
// it moves, that is where it starts from: the split has no derivative where the cosine or the sine vanishes.
template <class Real, int lanes>
struct RunFactors {
    using Value = Vector<NumberOf<Real>, lanes>;
    Value cosine, sine;
    Complex<NumberOf<Real>, lanes> left, right;
    // RY as it is applied: [[cosine, -sine], [sine, cosine]], or, where that is safe, [[1, -tangent], [tangent, 1]];
    // the cosine then goes into the phase. Spread, the sign is that of the virtual qubit in each lane.
    bool by_tangent;
    Value applied_cosine, applied_sine;
    [[no_unique_address]] Motion<Real, lanes> motion;
};

// Whether a last layer is absorbed by the observables: never where it may move.
template <class Real>
[[gnu::always_inline]] inline bool absorbs(const ProgramView& p) {
    return !is_jet<Real> && p.absorbs;
}

// How a state lies in memory: a lane's number is that of a sample, and then so many of the lowest bits of an index.
// Batched, there are none: every lane is a sample, and vector i holds amplitude i of all of them. Spread, there is
// nothing else: the lanes are amplitudes of a single sample. Mixed: of a few.
template <int lanes, int bits>
struct Layout {
    static constexpr int lane_bits = bits, samples = lanes >> bits;
    static constexpr bool is_spread = bits > 0, is_single = samples == 1, is_mixed = is_spread && !is_single;
    static constexpr uint32_t lane_mask = (uint32_t(1) << lane_bits) - 1;

    static size_t vectors(int num_qubits) { return size_t(1) << (num_qubits - lane_bits); }

    // Amplitude i of a sample's lanes in the result is the element of index `index ^ i`.
    template <class V>
    static V element(const V* data, uint32_t index) {
        if constexpr (is_spread)
            return flip_lanes<std::decay_t<decltype(data[0][0])>, lanes>(data[index >> lane_bits], index & lane_mask);
        else
            return data[index];
    }
    template <class Real>
    static Complex<Real, lanes> element(const Complex<Real, lanes>* state, uint32_t index) {
        const Complex<Real, lanes>& amplitude = state[index >> lane_bits];
        if constexpr (is_spread)
            return {flip_lanes<Real, lanes>(amplitude.re, index & lane_mask),
                    flip_lanes<Real, lanes>(amplitude.im, index & lane_mask)};
        else
            return amplitude;
    }

    // Element `element` of every sample, in all of its lanes.
    template <class Real>
    static Vector<Real, lanes> in_all_lanes(const Vector<Real, lanes>& x, uint32_t element) {
        if constexpr (!is_spread)
            return x;
        else if constexpr (is_single)
            return broadcast<Real, lanes>(x[element]);
        else
            return first_of_samples(flip_lanes<Real, lanes>(x, element), std::make_index_sequence<lanes>{});
    }
    template <class Real>
    static Complex<Real, lanes> in_all_lanes(const Complex<Real, lanes>& x, uint32_t element) {
        return {in_all_lanes<Real>(x.re, element), in_all_lanes<Real>(x.im, element)};
    }
    // Writes element `element` of every sample, where all lanes of a sample have the same.
    template <class Real>
    static void set_element(Vector<Real, lanes>& x, uint32_t element, const Vector<Real, lanes>& value) {
        if constexpr (!is_spread) {
            x = value;
        } else if constexpr (is_single) {
            x[element] = value[element];
        } else {
            IntegerVector<Real, lanes> lane;
            for (int i = 0; i < lanes; ++i) lane[i] = i & int(lane_mask);
            x = lane == int(element) ? value : x;
        }
    }
    // (-1)^{z.i} of amplitude i of a sample's lanes.
    template <class Real>
    static Vector<NumberOf<Real>, lanes> signs(uint32_t z) {
        using Number = NumberOf<Real>;
        return is_spread ? lane_signs<Number, lanes>(z & lane_mask) : broadcast<Number, lanes>(1);
    }
    // What all samples add up to, in the lanes of the first.
    template <class Real>
    static Vector<Real, lanes> sum_over_samples(Vector<Real, lanes> x) {
        for (uint32_t flip = lanes / 2; flip > lane_mask; flip /= 2) x += flip_lanes<Real, lanes>(x, flip);
        return x;
    }
    // What the lanes of a sample add up to, in all of them.
    template <class Real>
    static Vector<Real, lanes> sum_over_state(Vector<Real, lanes> x) {
        if constexpr (is_single) {
            return broadcast<Real, lanes>(sum_of_lanes<Real, lanes>(x));
        } else {
            for (int bit = lane_bits; bit-- > 0;) x += flip_lanes<Real, lanes>(x, uint32_t(1) << bit);
            return x;
        }
    }

   private:
    template <class V, size_t... lane>
    [[gnu::always_inline]] static V first_of_samples(V x, std::index_sequence<lane...>) {
        return chosen<(lane & ~size_t(lane_mask))...>(x, x);
    }
};

// The factor of a group of characters, by its row (see program.hpp).
template <class Real, int lanes>
struct Factors {
    const Complex<Real, lanes>*low, *high;
    int low_count;

    Factors(const ProgramView& p, const Complex<Real, lanes>* table, int group) {
        low_count = (p.group_character_begin[group + 1] - p.group_character_begin[group]) / 2;
        low = table + p.group_table_begin[group];
        high = low + (size_t(1) << low_count);
    }
    [[gnu::always_inline]] Complex<Real, lanes> operator()(uint32_t row) const {
        return product<false, Real, lanes>(low[row & ((uint32_t(1) << low_count) - 1)], high[row >> low_count]);
    }
};

template <class Real, int lanes, int lane_bits>
struct Workspace {
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;

    V* input;                                    // [num_inputs]
    SineCosine<Real, lanes>* half;               // [num_angles]: of theta / 2
    RunFactors<Real, lanes>* run;                // [num_runs]
    Vector<NumberOf<Real>, lanes>* layer_scale;  // [num_layers]: product of the cosines left out of the layer
    C* table;                     // of all phases and of groups that are applied; a tape keeps all of this
    C* filling;                   // tables of the groups that the table of a phase is made of
    V* angle_gradient;            // [num_angles]
    C* block_ket;                 // [2^max_block_bits], unless states lie in order
    C* block_bra;                 // likewise
    V* block_weight;              // [2^max_block_bits]
    V* weight;                    // [2^n]: Walsh-Hadamard transforms
    C* bra;                       // [2^n]
    C* next_bra;                  // where the bra before the sweep goes: [2^n] if states lie in order, else the bra
    C* saved_ket;                 // the last one as it was: [2^n], if adjoint passes to come undo it once more
    uint32_t* row;                // [num_groups]: which characters of a group are odd at the base of the current coset
    uint32_t variant = 0;         // of the phase's table, there
    Moments<Real, lanes>* bloch;  // [num_runs of the last layer], before it, if it is absorbed
    V* run_cotangent;             // [num_runs of the last layer]: of <Z> after it, likewise
    int shared_layers;            // those of the prefix, if it is shared
    uint32_t next_base = 0;       // of the coset that follows
    bool fetches_states;          // bra and ket are not in the cache: the next coset is worth fetching
    bool fetches_kets;            // nor are all the kets that are kept
    bool streams_bra = false;     // by the time that a whole bra is written, no cache holds its beginning
    Team team;                    // that shares weight, bra and kets
    char *half_scratch[2], *half_tape[2];  // of the halves that the circuit starts from

    // An entry of a Gram matrix as three products take it that make a complex one (Gauss): of a single sample, a
    // number.
    struct Entry {
        using Part = std::conditional_t<L::is_single, NumberOf<Real>, V>;
        Part im, difference, sum;
        static Entry of(Part re, Part im) { return {im, re - im, re + im}; }
    };
    // Of halves that stay apart (unjoined.hpp): they are not joined, and there are none of the states above.
    Entry* gram;          // [num_grams, branches, branches]
    Entry* adjoint_gram;  // [branches, branches]
    C* image;             // [vectors of the larger half]
    C* applied;           // likewise
    C* overlap;           // [vectors of a branch of it]
    C* flip_weight;       // [most_flips, vectors of a branch of it]
    V* word_value;        // [num_words]: the share of this thread
    V* word_cotangent;    // [num_words]
    size_t bytes, tape_bytes, shared_bytes, shared_tape_bytes;

    explicit Workspace(const Tile<Real>& tile)
        : Workspace(*tile.program, tile.storage, tile.scratch, tile.tape, tile.shared, tile.shared_tape) {
        team = tile.team;
        streams_bra = !tile.program->in_order && dimension_ * sizeof(C) / size_t(team.size()) >= tuning::least_streamed;
    }

    // Lays the arrays out from pointers as in a tile (which may be null, to learn their size).
    Workspace(const ProgramView& program, const Storage& storage, void* memory, void* tape, void* shared,
              void* shared_tape) {
        const bool gradient = storage.mode != Mode::values, keep = storage.mode == Mode::gradient_keeping_kets;
        const size_t dimension = program.is_unjoined ? 0 : L::vectors(program.num_qubits);
        const size_t block = size_t(1) << program.max_block_bits;
        shared_layers = storage.shares_prefix ? program.prefix_layers : 0;
        shared_kets_ = shared_layers == 0 ? 0 : ket_after_layer(program, shared_layers - 1) + 1;
        dimension_ = dimension;
        // In order, a ket cannot take the place of the one before it.
        most_kets_ = keep ? this->num_kets(program) : program.in_order ? 2 : 1;
        const auto room = [&](int count) { return size_t(count < most_kets_ ? count : most_kets_); };
        first_is_passing_ = keep && shared_kets_ == 0 && passes_first_ket(program);
        const size_t num_shared = room(shared_kets_),
                     num_kets = room(this->num_kets(program) - shared_kets_) - size_t(first_is_passing_);
        undoes_kets_ = storage.mode == Mode::gradient_undoing_kets;
        fetches_states = 2 * dimension * sizeof(C) > tuning::most_cached;
        const bool kets_on_tape = storage.taped == Taped::all;
        const size_t num_last = num_kets > 0;
        last_number_ = this->num_kets(program) - 1;
        fetches_kets = kets_on_tape || (num_shared + num_kets) * dimension * sizeof(C) > tuning::most_cached;
        Arena scratch(memory), taped(tape), together(shared), taped_together(shared_tape);
        Arena& states = storage.is_team ? together : scratch;
        Arena& taped_states = storage.is_team ? taped_together : taped;
        Arena& kept = storage.taped == Taped::nothing ? scratch : taped;
        kept.take(input, program.num_inputs);
        kept.take(half, program.num_angles);
        kept.take(run, program.num_runs);
        kept.take(layer_scale, program.num_layers);
        kept.take(table, program.table_vectors);
        scratch.take(angle_gradient, gradient ? program.num_angles : 0);
        scratch.take(block_ket, program.in_order ? 0 : block);
        scratch.take(block_bra, gradient && !program.in_order ? block : 0);
        scratch.take(block_weight, block);
        states.take(weight, dimension);
        scratch.take(shared_ket_, num_shared * dimension);
        scratch.take(row, program.num_groups);
        states.take(bra, gradient ? dimension : 0);
        states.take(next_bra, gradient && program.in_order ? dimension : 0);
        if (!program.in_order) next_bra = bra;
        const size_t absorbed = absorbs<Real>(program) ? program.layer_run_begin[program.num_layers] -
                                                             program.layer_run_begin[program.num_layers - 1]
                                                       : 0;
        scratch.take(run_cotangent, absorbed);
        (kets_on_tape ? taped_states : states).take(last_ket_, num_last * dimension);
        (kets_on_tape && keep ? taped_states : states).take(ket_, (num_kets - num_last) * dimension);
        // Tables are filled before the ket is there whose place they take.
        if (num_last > 0 && !storage.is_team && size_t(program.filling_vectors) <= dimension)
            filling = last_ket_;
        else
            scratch.take(filling, program.filling_vectors);
        states.take(saved_ket, storage.saves_ket && undoes_kets_ ? num_last * dimension : 0);
        if (storage.taped == Taped::all_but_spent_kets) taped_states.skip<C>(num_last * dimension);
        kept.take(bloch, absorbed);
        if (program.is_unjoined)
            take_words(program, gradient, scratch, states, storage.taped == Taped::nothing ? states : taped_states);
        // Halves that are joined are small: every thread of a team has them for itself.
        Arena& of_halves = program.is_unjoined ? states : scratch;
        Arena& tapes_of_halves = program.is_unjoined ? taped_states : taped;
        for (int i = 0; i < 2 && program.half[i] != nullptr; ++i) {
            const Workspace half(*program.half[i], of_half(storage), nullptr, nullptr, nullptr, nullptr);
            of_halves.take(half_scratch[i], half.bytes);
            tapes_of_halves.take(half_tape[i], half.tape_bytes);
        }
        bytes = scratch.bytes();
        tape_bytes = taped.bytes();
        shared_bytes = together.bytes();
        shared_tape_bytes = taped_together.bytes();
    }

    // A half belongs to one thread.
    static Storage of_half(Storage storage) {
        storage.is_team = false;
        return storage;
    }
    // The first ket, from halves, if nothing on the way back needs it: it lies where the bra will.
    C* ket(int number) const {
        if (number == 0 && first_is_passing_) return bra;
        if (number < shared_kets_) return shared_ket_ + size_t(number % most_kets_) * dimension_;
        const int place = (last_number_ - number) % most_kets_;
        return place == 0 ? last_ket_ : ket_ + size_t(place - 1) * dimension_;
    }
    // Whether the ket goes back before a layer along with the bra. In order, it would take the place of the last ket of
    // a shared prefix, which other tiles need.
    bool undoes_ket(const ProgramView& p, int layer) const {
        return undoes_kets_ && !(p.in_order && layer == shared_layers);
    }
    // The bra has gone to `next_bra`.
    void take_next_bra() {
        C* const left = bra;
        bra = next_bra;
        next_bra = left;
    }
    static int ket_after_layer(const ProgramView& p, int layer) {
        return p.sweep_ket[p.layer_sweep_begin[layer + 1] - 1];
    }
    // Whether no gradient needs what comes from halves: no rotation of the phase after it has an angle of its own, and
    // no first sweep of several meets it on the way back.
    static bool passes_first_ket(const ProgramView& p) {
        if (p.half[0] == nullptr || p.num_layers < 2) return false;
        for (int c = p.phase_character_begin[1]; c < p.phase_character_begin[2]; ++c)
            for (int s = p.character_source_begin[c]; s < p.character_source_begin[c + 1]; ++s)
                if (p.source_kind[s] == source_rotation) return false;
        const bool is_measured = absorbs<Real>(p) && p.num_layers == 2;
        return is_measured || p.layer_sweep_begin[2] - p.layer_sweep_begin[1] == 1;
    }
    static int num_kets(const ProgramView& p) {
        if (p.num_layers == 0) return 1;
        return ket_after_layer(p, p.num_layers - 1) + 1 + (absorbs<Real>(p) ? 0 : p.last_phase_acts);
    }

   private:
    class Arena {
       public:
        explicit Arena(void* memory) : begin_(reinterpret_cast<uintptr_t>(memory)), cursor_(begin_) {}
        template <class T>
        void take(T*& pointer, size_t count) {
            pointer = reinterpret_cast<T*>(cursor_);
            skip<T>(count);
        }
        template <class T>
        void skip(size_t count) {
            cursor_ += (count * sizeof(T) + 63) / 64 * 64;
        }
        size_t bytes() const { return cursor_ - begin_; }

       private:
        uintptr_t begin_, cursor_;
    };

    void take_words(const ProgramView& program, bool gradient, Arena& scratch, Arena& states, Arena& kept) {
        const size_t branches = size_t(1) << program.glue_bits;
        const size_t half =
            L::vectors(program.half[1]->num_qubits > program.half[0]->num_qubits ? program.half[1]->num_qubits
                                                                                 : program.half[0]->num_qubits);
        const size_t row = half / branches;
        kept.take(gram, size_t(program.num_grams) * branches * branches);
        states.take(adjoint_gram, gradient ? branches * branches : 0);
        states.take(image, half);
        states.take(applied, half);
        states.take(overlap, row);
        states.take(flip_weight, gradient ? size_t(program.most_flips) * row : 0);
        scratch.take(word_value, size_t(program.num_words));
        scratch.take(word_cotangent, gradient ? size_t(program.num_words) : 0);
    }

    C *shared_ket_, *ket_, *last_ket_;
    int shared_kets_, last_number_;
    int most_kets_;  // that there is room for
    bool first_is_passing_;
    bool undoes_kets_;
    size_t dimension_;
};
