#include "processors.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <thread>

#include "cgroup.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

namespace qtm {
namespace {

using Clock = std::chrono::steady_clock;

// Those that the process is bound to; where that is not known, all.
int bound_processors() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
    return int(std::thread::hardware_concurrency());
}

// Processors of a quota: time in a period by the period, rounded up.
int processors_of(const std::string& quota, const std::string& period) {
    const double time = std::strtod(quota.c_str(), nullptr), of = std::strtod(period.c_str(), nullptr);
    if (time <= 0 || of <= 0) return 0;  // "max", -1
    return int(std::min((time + of - 1) / of, 1e6));
}

// A number that is looked up again when it is older than `life`. The first reader after that does it, the others go on
// with what is known.
class Known {
   public:
    Known(int (*look)(), Clock::duration life) : look_(look), life_(life) {}
    int value() {
        const auto now = Clock::now().time_since_epoch().count();
        Clock::rep until = until_.load(std::memory_order_relaxed);
        if (now >= until && until_.compare_exchange_strong(until, now + life_.count())) value_.store(look_());
        return value_.load(std::memory_order_relaxed);
    }

   private:
    int (*const look_)();
    const Clock::duration life_;
    std::atomic<Clock::rep> until_{std::numeric_limits<Clock::rep>::min()};
    std::atomic<int> value_{0};  // 0: not known, or none
};

std::atomic<int> assumed{0};
Known bound{bound_processors, std::chrono::milliseconds(10)};
Known quota{[] { return processor_quota(""); }, std::chrono::seconds(1)};

}  // namespace

int processor_quota(const std::string& root) {
    int least = 0;
    for (const ControlGroup& group : control_groups(root, "cpu")) {
        int found = 0;
        if (group.version == 2) {
            const std::string line = first_line(group.folder + "/cpu.max").value_or("");
            const size_t space = line.find(' ');
            if (space != std::string::npos) found = processors_of(line.substr(0, space), line.substr(space + 1));
        } else {
            found = processors_of(first_line(group.folder + "/cpu.cfs_quota_us").value_or(""),
                                  first_line(group.folder + "/cpu.cfs_period_us").value_or(""));
        }
        if (found > 0) least = least == 0 ? found : std::min(least, found);
    }
    return least;
}

int usable_threads(int num_threads) {
    if (num_threads <= 1) return num_threads;
    const int pretended = assumed.load(std::memory_order_relaxed);
    if (pretended > 0) return std::min(num_threads, pretended);
    for (const int count : {bound.value(), quota.value()})
        if (count > 0) num_threads = std::min(num_threads, count);
    return num_threads;
}

void assume_processors(int count) { assumed.store(count); }

}  // namespace qtm
