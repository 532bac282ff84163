#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "barrier.hpp"
#include "experience.hpp"
#include "openmp.hpp"
#include "sleepers.hpp"
#include "spin.hpp"
#include "usage.hpp"

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace qtm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto idle_life = std::chrono::seconds(2);
constexpr auto time_between_failures = std::chrono::seconds(1);  // to start threads that cannot be started

// The number of a call, how many threads of the pool it takes, how many have joined it and how many of these have left
// again, in one word: who comes late never mixes two calls.
struct Call {
    uint16_t number, wanted, joined, left;

    static Call from(uint64_t word) {
        return {uint16_t(word >> 48), uint16_t(word >> 32), uint16_t(word >> 16), uint16_t(word)};
    }
    uint64_t word() const {
        return uint64_t(number) << 48 | uint64_t(wanted) << 32 | uint64_t(joined) << 16 | uint64_t(left);
    }
    bool is_closed() const { return wanted == joined; }
    bool is_left() const { return left == joined; }
};
constexpr int most_threads = 1 << 15;

class ThreadPool {
   public:
    // One call at a time.
    std::mutex& owner() { return owner_; }
    Experience& experience() { return experience_; }
    // Likewise of the threads of PyTorch.
    Experience& borrowed_experience() { return borrowed_experience_; }
    // How long the last call took.
    Clock::duration& last_call() { return last_call_; }
    // The processor's time that threads of the pool have had, up to the last calls that they joined.
    Clock::duration time_of_helpers() const {
        return Clock::duration(time_of_helpers_.load(std::memory_order_relaxed));
    }

    // Opens a call: from now on, `num_helpers` threads may call work(index, rank), with an index of their own from 1 on
    // and a rank in the order in which they join. Returns how many there can be.
    int open(int num_helpers, const std::function<void(int, int)>& work) {
        int num_alive = 0;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const Call before = Call::from(call_.load(std::memory_order_relaxed));
            work_ = &work;
            num_alive = start_threads(num_helpers, before.number);
            const Call next{uint16_t(before.number + 1), uint16_t(num_helpers), 0, 0};
            call_.store(next.word(), std::memory_order_release);
        }
        started_.wake();
        return num_alive;
    }
    // For so many helpers, at the latest until the time is over.
    void wait_until_joined(int count, Clock::duration longest) {
        const auto have_come = [&] { return Call::from(call_.load(std::memory_order_acquire)).joined >= count; };
        if (longest == Sleepers::forever) return wait_until(joined_, have_come);
        // Who has to be given this processor to come is no help, unless others have had that as well.
        if (!busy_machine.is_so(Clock::now()))
            spin_alone(longest, have_come);
        else if (!spin_alone(brief_time, have_come))
            joined_.sleep_until(have_come, longest);
    }
    // From now on nobody joins any more. Returns how many have.
    int close() {
        uint64_t word = call_.load(std::memory_order_relaxed);
        while (true) {
            Call call = Call::from(word);
            call.wanted = call.joined;
            if (call_.compare_exchange_weak(word, call.word(), std::memory_order_acq_rel)) return call.joined;
        }
    }
    void wait_until_left() {
        wait_until(left_, [&] { return Call::from(call_.load(std::memory_order_acquire)).is_left(); });
    }

   private:
    // Returns how many of the first `count` are there. Where the system gives no more threads, those must do.
    int start_threads(int count, uint16_t seen) {
        alive_.resize(std::max(alive_.size(), size_t(count) + 1), false);
        const auto first = alive_.begin() + 1, last = first + count;
        const auto num_alive = int(std::count(first, last, true));
        if (num_alive == count || Clock::now() < next_try_) return num_alive;
        for (int i = 1; i <= count; ++i) {
            if (alive_[size_t(i)]) continue;
            try {
                std::thread([this, i, seen] { serve(i, seen); }).detach();
            } catch (const std::system_error&) {
                next_try_ = Clock::now() + time_between_failures;
                return int(std::count(first, last, true));
            } catch (const std::bad_alloc&) {
                next_try_ = Clock::now() + time_between_failures;
                return int(std::count(first, last, true));
            }
            alive_[size_t(i)] = true;
        }
        return count;
    }

    void serve(int index, uint16_t seen) {
        auto had = Clock::duration(0);
        while (true) {
            const auto called = [&] { return Call::from(call_.load(std::memory_order_acquire)).number != seen; };
            if (!spin_until(called) && !started_.sleep_until(called, idle_life)) {
                const std::lock_guard<std::mutex> lock(mutex_);
                if (!called()) {
                    alive_[size_t(index)] = false;
                    return;
                }
            }
            uint64_t word = call_.load(std::memory_order_acquire);
            seen = Call::from(word).number;
            const int rank = join(index, word);
            if (rank == 0) continue;
            (*work_)(index, rank);
            leave();
            const auto has = time_of_thread();
            time_of_helpers_.fetch_add((has - std::exchange(had, has)).count(), std::memory_order_relaxed);
        }
    }

    // Returns the rank; 0: the call is closed, or does not need this one.
    int join(int index, uint64_t word) {
        const uint16_t number = Call::from(word).number;
        while (true) {
            Call call = Call::from(word);
            if (call.number != number || call.is_closed() || index > call.wanted) return 0;
            ++call.joined;
            if (!call_.compare_exchange_weak(word, call.word(), std::memory_order_acq_rel)) continue;
            joined_.wake();
            return call.joined;
        }
    }

    void leave() {
        const Call call = Call::from(call_.fetch_add(1, std::memory_order_acq_rel) + 1);
        if (call.is_closed() && call.is_left()) left_.wake();
    }

    std::mutex owner_;
    std::mutex mutex_;  // guards alive_
    Sleepers started_, joined_, left_;
    std::vector<bool> alive_;
    Clock::time_point next_try_{};
    alignas(64) std::atomic<uint64_t> call_{0};
    std::atomic<Clock::rep> time_of_helpers_{0};
    const std::function<void(int, int)>* work_ = nullptr;
    Experience experience_, borrowed_experience_;
    Clock::duration last_call_{0};
};

