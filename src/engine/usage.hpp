// What threads have had of the processors.
#pragma once

#include <chrono>

namespace qtm {

// By this thread, and by the whole process.
std::chrono::steady_clock::duration time_of_thread();
std::chrono::steady_clock::duration time_of_process();

// How often this thread has given its processor away to sleep, and how often it has lost it to another, which on Linux
// is also how an offer (sched_yield) that was accepted counts.
struct Switches {
    long given, lost;
};
Switches switches_of_thread();

// What this thread has of the processors from now on, if that is asked: the system takes its time to say it.
class OwnTime {
   public:
    using Duration = std::chrono::steady_clock::duration;
    explicit OwnTime(bool is_asked) : is_asked_(is_asked), begin_(now()) {}
    bool is_asked() const { return is_asked_; }
    Duration elapsed() const { return now() - begin_; }

   private:
    Duration now() const { return is_asked_ ? time_of_thread() : Duration(0); }

    bool is_asked_;
    Duration begin_;
};

}  // namespace qtm
