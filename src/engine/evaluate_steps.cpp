// Batches of circuits that hold matrices.
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

#include "budget.hpp"
#include "claims.hpp"
#include "evaluate.hpp"
#include "memory.hpp"
#include "processors.hpp"
#include "threads.hpp"
#include "tuning.hpp"

namespace qtm {
namespace {

// Complex products for each amplitude, in vectors: of the longest share of a thread, and some of all.
template <class Real>
double call_cost(const Steps& steps, const Kernel<Real>& kernel, int64_t samples, int num_threads) {
    const int64_t tiles = kernel.lane_bits > 0 ? samples : (samples + kernel.lanes - 1) / kernel.lanes;
    const double done = double((tiles + num_threads - 1) / num_threads) + tuning::alone * double(tiles);
    // Amplitudes come together one by one where lanes are cosets.
    const double products =
        kernel.lane_bits > 0 ? tuning::spread_steps * steps.products(kernel.lanes) / kernel.lanes : steps.products(1);
    return done * products * (kernel.lanes == kernels<Real>().first->lanes ? 1 : tuning::half_vector_of_steps);
}

// How a batch becomes pieces: of whole tiles, so that one thread that does all of them does no more than it must.
template <class Real>
struct Pieces {
    int64_t samples, tiles, count;  // samples in a tile

