// How a batch will be run step by step.
#include <algorithm>
#include <limits>

#include "budget.hpp"
#include "costs.hpp"
#include "division.hpp"
#include "schedule.hpp"
#include "tuning.hpp"

namespace qtm {
namespace {

// Complex products for each amplitude, in vectors of full width.
template <class Real>
double products(const Steps& steps, const Kernel<Real>& kernel, int num_qubits) {
    if (!kernel.is_batched())
        return steps.products_spread(1 << kernel.lane_bits, is_jet<Real>         ? tuning::spread_series
                                                            : kernel.is_single() ? tuning::spread_steps
                                                                                 : tuning::mixed_steps);
    const int widest = kernels<Real>().first->lanes;
    if constexpr (is_jet<Real>) {
        const double penalty = memory_penalty(double(ket_bytes(kernel, num_qubits)));
        return steps.products() * kernel.lanes / widest * (1 + penalty) * older_vector(widest, kernel.lanes, penalty);
    }
    return steps.products() * (kernel.lanes == widest ? 1 : tuning::half_vector_of_steps);
}

// Of the longest share of a thread, and some of all.
template <class Real>
double division_cost(const Steps& steps, const Division<Real>& d, int num_qubits) {
    const double whole = double(d.whole) * products(steps, *d.kernel, num_qubits),
                 share = whole + (d.rest > 0 ? products(steps, *d.rest_kernel, num_qubits) : 0);
    return d.is_team ? share * (1.0 / d.num_threads + tuning::alone) : share * (1 + tuning::alone * d.num_threads);
}

template <class Real>
Schedule<Real> schedule_of(const Plan& plan, const Division<Real>& d, Mode mode) {
    Schedule<Real> how{};
    how.by_steps = true;
    how.kernel = d.kernel;
    how.rest_kernel = d.rest_kernel;
    how.plan = &plan;
    how.view = &plan.stepwise_view(d.kernel->lane_bits);
    how.rest_view = &plan.stepwise_view(d.rest_kernel->lane_bits);
    how.samples = d.samples;
    how.num_threads = d.num_threads;
    how.tiles = d.tiles();
    how.storage = {mode, false, Taped::nothing, d.is_team};
    how.pieces = pieces_of_share(d, how.storage);
    // The sizes of scratch memory do not depend on what the steps hold.
    StepsView<NumberOf<Real>> sizes{};
    sizes.most_rows = plan.steps()->most_rows();
    const size_t most = std::max(d.kernel->step_scratch_bytes(*how.view, sizes, how.storage),
                                 d.rest_kernel->step_scratch_bytes(*how.rest_view, sizes, how.storage));
    how.scratch_bytes = (most + 63) / 64 * 64;
    if (d.is_team) how.shared_bytes = d.kernel->step_shared_bytes(*how.view, how.storage);
    how.matrix_bytes = plan.steps()->bytes<NumberOf<Real>>();
    return how;
}

template <class Real>
void choose_tape(Schedule<Real>& how, size_t budget) {
    const size_t ket = ket_bytes(*how.kernel, how.view->num_qubits),
                 bytes = ket * size_t(how.tiles) * size_t(how.storage.is_team ? 1 : how.num_threads);
    if (bytes > most_taped(2 * sizeof(Real) << how.view->num_qubits, budget)) return;
    how.tape_bytes = bytes;
    how.shared_tape_bytes = how.storage.is_team ? ket : 0;
}

}  // namespace

template <class Real>
Schedule<Real> step_schedule_within(size_t limit, const Plan& plan, int64_t batch_size, int num_threads,
                                    Purpose purpose) {
    const int num_qubits = plan.view().num_qubits;
    const double work = plan.steps()->products() * double(batch_size) * double(size_t(1) << num_qubits);
    const int threads =
        std::max(1, int(std::min({double(num_threads), double(batch_size), work / tuning::least_products_per_thread})));
    const Mode mode = purpose == Purpose::values ? Mode::values : Mode::gradient_undoing_kets;
    Schedule<Real> best{};
    best.cost = std::numeric_limits<double>::infinity();
    size_t least_bytes = std::numeric_limits<size_t>::max();
    const auto [first, count] = kernels<Real>();
    Layouts allowed = allowed_layouts();
    const auto can_run = [&](const Kernel<Real>& kernel) {
        return allows(allowed, kernel) && (kernel.is_batched() || num_qubits > kernel.lane_bits);
    };
    if (std::none_of(first, first + count, can_run)) allowed = Layouts::any;
    for (const Kernel<Real>* kernel = first; kernel < first + count; ++kernel) {
        if (!can_run(*kernel)) continue;
        for (const Division<Real>& d : divisions(kernel, batch_size, threads, useful_step_team(plan, num_threads))) {
            if (!can_run(*d.rest_kernel)) continue;
            Schedule<Real> how = schedule_of(plan, d, mode);
            const size_t bytes = how.matrix_bytes + how.scratch_bytes * size_t(d.num_threads) + how.shared_bytes;
            least_bytes = std::min(least_bytes, bytes);
            how.cost = division_cost(*plan.steps(), d, num_qubits);
            if (bytes > limit || how.cost >= best.cost) continue;
            if (purpose == Purpose::recorded_gradient) choose_tape(how, limit);
            best = how;
        }
    }
    if (best.kernel == nullptr)
        throw over_budget<Real>("a circuit of " + std::to_string(num_qubits) + " qubits" +
                                    (plan.steps()->hold_matrices() ? " with matrices" : ""),
                                least_bytes, limit);
    return best;
}

#define QTM_INSTANTIATE(Real) template Schedule<Real> step_schedule_within(size_t, const Plan&, int64_t, int, Purpose);
QTM_FOR_ALL_NUMBERS(QTM_INSTANTIATE)
#undef QTM_INSTANTIATE

}  // namespace qtm
