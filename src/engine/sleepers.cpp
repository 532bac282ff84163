#include "sleepers.hpp"

#include <algorithm>
#include <climits>
#include <ctime>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace qtm {
namespace {

// Longer ones are slept in parts.
constexpr auto longest_sleep = std::chrono::seconds(3600);

}  // namespace

#if defined(__linux__)

void Sleepers::sleep(uint32_t seen, Clock::duration longest) {
    const auto left =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::min<Clock::duration>(longest, longest_sleep));
    const timespec time{time_t(left.count() / 1'000'000'000), long(left.count() % 1'000'000'000)};
    syscall(SYS_futex, &changes_, FUTEX_WAIT_PRIVATE, seen, &time, nullptr, 0);
}

void Sleepers::wake_all() {
    changes_.fetch_add(1, std::memory_order_acq_rel);
    syscall(SYS_futex, &changes_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

#else

void Sleepers::sleep(uint32_t seen, Clock::duration longest) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, std::min<Clock::duration>(longest, longest_sleep),
                      [&] { return changes_.load(std::memory_order_acquire) != seen; });
}

void Sleepers::wake_all() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        changes_.fetch_add(1, std::memory_order_acq_rel);
    }
    changed_.notify_all();
}

#endif

}  // namespace qtm