    Pieces(const StepSchedule<Real>& how, int64_t batch_size)
        : samples(how.kernel->lane_bits > 0 ? 1 : how.kernel->lanes),
          tiles((batch_size + samples - 1) / samples),
          count(how.num_threads == 1 ? 1 : std::min(tiles, how.num_threads * tuning::most_pieces)) {}
};

// Runs every sample: calls work(tile, piece, first sample) for every tile, with all but its outputs set.
template <class Real, class Work>
void run_tiles(const StepSchedule<Real>& how, const ProgramView& view, const Batch<Real>& batch, Mode mode,
               const Work& work) {
    const Scratch scratch(how.scratch_bytes * size_t(how.num_threads));
    const Pieces<Real> pieces(how, batch.size);
    Claims claims(1, pieces.count);
    run_in_parallel(how.num_threads, claims.total(), [&](int thread) {
        Tile<Real> tile{};
        tile.program = &view;
        tile.weights = batch.weights;
        tile.storage = {mode, false, Taped::nothing, false};
        tile.scratch = scratch.data() + how.scratch_bytes * size_t(thread);
        int64_t count = 0;
        for (int64_t piece = claims.claim(thread); piece >= 0; piece = claims.claim(thread), ++count) {
            const int64_t begin = share(pieces.tiles, piece, pieces.count);
            for (int64_t number = begin; number < share(pieces.tiles, piece + 1, pieces.count); ++number) {
                const int64_t sample = number * pieces.samples;
                tile.num_samples = std::min(pieces.samples, batch.size - sample);
                tile.inputs = batch.inputs + sample * view.num_inputs;
                tile.first = count == 0 && number == begin;
                work(tile, piece, sample);
            }
        }
        return count;
    });
}

}  // namespace

namespace {

template <class Real>
StepSchedule<Real> step_schedule_within(size_t limit, const Plan& plan, int64_t batch_size, int num_threads,
                                        Mode mode) {
    const Steps& steps = *plan.steps();
    const int num_qubits = plan.view().num_qubits;
    const double products = steps.products(1) * double(batch_size) * double(size_t(1) << num_qubits);
    const double most =
        std::min({double(num_threads), double(batch_size), products / tuning::least_products_per_thread});
    const size_t matrix_bytes = steps.bytes<Real>();
    StepSchedule<Real> best{};
    double best_cost = std::numeric_limits<double>::infinity();
    size_t least_bytes = std::numeric_limits<size_t>::max();
    const auto [first, count] = kernels<Real>();
    const bool can_spread = num_qubits > first[count - 1].lane_bits;
    // The sizes of scratch memory do not depend on what the steps hold.
    StepsView<Real> sizes{};
    sizes.most_rows = steps.most_rows();
    for (const Kernel<Real>* kernel = first; kernel < first + count; ++kernel) {
        const bool is_spread = kernel->lane_bits > 0;
        if (is_spread ? !can_spread || allowed_layouts() == Layouts::batched
                      : can_spread && allowed_layouts() == Layouts::spread)
            continue;
        const ProgramView view = plan.stepwise_view(kernel->lane_bits);
        const size_t scratch = (kernel->step_scratch_bytes(view, sizes, mode) + 63) / 64 * 64;
        for (int threads = std::max(1, int(most)); threads >= 1; --threads) {
            const size_t bytes = matrix_bytes + scratch * size_t(threads);
            least_bytes = std::min(least_bytes, bytes);
            const double cost = call_cost(steps, *kernel, batch_size, threads);
            if (bytes > limit || cost >= best_cost) continue;
            best_cost = cost;
            best = {kernel, threads, scratch, matrix_bytes};
        }
    }
    if (best.kernel == nullptr)
        throw over_budget<Real>("a circuit of " + std::to_string(num_qubits) + " qubits with matrices", least_bytes,
                                limit);
    return best;
}

// By no more threads than processors.
template <class Real>
StepSchedule<Real> step_schedule_of_call(const Plan& plan, const Batch<Real>& batch, Mode mode) {
    const auto how = step_schedule<Real>(plan, batch.size, batch.num_threads, mode);
    if (how.num_threads == 1 || batch.is_fixed) return how;
    const int most = usable_threads(how.num_threads);
    return most < how.num_threads ? step_schedule<Real>(plan, batch.size, most, mode) : how;
}

}  // namespace

template <class Real>
StepSchedule<Real> step_schedule(const Plan& plan, int64_t batch_size, int num_threads, Mode mode) {
    return within_budget(
        [&](size_t limit) { return step_schedule_within<Real>(limit, plan, batch_size, num_threads, mode); },
        [](const StepSchedule<Real>& how) { return how.matrix_bytes + how.scratch_bytes * size_t(how.num_threads); });
}

template <class Real>
void step_values(const Plan& plan, const Batch<Real>& batch, Real* values) {
    const auto how = step_schedule_of_call<Real>(plan, batch, Mode::values);
    const StepsView<Real> steps = plan.steps()->view<Real>(how.kernel->lane_bits);
    const ProgramView view = plan.stepwise_view(how.kernel->lane_bits);
    run_tiles(how, view, batch, Mode::values, [&](Tile<Real>& tile, int64_t, int64_t sample) {
        tile.values = values + sample * view.num_values;
        how.kernel->step_values(tile, steps);
    });
}

template <class Real>
void step_vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent,
                                  Derivative derivative, const uint8_t* wanted_variable, Real* input_gradient,
                                  Real* weight_gradient) {
    constexpr Mode mode = Mode::gradient_undoing_kets;
    const auto num_inputs = int64_t(plan.view().num_inputs), num_weights = int64_t(plan.view().num_weights);
    if (input_gradient != nullptr) std::fill(input_gradient, input_gradient + batch.size * num_inputs, Real(0));
    std::vector<double> sums;  // weight gradients of each piece
    if (batch.size > 0) {
        const auto how = step_schedule_of_call<Real>(plan, batch, mode);
        const StepsView<Real> steps = plan.steps()->view<Real>(how.kernel->lane_bits);
        const ProgramView view = plan.stepwise_view(how.kernel->lane_bits);
        const auto selection = plan.select(wanted_variable, derivative);
        const int first_step = plan.steps()->first_wanted(selection.angle.data());
        const auto pieces = size_t(Pieces<Real>(how, batch.size).count);
        sums.assign(pieces * size_t(num_weights), 0.0);
        run_tiles(how, view, batch, mode, [&](Tile<Real>& tile, int64_t piece, int64_t sample) {
            tile.wanted = &selection.wanted;
            tile.derivative = derivative;
            tile.cotangent = cotangent + sample * view.num_values;
            if (weight_gradient != nullptr) tile.weight_gradient = sums.data() + piece * num_weights;
            if (input_gradient != nullptr) tile.input_gradient = input_gradient + sample * num_inputs;
            how.kernel->step_vector_jacobian_product(tile, steps, first_step);
        });
    }
    for (int64_t w = 0; weight_gradient != nullptr && w < num_weights; ++w) {
        double sum = 0;
        for (size_t at = size_t(w); at < sums.size(); at += size_t(num_weights)) sum += sums[at];
        weight_gradient[w] = Real(sum);
    }
}

#define QTM_INSTANTIATE(Real)                                                                            \
    template StepSchedule<Real> step_schedule<Real>(const Plan&, int64_t, int, Mode);                    \
    template void step_values(const Plan&, const Batch<Real>&, Real*);                                   \
    template void step_vector_jacobian_product(const Plan&, const Batch<Real>&, const Real*, Derivative, \
                                               const uint8_t*, Real*, Real*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

}  // namespace qtm
