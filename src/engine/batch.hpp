// A batch, and what a forward call keeps of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "schedule.hpp"
#include "scratch.hpp"

namespace qtm {

template <class Real>
struct Batch {
    const Real* inputs;   // [size, num_inputs]
    const Real* weights;  // [num_weights]
    int64_t size;
    int num_threads;        // at most
    bool is_fixed = false;  // exactly so many, so that the last digits of a result depend on nothing else
};

// What a forward call keeps for the backward calls that follow.
template <class Real>
struct Tape {
    Schedule<Real> how;
    uint64_t plan;  // its number
    int64_t size;
    Scratch memory;
    mutable std::atomic<bool> is_spent = false;  // a backward call has undone the kets
    int team_size = 0;  // threads that shared every state, each with what it saw of it here; 0: nothing yet
    std::vector<Real> inputs{}, weights{};  // of the batch: nobody has to look at them again
};

}  // namespace qtm
