#include "barrier.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "spin.hpp"

#if defined(__linux__)
#include <sys/resource.h>
#endif

namespace qtm {
namespace {

// Shorter waits are a matter of the length of shares; and less in all is that of an interrupt.
constexpr auto least_wait = std::chrono::microseconds(10), least_lost = std::chrono::microseconds(100);

// How often this thread has lost its processor to another.
long interruptions_of_this_thread() {
#if defined(__linux__)
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
#else
    return 0;
#endif
}

}  // namespace

void meet(Barrier& barrier, int rank) { barrier.wait(rank); }

void Barrier::begin(int size) {
    began_ = Clock::now();
    interruptions_ = interruptions_of_this_thread();
    size_ = size;
    for (int rank = 0; rank < size; ++rank) members_[size_t(rank)] = {{rank, size}, began_, {}};
    missing_.store(size, std::memory_order_relaxed);
    size_at_start_.store(size, std::memory_order_release);
}

void Barrier::wait(int rank) {
    const uint32_t round = round_.load(std::memory_order_acquire);
    Member& own = members_[size_t(rank)];
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        if (waits_in_.load(std::memory_order_acquire) == int64_t(round)) judge(rank);
        missing_.store(size_, std::memory_order_relaxed);
        round_.store(round + 1, std::memory_order_release);
        own.passed = Clock::now();
        return;
    }
    const auto passed = [&] { return round_.load(std::memory_order_acquire) != round; };
    const auto since = Clock::now();
    // Before it offers its processor: it may come back after all have met.
    if (!spin_alone(least_wait, passed)) {
        waits_since_.store(since.time_since_epoch().count(), std::memory_order_relaxed);
        worked_.store((since - own.passed).count(), std::memory_order_relaxed);
        waits_in_.store(int64_t(round), std::memory_order_release);
    }
    while (!spin_until(passed)) std::this_thread::yield();
    own.passed = Clock::now();
    own.spun += std::min<Clock::duration>(own.passed - since, least_wait + alone_time);
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
        const long interruptions = interruptions_of_this_thread();
        if (std::exchange(interruptions_, interruptions) == interruptions) return;
    }
    lost_ += lost;
    // One member less takes longer by a part of `size`; but not all that is lost is seen here.
    if (lost_ >= least_lost && 3 * lost_ * size_ > 2 * (now - began_)) dismiss(late > 0 ? late : -1);
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
