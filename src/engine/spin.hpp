// Waiting awake.
#pragma once

#include <chrono>
#include <thread>

namespace qtm {

// The calls of a training loop follow one another closely, and waking a sleeping thread costs as much as simulating a
// small circuit: a waiting thread spins before it sleeps. Other threads, such as those of PyTorch, may have the
// processor in between; where one takes it, it is wanted, and this thread goes to sleep.
constexpr auto spin_time = std::chrono::microseconds(2000);
constexpr auto alone_time = std::chrono::microseconds(50);  // without offering the processor to others
constexpr auto yield_time = std::chrono::microseconds(20);  // an offer that took longer was accepted

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
    if (spin_alone(alone_time, condition)) return true;
    while (true) {
        const auto offered = Clock::now();
        std::this_thread::yield();
        if (Clock::now() - offered > yield_time || offered - begin > spin_time) return condition();
        if (spin_alone({}, condition)) return true;
    }
}

}  // namespace qtm