// Leaked on purpose: workers may outlive static destruction, and a forked child must not touch the locks of its parent.
std::atomic<ThreadPool*> current_pool{nullptr};

ThreadPool& pool() {
    ThreadPool* ready = current_pool.load(std::memory_order_acquire);
    if (ready != nullptr) return *ready;
#if !defined(_WIN32)
    // A child of fork() has none of these threads. It may have the number of its parent, in a PID namespace of its own.
    static std::atomic<bool> is_told_of_forks{false};
    if (!is_told_of_forks.exchange(true))
        pthread_atfork(nullptr, nullptr, [] { current_pool.store(nullptr, std::memory_order_relaxed); });
#endif
    auto* fresh = new ThreadPool;
    if (current_pool.compare_exchange_strong(ready, fresh)) return *fresh;
    delete fresh;
    return *ready;
}

// Whether the calls of this thread go to the threads of PyTorch, which have kept the processors of the pool's; and how
// that is found out. Each thread that has parallel loops has such threads of its own.
thread_local bool borrows = false;
thread_local Watch watch;

bool borrows_now(int num_threads) {
    if (forces_openmp()) return num_threads > 1 && num_threads <= openmp_threads();
    return borrows && num_threads > 1 && num_threads <= openmp_threads() &&
           pool().borrowed_experience().most(num_threads, Clock::now()) == num_threads;
}

// Where helpers are worth little: whether it is threads of this process that have their processors.
void look_for_company(Clock::time_point now) {
    const auto time = now.time_since_epoch();
    if (watch.is_due(time) && openmp_threads() > 1)
        borrows = watch.has_company(time, time_of_process(), time_of_thread() + pool().time_of_helpers());
}

