// Waiting: awake, and then asleep.
#pragma once

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>

#include "sleepers.hpp"

namespace qtm {

// The calls of a training loop follow one another closely, and waking a sleeping thread costs as much as simulating a
// small circuit: a waiting thread spins before it sleeps. Other threads, such as those of PyTorch, may have the
// processor in between; where one takes it, it is wanted, and this thread goes to sleep.
constexpr auto spin_time = std::chrono::microseconds(2000);
constexpr auto alone_time = std::chrono::microseconds(50);  // without offering the processor to others
constexpr auto yield_time = std::chrono::microseconds(20);  // an offer that took longer was accepted

// Where others take it for long again and again, the machine is busy. There, for a while, threads that wait go to sleep
// almost at once: a system that shares processors fairly gives a thread that has slept a processor as soon as it is
// woken, and one that has spun, or offered its own, only when the others have had as much.
constexpr auto long_time = std::chrono::milliseconds(1);
constexpr auto again_time = std::chrono::milliseconds(100), busy_time = std::chrono::milliseconds(250);
constexpr auto brief_time = std::chrono::microseconds(10);  // that a thread spins there

class BusyMachine {
   public:
    using Clock = std::chrono::steady_clock;

    bool is_so(Clock::time_point now) const { return rep(now) < until_.load(std::memory_order_relaxed); }
    // By a thread that had offered its processor, and has been without it for so long.
    void add_absence(Clock::time_point now, Clock::duration time) {
        if (time < long_time) return;
        const auto last = last_.exchange(rep(now), std::memory_order_relaxed);
        if (last >= rep(now - again_time)) until_.store(rep(now + busy_time), std::memory_order_relaxed);
    }

   private:
    static Clock::rep rep(Clock::time_point time) { return time.time_since_epoch().count(); }

    std::atomic<Clock::rep> last_{std::numeric_limits<Clock::rep>::min()},
        until_{std::numeric_limits<Clock::rep>::min()};
};
inline BusyMachine busy_machine;

// Without offering the processor. Returns whether the condition holds, at the latest when the time is over.
template <class Condition>
bool spin_alone(std::chrono::steady_clock::duration time, Condition condition) {
    const auto begin = std::chrono::steady_clock::now();
    while (true) {
        for (int i = 0; i < 64; ++i) {
            if (condition()) return true;
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
        }
        if (std::chrono::steady_clock::now() - begin >= time) return condition();
    }
}

// Returns whether the condition holds, at the latest when another thread has taken the processor, or after a while.
template <class Condition>
bool spin_until(Condition condition) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    if (busy_machine.is_so(begin)) return spin_alone(brief_time, condition);
    if (spin_alone(alone_time, condition)) return true;
    while (true) {
        const auto offered = Clock::now();
        std::this_thread::yield();
        const auto now = Clock::now();
        busy_machine.add_absence(now, now - offered);
        if (now - offered > yield_time || offered - begin > spin_time) return condition();
        if (spin_alone({}, condition)) return true;
    }
}

// Until the condition holds, whose changes wake the sleepers.
template <class Condition>
void wait_until(Sleepers& sleepers, Condition condition) {
    if (!spin_until(condition)) sleepers.sleep_until(condition);
}

}  // namespace qtm
