// What a call of the engine decides before it runs anything.
#pragma once

#include <cstdint>
#include <stdexcept>

#include "batch.hpp"
#include "costs.hpp"
#include "processors.hpp"
#include "schedule.hpp"
#include "threads.hpp"

namespace qtm {

// How a call will be run: by no more threads than processors, and than were worth it lately. A batch that is cut for
// more keeps its digits as long as fewer, who take all pieces, have hardly more to do than if it were cut for them.
template <class Real>
Schedule<Real> schedule_of_call(const Plan& plan, const Batch<Real>& batch, Purpose purpose,
                                int64_t num_cotangents = 1) {
    auto how = schedule<Real>(plan, batch.size, batch.num_threads, purpose, num_cotangents);
    if (how.num_threads == 1 || batch.is_fixed) return how;
    const int usable = usable_threads(how.num_threads), most = worthwhile_threads(usable);
    if (usable < how.num_threads) how = schedule<Real>(plan, batch.size, usable, purpose, num_cotangents);
    if (most >= how.num_threads) return how;
    const auto fewer = schedule<Real>(plan, batch.size, most, purpose, num_cotangents);
    return how.storage.is_team || how.work > most_work_of_few * fewer.work ? fewer : how;
}

inline void require_no_steps(const Plan& plan) {
    if (plan.steps() != nullptr) throw std::invalid_argument("circuits that hold matrices have no series");
}

// The same batch for one thread.
template <class Real>
Batch<Real> alone(Batch<Real> batch) {
    batch.num_threads = 1;
    return batch;
}

}  // namespace qtm
