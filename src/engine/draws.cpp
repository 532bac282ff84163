#include "draws.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "claims.hpp"
#include "evaluate.hpp"
#include "processors.hpp"
#include "threads.hpp"

namespace qtm {
namespace {

// States that are computed by one thread before they are drawn from: they stay in its cache.
constexpr int64_t amplitudes_at_once = 1 << 15;
// Larger states are computed by all threads, one after the other.
constexpr int most_qubits_of_thread = 21;
// Draws that do not wait for one another.
constexpr int draws_at_once = 8;

// Uniform numbers in [0, 1): the generator SplitMix64 (Steele et al., OOPSLA 2014), any of whose numbers can be had.
class Stream {
   public:
    explicit Stream(uint64_t seed) : start_(mixed(seed)) {}

    double operator()(int64_t number) const {
        return double(mixed(start_ + (uint64_t(number) + 1) * 0x9e3779b97f4a7c15) >> 11) * 0x1p-53;
    }

   private:
    static uint64_t mixed(uint64_t x) {
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
        x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
        return x ^ (x >> 31);
    }

    uint64_t start_;
};

// Draws from one state after the other, by inversion of the distribution function.
template <class Real>
class Drawer {
   public:
    Drawer(int num_qubits, const Shots& shots) : shots_(shots), stream_(shots.seed), ends_(size_t(1) << num_qubits) {}

    // Calls take(outcomes, how many) for up to `draws_at_once` outcomes at a time.
    template <class Take>
    void draw(const Real* probability, int64_t row, const Take& take) {
        add_up(probability);
        const double norm = ends_.back();
        for (int64_t shot = 0; shot < shots_.count; shot += draws_at_once) {
            double level[draws_at_once];
            for (int i = 0; i < draws_at_once; ++i) level[i] = norm * stream_(row * shots_.count + shot + i);
            uint32_t outcomes[draws_at_once] = {};
            find(level, outcomes);
            take(outcomes, std::min<int64_t>(draws_at_once, shots_.count - shot));
        }
    }

   private:
    // Where on the way from 0 to the norm every outcome ends.
    void add_up(const Real* p) {
        const size_t count = ends_.size();
        double total = 0;
        size_t i = 0;
        for (; i + 4 <= count; i += 4) {  // a sum waits for the one before, but for one in four
            const double first = p[i], second = first + p[i + 1], third = second + p[i + 2], fourth = third + p[i + 3];
            ends_[i] = total + first;
            ends_[i + 1] = total + second;
            ends_[i + 2] = total + third;
            ends_[i + 3] = total += fourth;
        }
        for (; i < count; ++i) ends_[i] = total += p[i];
    }

    // The first outcome that ends beyond each level; without branches, which would be guessed wrong half of the time.
    void find(const double* level, uint32_t* outcome) const {
        for (uint32_t half = uint32_t(ends_.size() / 2); half > 0; half /= 2)
            for (int i = 0; i < draws_at_once; ++i) outcome[i] += ends_[outcome[i] + half - 1] <= level[i] ? half : 0;
    }

    Shots shots_;
    Stream stream_;
    std::vector<double> ends_;
};

// Adds rows of a table up, all at once: a sum would wait for the one before to be stored.
void add_all(const double* const (&value)[draws_at_once], int64_t columns, double* __restrict mean) {
    static_assert(draws_at_once == 8);
    for (int64_t i = 0; i < columns; ++i)
        mean[i] += ((value[0][i] + value[1][i]) + (value[2][i] + value[3][i])) +
                   ((value[4][i] + value[5][i]) + (value[6][i] + value[7][i]));
}

// Calls draw(drawer, probabilities, row) for every row.
template <class Real, class Draw>
void for_each_state(const Plan& plan, const Batch<Real>& batch, const Shots& shots, const Draw& draw) {
    const ProgramView& view = plan.view();
    const bool is_shared = view.num_qubits > most_qubits_of_thread;
    const int64_t rows = std::max<int64_t>(1, amplitudes_at_once >> view.num_qubits);
    const int64_t pieces = (batch.size + rows - 1) / rows;
    const int num_threads = is_shared ? 1 : usable_threads(int(std::min<int64_t>(batch.num_threads, pieces)));
    Claims claims(1, pieces);
    run_in_parallel(num_threads, pieces, [&](int thread) {
        const auto probabilities = std::make_unique<Real[]>(size_t(rows * view.num_values));
        Drawer<Real> drawer(view.num_qubits, shots);
        int64_t count = 0;
        for (int64_t piece = claims.claim(thread); piece >= 0; piece = claims.claim(thread), ++count) {
            const int64_t begin = piece * rows, end = std::min(begin + rows, batch.size);
            // The same kernels run whatever the number of threads, and round in the same way.
            const Batch<Real> part{batch.inputs + begin * view.num_inputs, batch.weights, end - begin,
                                   is_shared ? batch.num_threads : 1, batch.is_fixed};
            values<Real>(plan, part, probabilities.get());
            for (int64_t row = begin; row < end; ++row)
                draw(drawer, probabilities.get() + (row - begin) * view.num_values, row);
        }
        return count;
    });
}

}  // namespace

template <class Real>
void drawn_means(const Plan& plan, const Batch<Real>& batch, const Shots& shots, const OutcomeTable& table,
                 double* means) {
    const int64_t columns = table.columns;
    for_each_state(plan, batch, shots, [&](Drawer<Real>& drawer, const Real* probability, int64_t row) {
        double* mean = means + row * columns;
        std::fill(mean, mean + columns, 0.0);
        drawer.draw(probability, row, [&](const uint32_t* outcomes, int64_t count) {
            const double* value[draws_at_once];
            for (int64_t i = 0; i < count; ++i) value[i] = table.values + int64_t(outcomes[i]) * columns;
            if (count == draws_at_once)
                add_all(value, columns, mean);
            else
                for (int64_t i = 0; i < count; ++i)
                    for (int64_t column = 0; column < columns; ++column) mean[column] += value[i][column];
        });
        for (int64_t column = 0; column < columns; ++column) mean[column] /= double(shots.count);
    });
}

template <class Real>
void drawn_outcomes(const Plan& plan, const Batch<Real>& batch, const Shots& shots, uint32_t* outcomes) {
    for_each_state(plan, batch, shots, [&](Drawer<Real>& drawer, const Real* probability, int64_t row) {
        uint32_t* to = outcomes + row * shots.count;
        drawer.draw(probability, row,
                    [&](const uint32_t* drawn, int64_t count) { to = std::copy(drawn, drawn + count, to); });
    });
}

#define QTM_INSTANTIATE(Real)                                                                               \
    template void drawn_means(const Plan&, const Batch<Real>&, const Shots&, const OutcomeTable&, double*); \
    template void drawn_outcomes(const Plan&, const Batch<Real>&, const Shots&, uint32_t*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

}  // namespace qtm
