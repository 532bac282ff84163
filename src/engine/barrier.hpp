// Where the members of a team meet.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "sleepers.hpp"
#include "team.hpp"

namespace qtm {

// One that loses its processor keeps the others waiting for a time slice, at every meeting. So where waiting has cost
// more than a member is worth, the one who is late leaves the team, and the others go on with larger shares.
class Barrier {
   public:
    // Of `most` members at most; where it is fixed, nobody leaves. Without the others, a thread would have such a share
    // of a processor.
    Barrier(int most, bool is_fixed, double share_alone = 1.0)
        : is_fixed_(is_fixed), share_alone_(share_alone), members_(size_t(most)) {}

    // Before the first meeting, by member 0.
    void begin(int size);
    // How many they are, once member 0 has begun.
    int size_when_begun();

    void wait(int rank);

    const Place* place(int rank) const { return &members_[size_t(rank)].place; }
    // What waiting has cost since the beginning.
    std::chrono::nanoseconds lost() const { return lost_; }
    // How long member 0 has waited awake, with nothing to do.
    std::chrono::nanoseconds spun() const { return members_[0].spun; }
    std::chrono::nanoseconds elapsed() const { return Clock::now() - began_; }

   private:
    using Clock = std::chrono::steady_clock;

    struct alignas(64) Member {
        Place place{-1, 0};
        Clock::time_point passed{};        // the last meeting
        std::chrono::nanoseconds spun{0};  // up to then
    };

    void judge(int late);
    void dismiss(int rank);

    const bool is_fixed_;
    const double share_alone_;
    std::vector<Member> members_;
    // Of the one who arrives last, who hands them on to the next.
    Clock::time_point began_{};
    std::chrono::nanoseconds lost_{0};
    long interruptions_ = 0;  // of member 0, up to now
    int size_ = 0;

    Sleepers sleepers_;
    alignas(64) std::atomic<int> size_at_start_{0};
    std::atomic<int> missing_{0};
    std::atomic<uint32_t> round_{0};
    // The last round that somebody waited in for so long that it counts, since when, and how long it had worked.
    std::atomic<int64_t> waits_in_{-1}, waits_since_{0}, worked_{0};
};

}  // namespace qtm
