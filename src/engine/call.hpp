// What a call of the engine decides before it runs anything.
#pragma once

#include <cstdint>
#include <stdexcept>

#include "batch.hpp"
#include "processors.hpp"
#include "schedule.hpp"
#include "threads.hpp"
#include "tuning.hpp"

namespace qtm {

// How a call will be run: by no more threads than processors, and by a team only as large as was worth it lately.
template <class Real>
Schedule<Real> schedule_of_call(const Plan& plan, const Batch<Real>& batch, Purpose purpose,
                                int64_t num_cotangents = 1) {
    const auto how = schedule<Real>(plan, batch.size, batch.num_threads, purpose, num_cotangents);
    if (how.num_threads == 1 || batch.is_fixed) return how;
    int most = usable_threads(how.num_threads);
    if (how.storage.is_team) most = worthwhile_threads(most);
    return most < how.num_threads ? schedule<Real>(plan, batch.size, most, purpose, num_cotangents) : how;
}

// Whether a call runs step by step. Teams share states by layers alone, so that many threads of a large state may be
// faster by these, where there are both; a step takes longer than a layer, as it leaves no tape. Imaginary derivatives
// see phases, of which layers leave out others than steps do: where there are both, callers add those of layers.
template <class Real>
bool runs_by_steps(const Plan& plan, int64_t batch_size, int num_threads, Derivative derivative = Derivative::real) {
    if (plan.steps() == nullptr) return false;
    if (plan.view().num_layers == 0) return true;
    if (derivative == Derivative::imaginary) return false;
    if (forces_steps()) return true;
    if (batch_size == 0) return false;
    const auto how = schedule<Real>(plan, batch_size, num_threads, Purpose::gradient);
    const int team = how.storage.is_team ? how.num_threads : 1;
    return tuning::layers_of_step * team * plan.steps()->products(1) < plan.view().num_layers;
}

inline void require_no_matrices(const Plan& plan) {
    if (plan.steps() != nullptr && plan.steps()->hold_matrices())
        throw std::invalid_argument("circuits that hold matrices have no series");
}

// The same batch for one thread.
template <class Real>
Batch<Real> alone(Batch<Real> batch) {
    batch.num_threads = 1;
    return batch;
}

}  // namespace qtm
