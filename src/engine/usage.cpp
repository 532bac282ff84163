#include "usage.hpp"

#include <ctime>

#if defined(__linux__)
#include <sys/resource.h>
#endif

namespace qtm {
namespace {

using Clock = std::chrono::steady_clock;

#if defined(CLOCK_THREAD_CPUTIME_ID)
Clock::duration time_by(clockid_t clock) {
    timespec time{};
    if (clock_gettime(clock, &time) != 0) return Clock::now().time_since_epoch();
    return std::chrono::duration_cast<Clock::duration>(std::chrono::seconds(time.tv_sec) +
                                                       std::chrono::nanoseconds(time.tv_nsec));
}
#endif

}  // namespace

#if defined(CLOCK_THREAD_CPUTIME_ID)
Clock::duration time_of_thread() { return time_by(CLOCK_THREAD_CPUTIME_ID); }
Clock::duration time_of_process() { return time_by(CLOCK_PROCESS_CPUTIME_ID); }
#else
Clock::duration time_of_thread() { return Clock::now().time_since_epoch(); }
Clock::duration time_of_process() { return Clock::now().time_since_epoch(); }
#endif

Switches switches_of_thread() {
#if defined(__linux__)
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return {usage.ru_nvcsw, usage.ru_nivcsw};
#else
    return {0, 0};
#endif
}

}  // namespace qtm
