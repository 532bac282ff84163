#include "barrier.hpp"

#include <algorithm>
#include <utility>

#include "spin.hpp"
#include "usage.hpp"

namespace qtm {
namespace {

// Shorter waits are a matter of the length of shares; and less in all is that of an interrupt, or, where a thread alone
// would lose its processor as well, of some time slices.
constexpr std::chrono::nanoseconds least_wait = std::chrono::microseconds(10),
                                   least_lost = std::chrono::microseconds(100), slices = std::chrono::milliseconds(60);

}  // namespace

void meet(Barrier& barrier, int rank) { barrier.wait(rank); }

void Barrier::begin(int size) {
    began_ = Clock::now();
    interruptions_ = switches_of_thread().lost;
    size_ = size;
    for (int rank = 0; rank < size; ++rank) members_[size_t(rank)] = {{rank, size}, began_, {}};
    missing_.store(size, std::memory_order_relaxed);
    size_at_start_.store(size, std::memory_order_release);
    sleepers_.wake();
}

int Barrier::size_when_begun() {
    wait_until(sleepers_, [&] { return size_at_start_.load(std::memory_order_acquire) > 0; });
    return size_at_start_.load(std::memory_order_relaxed);
}

void Barrier::wait(int rank) {
    const uint32_t round = round_.load(std::memory_order_acquire);
    Member& own = members_[size_t(rank)];
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        if (waits_in_.load(std::memory_order_acquire) == int64_t(round)) judge(rank);
        missing_.store(size_, std::memory_order_relaxed);
        round_.store(round + 1, std::memory_order_release);
        sleepers_.wake();
        own.passed = Clock::now();
        return;
    }
    const auto passed = [&] { return round_.load(std::memory_order_acquire) != round; };
    const auto since = Clock::now();
    auto asleep_since = since;
    // Before it gives its processor away: it may come back after all have met.
    if (!spin_alone(least_wait, passed)) {
        waits_since_.store(since.time_since_epoch().count(), std::memory_order_relaxed);
        worked_.store((since - own.passed).count(), std::memory_order_relaxed);
        waits_in_.store(int64_t(round), std::memory_order_release);
        if (!spin_until(passed)) {
            asleep_since = Clock::now();
            sleepers_.sleep_until(passed);
        }
    }
    own.passed = Clock::now();
    const auto awake = (asleep_since > since ? asleep_since : own.passed) - since;
    own.spun += std::min<Clock::duration>(awake, least_wait + alone_time);
}

// Whether waiting for the one who comes last has cost more than the help of a member is worth.
void Barrier::judge(int late) {
    const auto now = Clock::now();
    const Clock::duration waited(now.time_since_epoch().count() - waits_since_.load(std::memory_order_relaxed));
    // Shares are equal, so that others need as long.
    const auto lost = waited - Clock::duration(worked_.load(std::memory_order_relaxed));
    if (is_fixed_ || lost < least_wait) return;
    if (late == 0) {
        // It does more than its share, which may be what the others wait for.
        const long interruptions = switches_of_thread().lost;
        if (std::exchange(interruptions_, interruptions) == interruptions) return;
    }
    lost_ += lost;
    // One member less takes longer by a part of `size`, and by what others take of its processor; but not all that is
    // lost is seen here.
    const double worth = share_alone_ * (1 - 2.0 / (3 * size_)), lost_so_far = double(lost_.count());
    const double least = std::max(double(least_lost.count()), (1 - share_alone_) * double(slices.count()));
    if (lost_so_far >= least && lost_so_far > (1 - worth) * double((now - began_).count()))
        dismiss(late > 0 ? late : -1);
}

// The given member, or the last one, leaves.
void Barrier::dismiss(int rank) {
    if (size_ == 1) return;
    const int position = rank < 0 ? size_ - 1 : members_[size_t(rank)].place.position;
    --size_;
    for (Member& one : members_) {
        Place& place = one.place;
        if (place.position < 0) continue;  // those that have left read it whenever they like
        place.size = size_;
        if (place.position == position)
            place.position = -1;
        else if (place.position > position)
            --place.position;
    }
}

}  // namespace qtm
