// Inner products of the states of a batch.
#include "gram.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <type_traits>

#include "budget.hpp"
#include "claims.hpp"
#include "dispatch.hpp"
#include "evaluate.hpp"
#include "memory.hpp"
#include "processors.hpp"
#include "scratch.hpp"
#include "threads.hpp"
#include "tuning.hpp"
#include "tuning/gram.hpp"

namespace qtm {
namespace {

template <class Real>
const GramKernel<Real>& kernel_in_use() {
    if constexpr (std::is_same_v<Real, float>)
        return *gram_kernels().of_float;
    else
        return *gram_kernels().of_double;
}

// How the products of some states are computed, and where what they take lies in its memory.
template <class Real>
struct Shape {
    const GramKernel<Real>& kernel;
    int64_t count, amplitudes;  // states, and amplitudes of each
    int64_t panels, pairs;
    int64_t at_once;  // amplitudes whose panels stay in the second cache while all of them are multiplied

    Shape(int64_t num_states, int num_qubits)
        : kernel(kernel_in_use<Real>()),
          count(num_states),
          amplitudes(int64_t(1) << num_qubits),
          panels((num_states + kernel.lanes - 1) / kernel.lanes),
          pairs(panels * (panels + 1) / 2),
          at_once(std::clamp<int64_t>(int64_t(tuning::most_panel_bytes / (2 * sizeof(Real))) / (panels * kernel.lanes),
                                      least_at_once, amplitudes)) {}

    size_t panel_length() const { return size_t(2 * at_once * kernel.lanes); }
    size_t sums_length() const { return size_t(2 * kernel.lanes * kernel.lanes); }
    size_t length() const { return size_t(panels) * panel_length() + size_t(pairs) * sums_length(); }

   private:
    static constexpr int64_t least_at_once = 1;
};

// Does all pieces of a task: alone, or with others.
using Run = std::function<void(int64_t pieces, const std::function<void(int64_t piece)>& work)>;

void run_alone(int64_t pieces, const std::function<void(int64_t)>& work) {
    for (int64_t piece = 0; piece < pieces; ++piece) work(piece);
}

Run among(int num_threads) {
    return [num_threads](int64_t pieces, const std::function<void(int64_t)>& work) {
        Claims claims(1, pieces);
        run_in_parallel(num_threads, pieces, [&](int thread) {
            int64_t count = 0;
            for (int64_t piece = claims.claim(thread); piece >= 0; piece = claims.claim(thread), ++count) work(piece);
            return count;
        });
    };
}

// The products of one group of states.
template <class Real>
class Products {
   public:
    Products(const Shape<Real>& shape, Real* memory)
        : shape_(shape), panel_(memory), sums_(memory + size_t(shape.panels) * shape.panel_length()) {}

    // Where only real parts are wanted, those of the first panel have both: it is few of many.
    void compute(const Run& run, const Real* states, bool is_real, Real* products) {
        std::fill_n(sums_, size_t(shape_.pairs) * shape_.sums_length(), Real(0));
        for (int64_t begin = 0; begin < shape_.amplitudes; begin += shape_.at_once) {
            const int64_t amplitudes = std::min(shape_.at_once, shape_.amplitudes - begin);
            run(shape_.panels, [&](int64_t panel) { pack(states, panel, begin, amplitudes); });
            run((shape_.pairs + pairs_at_once - 1) / pairs_at_once, [&](int64_t piece) {
                const int64_t last = std::min(shape_.pairs, (piece + 1) * pairs_at_once);
                for (int64_t pair = piece * pairs_at_once; pair < last; ++pair) {
                    const auto [left, right] = panels_of(pair);
                    shape_.kernel.add(panel(left), panel(right), size_t(amplitudes), is_real && left > 0, sums(pair));
                    if (begin + amplitudes == shape_.amplitudes) write(pair, left, right, is_real, products);
                }
            });
        }
    }

   private:
    static constexpr int64_t pairs_at_once = 4;

    struct Pair {
        int64_t left, right;
    };

    Real* panel(int64_t number) const { return panel_ + size_t(number) * shape_.panel_length(); }
    Real* sums(int64_t pair) const { return sums_ + size_t(pair) * shape_.sums_length(); }

