// The engine's own small pool of threads. No OpenMP: PyTorch brings its own runtime, and two do not share a process
// well. Workers live while they are used: an idle one ends after two seconds. A forked child starts with an empty pool.
#pragma once

#include <functional>

#include "team.hpp"

namespace qtm {

// Calls work(0), ..., work(num_threads - 1), work(0) on the calling thread, and returns when all are done. Where the
// pool is busy with a call from another thread, everything runs on the calling thread.
void run_in_parallel(int num_threads, const std::function<void(int)>& work);

// The same for threads that meet on the way; where the pool is busy, a team of one.
void run_as_team(int num_threads, const std::function<void(const Team&)>& work);

}  // namespace qtm
