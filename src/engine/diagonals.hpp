// Rotations about Z^z in a row as one pass over the state. Included by isa/*.cpp.
//
// The lowest bits of a vector's number are its place in a row, the others number the row. A mask with bits of one kind
// alone has factors by the place, or by the row: all of these are two tables, and two complex products for a vector.
// The few others are multiplied in by themselves. On the way back Im(conj(b) k) is the same before and after all of
// them, and is added up by place and by row, of which sums with signs are the moments.

template <class Real, int lanes, int lane_bits>
struct Diagonals {
    using Number = NumberOf<Real>;
    using V = Vector<Real, lanes>;
    using C = Complex<Real, lanes>;
    using L = Layout<lanes, lane_bits>;
    using Step = StepView<Number>;
    using Half = SineCosine<Real, lanes>;

    static constexpr int place_bits = 6, most_mixed = 16;
    static constexpr uint32_t places = uint32_t(1) << place_bits;

    // Scratch for a state of so many vectors.
    struct Tables {
        C *of_place, *of_row;
        V *found_by_place, *found_by_row;

        static size_t rows(size_t vectors) { return vectors <= places ? 1 : vectors / places; }
        static size_t bytes(size_t vectors) { return (places + rows(vectors)) * (sizeof(C) + sizeof(V)); }
        Tables(void* memory, size_t vectors)
            : of_place(static_cast<C*>(memory)),
              of_row(of_place + places),
              found_by_place(reinterpret_cast<V*>(of_row + rows(vectors))),
              found_by_row(found_by_place + places) {}
    };

    // By place and by row.
    static bool is_mixed(const Step& step) {
        const uint32_t z = step.z >> L::lane_bits;
        return z % places != 0 && z >= places;
    }

    // Steps begin to end, no more than most_mixed of them mixed.
    struct Run {
        const Step* step;
        int begin, end;
        const Half* half;
        size_t vectors;
        const Team& team;
        Tables tables;
        int num_mixed = 0;
        uint32_t mask[most_mixed];
        C factor[most_mixed][2];

        Run(const Step* steps, int first, int last, const Half* halves, size_t count, const Team& members, Tables room)
            : step(steps), begin(first), end(last), half(halves), vectors(count), team(members), tables(room) {
            for (int s = begin; s < end; ++s) {
                if (!is_mixed(step[s])) continue;
                mask[num_mixed] = step[s].z >> L::lane_bits;
                for (const bool is_odd : {false, true}) factor[num_mixed][is_odd] = factor_of(*this, step[s], is_odd);
                ++num_mixed;
            }
        }
        uint32_t row_places() const { return vectors < places ? uint32_t(vectors) : places; }
    };

    static void apply(const Run& run, C* state) {
        fill_tables(run);
        for_each_row(run, [&](uint32_t row, const C& of_row) {
            for (uint32_t place = 0; place < run.row_places(); ++place) {
                const uint32_t vector = row * places + place;
                state[vector] = product<false, Real, lanes>(factor(run, of_row, place, vector), state[vector]);
            }
        });
    }

    // Undone on ket and bra; calls found(step, Im<b|P|k>, each lane and member of the team its share).
    template <class Found>
    static void undo(const Run& run, C* ket, C* bra, Found found) {
        fill_tables(run);
        const Tables& tables = run.tables;
        V of_mixed[most_mixed] = {};
        for (uint32_t place = 0; place < places; ++place) tables.found_by_place[place] = V{};
        for_each_row(run, [&](uint32_t row, const C& of_row) {
            V of_all{};
            for (uint32_t place = 0; place < run.row_places(); ++place) {
                const uint32_t vector = row * places + place;
                const C k = ket[vector], b = bra[vector], turned = factor(run, of_row, place, vector);
                const V here = b.re * k.im - b.im * k.re;
                ket[vector] = product<true, Real, lanes>(turned, k);
                bra[vector] = product<true, Real, lanes>(turned, b);
                tables.found_by_place[place] += here;
                of_all += here;
                for (int i = 0; i < run.num_mixed; ++i) of_mixed[i] += parity(run.mask[i] & vector) ? V(-here) : here;
            }
            tables.found_by_row[row] = of_all;
        });
        int number = 0;
        for (int s = run.begin; s < run.end; ++s) {
            const Step& step = run.step[s];
            const V sum = is_mixed(step) ? of_mixed[number++] : signed_sum(run, step.z >> L::lane_bits);
            found(step, L::template signs<Real>(step.z) * sum);
        }
    }

   private:
    // What exp(-i angle/2 Z^z) makes of an amplitude where the parity with z is even, but for lanes, or odd.
    static C factor_of(const Run& run, const Step& step, bool is_odd) {
        const Half& half = run.half[step.angle];
        const V sine = L::template signs<Real>(step.z) * half.sine;
        return {half.cosine, is_odd ? sine : V(-sine)};
    }

    static void fill_tables(const Run& run) {
        const C one(broadcast<Real, lanes>(1), V{});
        for (uint32_t place = 0; place < run.row_places(); ++place) run.tables.of_place[place] = one;
        const auto [begin, end] = rows(run);
        for (uint64_t row = begin; row < end; ++row) run.tables.of_row[row] = one;
        for (int s = run.begin; s < run.end; ++s) {
            const Step& step = run.step[s];
            if (is_mixed(step)) continue;
            const uint32_t z = step.z >> L::lane_bits;
            const C factor[2] = {factor_of(run, step, false), factor_of(run, step, true)};
            const auto multiply = [&](C* table, uint64_t from, uint64_t to, uint32_t mask) {
                for (uint64_t i = from; i < to; ++i)
                    table[i] = product<false, Real, lanes>(factor[parity(uint32_t(i) & mask)], table[i]);
            };
            if (z < places)
                multiply(run.tables.of_place, 0, run.row_places(), z);
            else
                multiply(run.tables.of_row, begin, end, z / places);
        }
    }

    static Team::Share rows(const Run& run) { return run.team.share(Tables::rows(run.vectors)); }

    // Calls visit(row, its factor) for this thread's share.
    template <class Visit>
    static void for_each_row(const Run& run, Visit visit) {
        const auto [begin, end] = rows(run);
        for (uint64_t row = begin; row < end; ++row) visit(uint32_t(row), run.tables.of_row[row]);
    }

    [[gnu::always_inline]] static C factor(const Run& run, const C& of_row, uint32_t place, uint32_t vector) {
        C found = product<false, Real, lanes>(of_row, run.tables.of_place[place]);
        for (int i = 0; i < run.num_mixed; ++i)
            found = product<false, Real, lanes>(run.factor[i][parity(run.mask[i] & vector)], found);
        return found;
    }

    // Of what was found, by a mask of places or of rows.
    static V signed_sum(const Run& run, uint32_t z) {
        V sum{};
        if (z < places) {
            for (uint32_t place = 0; place < run.row_places(); ++place)
                sum += parity(place & z) ? V(-run.tables.found_by_place[place]) : run.tables.found_by_place[place];
            return sum;
        }
        const auto [begin, end] = rows(run);
        for (uint64_t row = begin; row < end; ++row)
            sum += parity(uint32_t(row) & z / places) ? V(-run.tables.found_by_row[row]) : run.tables.found_by_row[row];
        return sum;
    }
};
