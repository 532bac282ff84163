// How many threads were worth it lately.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <utility>

namespace qtm {

// Threads may lose what they have gained lately. Once they have lost more, fewer are taken for twenty times as long as
// that: to find out again what the machine is like costs a twentieth at most. Where the next pause begins before they
// have gained what the last one was for, the machine is what it was, and they stay away for twice as long. So beside a
// program that keeps a processor to itself a team is tried less and less often, and one that loses its processor now
// and then stays; after the program has ended, it comes together again within `longest`. Then it may lose a little
// first: the system takes many calls to see that a thread belongs on another processor.
class Experience {
   public:
    using Clock = std::chrono::steady_clock;
    using Duration = Clock::duration;
    static constexpr int times_lost = 20;
    static constexpr Duration longest = std::chrono::seconds(2);
    static constexpr Duration most_credit = std::chrono::milliseconds(40);  // some time slices
    static constexpr int times_granted = 64;                                // of a pause, what may be lost after it
    static constexpr Duration short_call = std::chrono::milliseconds(1);
    static constexpr int most_passed_over = 7;  // short calls between two that are looked at

    // As many of `num_threads` as are to be taken now.
    int most(int num_threads, Clock::time_point now) const {
        const int most = most_.load(std::memory_order_relaxed);
        if (most >= num_threads || now.time_since_epoch().count() >= until_.load(std::memory_order_relaxed))
            return num_threads;
        return most;
    }

    // By the one who owns the pool, as all below: whether nobody needs to look at the next call, if it takes as long as
    // the last one. To ask the system for the processor's time, before and after, takes some hundredths of a short
    // call. So where threads have all the credit that they can have, a few are passed over, until one is seen that
    // lost.
    bool passes_over(Duration last) {
        if (credit_ < most_credit || last >= short_call || passed_over_ == most_passed_over) return false;
        ++passed_over_;
        return true;
    }

    // By how much the last of the threads has made a call shorter, less than nothing where it was longer; and how many
    // to take if that was too long.
    void add(Clock::time_point now, Duration gained, int size) {
        if (gained > Duration(0)) {
            gained_ += (1 + std::exchange(passed_over_, 0)) * gained;
            gained = std::min(gained, std::max(Duration(0), most_credit - credit_));
        }
        credit_ += gained;
        if (credit_ < Duration(0)) pause(now, -credit_, size);
    }

    // Nobody came to a call, which waited for so long. The first times they were asleep; if they come too late again,
    // something else has their processors, and to wake them in vain costs as much again.
    void add_absence(Clock::time_point now, Duration lost, int size) {
        if (++absences_ >= most_absences) add(now, -2 * lost, size);
    }
    void forget_absences() { absences_ = 0; }

    // Whether fewer threads are taken now than there are.
    bool is_away(Clock::time_point now) const { return most(std::numeric_limits<int>::max(), now) < 2; }

    // By any thread that runs calls alone meanwhile: for so long, in which it had a processor for so much of it.
    void add_alone(Clock::time_point now, Duration took, Duration own_time) {
        if (took <= Duration(0)) return;
        const double weight = double(took.count()) / double((took + memory_alone).count()),
                     share = std::min(1.0, double(own_time.count()) / double(took.count()));
        share_alone_.store((1 - weight) * share_alone(now) + weight * share, std::memory_order_relaxed);
        last_alone_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    }
    // The share of a processor that a thread without helpers gets, as was seen lately; all of one, as far as is known.
    double share_alone(Clock::time_point now) const {
        const Duration since = now.time_since_epoch() - Duration(last_alone_.load(std::memory_order_relaxed));
        return since < known_alone ? std::max(least_share, share_alone_.load(std::memory_order_relaxed)) : 1.0;
    }

   private:
    // In shorter times, shares are a matter of who was on which processor: half of one or three quarters of it in half
    // a second, beside two busy processes on two processors.
    static constexpr Duration memory_alone = std::chrono::milliseconds(500), known_alone = std::chrono::seconds(30);
    static constexpr double least_share = 0.25;
    static constexpr int most_absences = 3;

    void pause(Clock::time_point now, Duration lost, int size) {
        Duration pause = times_lost * std::min(lost, longest);
        if (gained_ < pause_ / times_lost) pause = std::max(pause, 2 * pause_);
        pause_ = std::min(pause, longest);
        gained_ = Duration(0);
        until_.store((now + pause_).time_since_epoch().count(), std::memory_order_relaxed);
        most_.store(std::max(1, size), std::memory_order_relaxed);
        credit_ = pause_ / times_granted;
        absences_ = 0;
    }

    std::atomic<int> most_{std::numeric_limits<int>::max()};
    std::atomic<Clock::rep> until_{0};
    std::atomic<double> share_alone_{1.0};
    std::atomic<Clock::rep> last_alone_{0};
    Duration pause_{0};  // the last one
    Duration credit_{0};
    Duration gained_{0};   // since then
    int absences_ = 0;     // in a row
    int passed_over_ = 0;  // calls since the last gain
};

// A call in pieces: how long it took, the processor's time that its own pieces took the calling thread, and among how
// many threads the pieces went.
struct CallInPieces {
    Experience::Duration took, own_time;
    int64_t pieces, own_pieces;
    int num_threads;
};

// By how much the last thread has made a call shorter. A thread that computes takes longer where a helper has its
// processor: so it is the processor's time that all are held against.
inline Experience::Duration time_gained(const CallInPieces& call, double share_alone = 1.0) {
    if (call.own_pieces == 0) return Experience::Duration(0);  // nobody knows how long they take
    const double all = double(call.own_time.count()) * double(call.pieces) / double(call.own_pieces);
    const double alone = all / share_alone;
    return Experience::Duration(Experience::Clock::rep(alone / (call.num_threads - 1)) - call.took.count());
}

// Whether a call, by so many threads as were wanted, took longer than pieces that do not come out even explain.
inline bool is_slow(const CallInPieces& call, int wanted) {
    const double alone = double(call.own_time.count()) * double(call.pieces);
    return alone < 0.7 * wanted * double(call.own_pieces) * double(call.took.count());
}

// A call of a team: how long it took, how much of that its members have waited for one that had lost its processor, the
// processor's time that the calling thread has worked, and how many members there were.
struct CallOfTeam {
    Experience::Duration took, lost, own_time;
    int size, size_at_end;
};

// The same for teams. They never share their work quite evenly: what that costs is the share of a third of a member.
// Short calls are not held against a share of a processor: what members that are woken at every other meeting take from
// the calling thread between calls is seen by nobody.
inline Experience::Duration time_gained(const CallOfTeam& call, double share_alone = 1.0) {
    if (call.size_at_end < call.size) return -call.lost;
    const double worked = double(std::min(call.took - call.lost, call.own_time).count()) * (call.size - 1.0 / 3);
    const double alone = call.own_time < Experience::short_call ? worked : worked / share_alone;
    return Experience::Duration(Experience::Clock::rep(alone / (call.size - 1)) - call.took.count());
}

}  // namespace qtm