// By the owner of the pool: a call has been so much shorter. Where they are no help either, they are given back.
void add_borrowed(ThreadPool& crew, Clock::duration gained) {
    const auto now = Clock::now();
    crew.borrowed_experience().add(now, gained, 1);
    borrows = crew.borrowed_experience().most(2, now) == 2;
}

// Sees, from time to time, what share of a processor the calling thread gets while helpers stay away.
class AloneWatch {
   public:
    void look(Experience& experience) {
        const auto now = Clock::now();
        if (now - since_ < least) return;
        const auto had = time_of_thread();
        const long given = switches_of_thread().given;
        // A thread that has slept might have had more.
        if (has_begun_ && given == given_) experience.add_alone(now, now - since_, had - had_);
        has_begun_ = true;
        since_ = now;
        had_ = had;
        given_ = given;
    }
    // The thread has had helpers up to now. What these have taken of its processor is made good first.
    void begin_anew(Clock::time_point now) {
        has_begun_ = false;
        since_ = now + settling_time;
    }

   private:
    static constexpr auto least = std::chrono::milliseconds(1), settling_time = std::chrono::milliseconds(30);

    bool has_begun_ = false;
    Clock::time_point since_{};
    Clock::duration had_{0};
    long given_ = 0;
};
thread_local AloneWatch alone_watch;

// On the calling thread. The share of a processor that it gets while helpers stay away is what they will be held
// against.
void run_alone(const std::function<int64_t(int)>& work) {
    ThreadPool* crew = current_pool.load(std::memory_order_acquire);
    if (crew == nullptr || !crew->experience().is_away(Clock::now())) {
        work(0);
        return;
    }
    alone_watch.look(crew->experience());
    work(0);
    alone_watch.look(crew->experience());
}

// As `run_in_parallel`, on threads of PyTorch.
void run_borrowed(ThreadPool& crew, int num_threads, int64_t total, const std::function<int64_t(int)>& work) {
    CallInPieces call{{}, {}, total, 0, 1};
    const auto begin = Clock::now();
    const OwnTime own(true);
    run_on_openmp([&](int rank, int size) {
        if (rank >= num_threads) return;
        const int64_t pieces = work(rank);
        if (rank > 0) return;
        call.own_pieces = pieces;
        call.own_time = own.elapsed();
        call.num_threads = std::min(size, num_threads);
    });
    call.took = Clock::now() - begin;
    if (call.num_threads > 1) add_borrowed(crew, time_gained(call));
}

// As `run_as_team`, likewise; does nothing where these are fewer than is the least.
TeamResult run_as_borrowed_team(ThreadPool& crew, const TeamSize& wanted,
                                const std::function<void(const Team&)>& work) {
    Barrier barrier(wanted.most, false);
    TeamResult result;
    Clock::time_point own_end{};
    Clock::duration own_time{};
    const auto begin = Clock::now();
    const OwnTime own(true);
    run_on_openmp([&](int rank, int most) {
        const int size = std::min(most, wanted.most);
        if (size < wanted.least || rank >= size) return;
        if (rank == 0) barrier.begin(size);
        barrier.size_when_begun();
        work({rank, &barrier, barrier.place(rank)});
        if (rank > 0) return;
        own_end = Clock::now();
        own_time = own.elapsed();
        result.size = size;
    });
    const auto end = Clock::now();
    if (result.size == 0) return {};
    result.size_at_end = barrier.place(0)->size;
    if (result.size > 1) {
        const CallOfTeam call{end - begin, barrier.lost() + (end - own_end), own_time - barrier.spun(), result.size,
                              result.size_at_end};
        add_borrowed(crew, time_gained(call));
    }
    return result;
}

}  // namespace

int worthwhile_threads(int num_threads) {
    if (num_threads <= 1 || borrows_now(num_threads)) return num_threads;
    const auto now = Clock::now();
    const int most = pool().experience().most(num_threads, now);
    if (most >= num_threads) return most;
    look_for_company(now);
    return borrows_now(num_threads) ? num_threads : most;
}

