// What a call of the engine decides before it runs anything.
#pragma once

#include <cstdint>

#include "batch.hpp"
#include "processors.hpp"
#include "schedule.hpp"
#include "threads.hpp"
#include "tuning.hpp"

namespace qtm {

// Whether a call runs step by step. A team that shares a state by layers meets less often and moves fewer bytes between
// its caches; so does a state that no cache holds. Imaginary derivatives see phases, of which layers leave out others
// than steps do: where there are both, callers add those of layers.
template <class Real>
bool runs_by_steps(const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose = Purpose::gradient) {
    const Steps* steps = plan.steps();
    if (steps == nullptr) return false;
    const ProgramView& view = plan.view();
    if (view.num_layers == 0) return true;
    if (purpose == Purpose::imaginary_gradient || purpose == Purpose::several_imaginary_gradients) return false;
    if (forces_steps()) return true;
    if (batch_size == 0) return false;
    const auto how = schedule<Real>(plan, batch_size, num_threads, Purpose::gradient);
    double swept = steps->products(), by_layers = steps->layers_in_sweeps();
    if (how.storage.shares_prefix) by_layers *= double(view.num_layers - how.view->prefix_layers) / view.num_layers;
    const Kernel<Real>* kernel = how.kernel;
    if constexpr (is_jet<Real>) {
        // By layers, a tile of few samples leaves lanes empty, where steps spread them.
        const auto in_steps = step_schedule<Real>(plan, batch_size, num_threads, Purpose::gradient);
        kernel = in_steps.kernel;
        swept = (swept + steps->reading_in_sweeps()) * double(in_steps.tiles) / double(how.tiles);
        by_layers += steps->reading_in_sweeps();
        if (ket_bytes(*how.kernel, view.num_qubits) >= tuning::least_streamed)
            by_layers *= tuning::sweep_of_series_from_memory;
        if (kernel->lane_bits > 0) swept *= tuning::spread_series / kernel->lanes;
    }
    if (ket_bytes(*kernel, view.num_qubits) >= tuning::least_streamed)
        swept *= is_jet<Real> ? tuning::sweep_of_series_from_memory : tuning::sweep_from_memory;
    if (how.storage.is_team)
        swept *= useful_step_team(plan, num_threads) > 1 ? tuning::sweep_of_team : double(how.num_threads);
    return swept < by_layers;
}

// How a call will be run: by no more threads than processors, and by a team only as large as was worth it lately.
template <class Real>
Schedule<Real> schedule_of_call(const Plan& plan, const Batch<Real>& batch, Purpose purpose,
                                int64_t num_cotangents = 1) {
    const bool by_steps = runs_by_steps<Real>(plan, batch.size, batch.num_threads, purpose);
    const auto schedule_for = [&](int num_threads) {
        if (by_steps) return step_schedule<Real>(plan, batch.size, num_threads, purpose);
        return schedule<Real>(plan, batch.size, num_threads, purpose, num_cotangents);
    };
    const auto how = schedule_for(batch.num_threads);
    if (how.num_threads == 1 || batch.is_fixed) return how;
    int most = usable_threads(how.num_threads);
    if (how.storage.is_team) most = worthwhile_threads(most);
    return most < how.num_threads ? schedule_for(most) : how;
}

// The same batch for one thread.
template <class Real>
Batch<Real> alone(Batch<Real> batch) {
    batch.num_threads = 1;
    return batch;
}

}  // namespace qtm
