// The engine's own small pool of threads. No OpenMP: PyTorch brings its own runtime, and two do not share a process
// well. Workers live while they are used: an idle one ends after two seconds. A forked child starts with an empty pool.
//
// Nobody is waited for who has not begun: a thread may find its processor taken, or not be started at all. Where it is
// PyTorch whose threads keep the processors, awake between its own parallel loops, these are asked instead
// (openmp.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "team.hpp"

namespace qtm {

// Calls work(0) on the calling thread and, meanwhile, work(1) to work(num_threads - 1) on those of the pool that come
// while it runs. All share the same `total` pieces of work: `work` takes pieces until none is left, and returns how
// many it took. Where the pool is busy with a call from another thread, the calling thread does everything.
void run_in_parallel(int num_threads, int64_t total, const std::function<int64_t(int)>& work);

// How large a team is wanted.
struct TeamSize {
    int most, least;  // of the calling thread and those of the pool
    bool is_fixed;    // waits for all, however long it takes; otherwise members may leave on the way
    std::chrono::nanoseconds patience{};  // with those who have not come yet
};

// What became of a team: none (size 0), or of so many members at the beginning and at the end.
struct TeamResult {
    int size = 0, size_at_end = 0;
};

// The same for threads that meet on the way. Does nothing where too few have come.
TeamResult run_as_team(const TeamSize& wanted, const std::function<void(const Team&)>& work);

// As many of `num_threads` as were worth it lately: threads that others had to wait for cost more than they bring.
int worthwhile_threads(int num_threads);

// Whether calls of this thread go to the threads of PyTorch at present.
bool borrows_threads();

}  // namespace qtm