bool borrows_threads() { return borrows || forces_openmp(); }

void run_in_parallel(int num_threads, int64_t total, const std::function<int64_t(int)>& work) {
    num_threads = std::min(worthwhile_threads(num_threads), most_threads);
    if (num_threads <= 1) return run_alone(work);
    ThreadPool& crew = pool();
    const std::unique_lock<std::mutex> owner(crew.owner(), std::try_to_lock);
    if (!owner.owns_lock()) {
        work(0);
        return;
    }
    if (borrows_now(num_threads)) return run_borrowed(crew, num_threads, total, work);
    const std::function<void(int, int)> help = [&](int index, int) { work(index); };
    const bool is_passed_over = crew.experience().passes_over(crew.last_call());
    const auto begin = Clock::now();
    crew.open(num_threads - 1, help);
    const auto opened = Clock::now();
    const OwnTime own(!is_passed_over);
    const int64_t own_pieces = work(0);
    const auto own_time = own.elapsed();
    const int num_helpers = crew.close();
    crew.wait_until_left();
    const auto end = Clock::now();
    crew.last_call() = end - begin;
    if (num_helpers == 0) {
        crew.experience().add_absence(end, opened - begin, 1);
        look_for_company(end);
        return;
    }
    crew.experience().forget_absences();
    alone_watch.begin_anew(end);
    if (is_passed_over) return;
    const CallInPieces call{end - begin, own_time, total, own_pieces, num_helpers + 1};
    crew.experience().add(end, time_gained(call, crew.experience().share_alone(end)), num_helpers);
    if (is_slow(call, num_threads)) look_for_company(end);
}

TeamResult run_as_team(const TeamSize& wanted, const std::function<void(const Team&)>& work) {
    ThreadPool& crew = pool();
    std::unique_lock<std::mutex> owner(crew.owner(), std::defer_lock);
    if (wanted.is_fixed)
        owner.lock();
    else if (!owner.try_lock())
        return {};
    if (!wanted.is_fixed && borrows_now(wanted.most)) {
        const TeamResult borrowed = run_as_borrowed_team(crew, wanted, work);
        if (borrowed.size > 0) return borrowed;
    }
    const int most = std::min(wanted.most, most_threads);
    Barrier barrier(most, wanted.is_fixed, crew.experience().share_alone(Clock::now()));
    const std::function<void(int, int)> help = [&](int, int rank) {
        if (rank < barrier.size_when_begun()) work({rank, &barrier, barrier.place(rank)});
    };
    const int num_helpers = crew.open(most - 1, help);
    const auto begin = Clock::now();
    const OwnTime own(crew.last_call() >= Experience::short_call || busy_machine.is_so(begin));
    crew.wait_until_joined(num_helpers, wanted.patience);
    if (wanted.is_fixed) crew.wait_until_joined(num_helpers, Sleepers::forever);
    const int size = crew.close() + 1;
    if (size < wanted.least) {
        barrier.begin(1);
        crew.wait_until_left();
        const auto end = Clock::now();
        crew.experience().add_absence(end, end - begin, size);
        return {};
    }
    crew.experience().forget_absences();
    alone_watch.begin_anew(begin);
    barrier.begin(size);
    work({0, &barrier, barrier.place(0)});
    const auto own_end = Clock::now();
    const auto worked = own.elapsed() - barrier.spun();
    crew.wait_until_left();
    const int size_at_end = barrier.place(0)->size;
    const auto end = Clock::now();
    const auto took = crew.last_call() = end - begin;
    const CallOfTeam call{took, barrier.lost() + (end - own_end), own.is_asked() ? worked : took, size, size_at_end};
    crew.experience().add(end, time_gained(call, crew.experience().share_alone(end)), std::min(size_at_end, size - 1));
    return {size, size_at_end};
}

}  // namespace qtm
