// Threads that sleep until something has changed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#if !defined(__linux__)
#include <condition_variable>
#include <mutex>
#endif

namespace qtm {

// Whoever changes what others wait for calls `wake` afterwards, which takes nothing where nobody sleeps. On Linux no
// thread that is woken waits for the one that wakes it, which may lose its processor in that moment. In a line of the
// cache of its own: what others wait for, awake, should stay in theirs.
class alignas(64) Sleepers {
   public:
    using Clock = std::chrono::steady_clock;

    // Returns whether the condition holds, at the latest when the time is over.
    template <class Condition>
    bool sleep_until(Condition condition, Clock::duration longest = forever) {
        const auto begin = Clock::now();
        count_.fetch_add(1, std::memory_order_acq_rel);
        bool holds = false;
        while (true) {
            const uint32_t seen = changes_.load(std::memory_order_acquire);
            holds = condition();
            if (holds) break;
            const auto left = longest == forever ? forever : longest - (Clock::now() - begin);
            if (left <= Clock::duration(0)) break;
            sleep(seen, left);
        }
        count_.fetch_sub(1, std::memory_order_acq_rel);
        return holds;
    }

    void wake() {
        // A store and a load might pass each other: a sleeper that this does not see has seen what changed.
        if (count_.fetch_add(0, std::memory_order_acq_rel) > 0) wake_all();
    }

    static constexpr Clock::duration forever = Clock::duration::max();

   private:
    // Until there are other changes than those seen, or for so long, or for no reason.
    void sleep(uint32_t seen, Clock::duration longest);
    void wake_all();

    std::atomic<int> count_{0};
    std::atomic<uint32_t> changes_{0};
#if !defined(__linux__)
    std::mutex mutex_;
    std::condition_variable changed_;
#endif
};

}  // namespace qtm
