// The threads that PyTorch computes with, where it has them from GNU's OpenMP or one that stands in for it. No runtime
// of our own: the one that is in the process is asked.
//
// They wait awake for the next parallel loop of PyTorch, some 10 ms, and do not offer their processors to anybody.
// Where there are as many of them as processors, the engine's own threads then find none; but these threads are there,
// and will do as well.
#pragma once

#include <chrono>
#include <functional>

namespace qtm {

// How many threads a parallel loop of the calling thread has; 0: there is no such runtime, or it is not to be asked. It
// must not be in a forked child, whose runtime waits for threads that stayed behind.
int openmp_threads();

// Calls work(rank, size) on all threads of a parallel loop, from rank 0, which is the calling thread, to size - 1.
// Returns when all are done. Within a parallel loop, there is but the calling thread.
void run_on_openmp(const std::function<void(int, int)>& work);

// For tests: every call that may have them runs on these threads.
void force_openmp(bool forces);
bool forces_openmp();

// Whether threads of this process that the engine knows nothing of have kept a processor to themselves for a while.
// One that shares it with a helper has half of it, and not all of the time.
// Told by clocks of the processor's time, which the system brings up to date every few ms.
class Watch {
   public:
    using Duration = std::chrono::nanoseconds;
    static constexpr Duration least = std::chrono::milliseconds(12), most = std::chrono::milliseconds(100);

    // Now, and the processor's time of the whole process and of those that are known.
    bool has_company(Duration now, Duration of_process, Duration of_known) {
        const Duration passed = now - begin_, others = of_process - process_ - (of_known - known_);
        if (passed < least) return false;
        const bool found = passed < most && 4 * others > passed;
        begin_ = now;
        process_ = of_process;
        known_ = of_known;
        return found;
    }
    // Whether it is time to ask.
    bool is_due(Duration now) const { return now - begin_ >= least; }

   private:
    Duration begin_{0}, process_{0}, known_{0};
};

}  // namespace qtm