    // Pairs are counted by their left panels, which meet themselves and all that follow.
    Pair panels_of(int64_t pair) const {
        int64_t left = 0;
        while (pair >= shape_.panels - left) pair -= shape_.panels - left++;
        return {left, left + pair};
    }

    void pack(const Real* states, int64_t number, int64_t begin, int64_t amplitudes) const {
        const int64_t first = number * shape_.kernel.lanes;
        const size_t stride = size_t(2 * shape_.amplitudes);
        const auto rows = int(std::min<int64_t>(shape_.kernel.lanes, shape_.count - first));
        shape_.kernel.pack(states + size_t(first) * stride + size_t(2 * begin), stride, rows, size_t(2 * amplitudes),
                           panel(number));
    }

    // Each product, and its conjugate on the other side of the diagonal.
    void write(int64_t pair, int64_t left, int64_t right, bool is_real, Real* products) const {
        const int64_t lanes = shape_.kernel.lanes, count = shape_.count;
        const Real* from = sums(pair);
        for (int64_t i = left * lanes; i < std::min((left + 1) * lanes, count); ++i, from += 2 * lanes)
            for (int64_t j = std::max(i, right * lanes); j < std::min((right + 1) * lanes, count); ++j) {
                const bool is_left_out = i == j || (is_real && i > 0);
                const Real re = from[j - right * lanes], im = is_left_out ? Real(0) : from[lanes + j - right * lanes];
                Real *above = products + 2 * (i * count + j), *below = products + 2 * (j * count + i);
                above[0] = below[0] = re;
                below[1] = -im;
                above[1] = im;
            }
    }

    const Shape<Real>& shape_;
    Real *panel_, *sums_;
};

template <class Real>
int useful_threads(const Shape<Real>& shape, int64_t groups, int num_threads) {
    const double products = double(groups * shape.pairs) * double(shape.amplitudes) * shape.kernel.lanes;
    return usable_threads(std::max(1, int(std::min(double(num_threads), products / tuning::least_work_per_thread))));
}

}  // namespace

template <class Real>
void gram(const Plan& plan, const Batch<Real>& batch, int64_t count, bool is_real, Real* products) {
    if (batch.size == 0) return;
    const Shape<Real> shape(count, plan.view().num_qubits);
    const int64_t groups = batch.size / count;
    const int num_threads = batch.is_fixed ? batch.num_threads : useful_threads(shape, groups, batch.num_threads);
    const bool shares_groups = groups >= 2 * num_threads;
    const size_t of_states = size_t(batch.size) * size_t(plan.view().num_values),
                 all = of_states + shape.length() * size_t(shares_groups ? num_threads : 1);
    if (all * sizeof(Real) > last_memory_budget() && all * sizeof(Real) > memory_budget())
        throw over_budget<Real>("inner products of " + std::to_string(batch.size) + " states of " +
                                    std::to_string(plan.view().num_qubits) + " qubits",
                                all * sizeof(Real), memory_budget());
    const Scratch scratch(all * sizeof(Real));
    Real* const states = reinterpret_cast<Real*>(scratch.data());
    values<Real>(plan, batch, states);

    const size_t state_length = size_t(count) * size_t(plan.view().num_values), length = size_t(2 * count * count);
    const auto compute = [&](const Run& run, int64_t group, Real* memory) {
        Products<Real>(shape, memory)
            .compute(run, states + size_t(group) * state_length, is_real, products + size_t(group) * length);
    };
    if (!shares_groups) {
        const Run run = num_threads == 1 ? Run(run_alone) : among(num_threads);
        for (int64_t group = 0; group < groups; ++group) compute(run, group, states + of_states);
        return;
    }
    Claims claims(1, groups);
    run_in_parallel(num_threads, groups, [&](int thread) {
        int64_t done = 0;
        for (int64_t group = claims.claim(thread); group >= 0; group = claims.claim(thread), ++done)
            compute(run_alone, group, states + of_states + size_t(thread) * shape.length());
        return done;
    });
}

#define QTM_INSTANTIATE(Real) template void gram(const Plan&, const Batch<Real>&, int64_t, bool, Real*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

}  // namespace qtm
