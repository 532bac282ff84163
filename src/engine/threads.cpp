#include "threads.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace qtm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto idle_life = std::chrono::seconds(2);
// The calls of a training loop follow one another closely, and waking a sleeping thread costs as much as simulating a
// small circuit: a waiting thread spins before it sleeps. Other threads, such as those of PyTorch, may have the
// processor in between; where one takes it, it is wanted, and this thread goes to sleep.
constexpr auto spin_time = std::chrono::microseconds(2000);
constexpr auto alone_time = std::chrono::microseconds(50);  // without offering the processor to others
constexpr auto yield_time = std::chrono::microseconds(20);  // an offer that took longer was accepted

template <class Condition>
bool spin_until(Condition condition) {
    const auto begin = Clock::now();
    while (true) {
        for (int i = 0; i < 64; ++i) {
            if (condition()) return true;
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
        }
        const auto now = Clock::now();
        if (now - begin < alone_time) continue;
        std::this_thread::yield();
        if (now - begin > spin_time || Clock::now() - now > yield_time) return condition();
    }
}

class ThreadPool {
   public:
    // False: the pool is busy, and nothing was done.
    bool try_run(int num_threads, const std::function<void(int)>& work) {
        const std::unique_lock<std::mutex> owner(busy_, std::try_to_lock);
        if (!owner.owns_lock()) return false;
        start(num_threads, work);
        work(0);
        const auto done = [&] { return remaining_.load(std::memory_order_acquire) == 0; };
        if (spin_until(done)) return true;
        std::unique_lock<std::mutex> lock(mutex_);
        finished_.wait(lock, done);
        return true;
    }

   private:
    // The number of the call and how many threads take part, in one word: a late worker never mixes two calls.
    static constexpr int thread_bits = 16;

    void start(int num_threads, const std::function<void(int)>& work) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const uint64_t before = call_.load(std::memory_order_relaxed);
            work_ = &work;
            remaining_.store(num_threads - 1, std::memory_order_relaxed);
            alive_.resize(std::max(alive_.size(), size_t(num_threads)), false);
            for (int i = 1; i < num_threads; ++i) {
                if (alive_[i]) continue;
                std::thread([this, i, before] { serve(i, before); }).detach();
                alive_[i] = true;
            }
            call_.store(((before >> thread_bits) + 1) << thread_bits | uint64_t(num_threads),
                        std::memory_order_release);
        }
        started_.notify_all();
    }

    void serve(int index, uint64_t seen) {
        while (true) {
            const auto called = [&] { return call_.load(std::memory_order_acquire) != seen; };
            if (!spin_until(called)) {
                std::unique_lock<std::mutex> lock(mutex_);
                if (!started_.wait_for(lock, idle_life, called)) {
                    alive_[index] = false;
                    return;
                }
            }
            seen = call_.load(std::memory_order_acquire);
            if (uint64_t(index) >= (seen & ((uint64_t(1) << thread_bits) - 1))) continue;
            (*work_)(index);
            if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                const std::lock_guard<std::mutex> lock(mutex_);
                finished_.notify_one();
            }
        }
    }

    std::mutex busy_;   // held by the caller for the length of one call
    std::mutex mutex_;  // guards alive_ and the two conditions
    std::condition_variable started_, finished_;
    std::vector<bool> alive_;
    std::atomic<uint64_t> call_{0};
    std::atomic<int> remaining_{0};
    const std::function<void(int)>* work_ = nullptr;
};

// Leaked on purpose: workers may outlive static destruction, and a forked child must not touch the locks of its parent.
ThreadPool& pool() {
    static std::atomic<ThreadPool*> instance{nullptr};
#if defined(_WIN32)
    const int64_t process = 0;
#else
    static std::atomic<int64_t> owner{-1};
    const int64_t process = getpid();
    int64_t known = owner.load();
    if (known != process) {
        auto* fresh = new ThreadPool;
        if (owner.compare_exchange_strong(known, process)) {
            instance.store(fresh);
            return *fresh;
        }
        delete fresh;
        while (instance.load() == nullptr) std::this_thread::yield();
    }
#endif
    ThreadPool* ready = instance.load();
    if (ready == nullptr) {
        auto* fresh = new ThreadPool;
        if (instance.compare_exchange_strong(ready, fresh)) return *fresh;
        delete fresh;
    }
    return *ready;
}

}  // namespace

void run_in_parallel(int num_threads, const std::function<void(int)>& work) {
    if (num_threads > 1 && pool().try_run(num_threads, work)) return;
    for (int i = 0; i < num_threads; ++i) work(i);
}

void run_as_team(int num_threads, const std::function<void(const Team&)>& work) {
    Barrier barrier(num_threads);
    const auto as_member = [&](int rank) { work({rank, num_threads, &barrier}); };
    if (num_threads <= 1 || !pool().try_run(num_threads, as_member)) work({});
}

void Barrier::wait() {
    const uint32_t round = round_.load(std::memory_order_acquire);
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        missing_.store(size_, std::memory_order_relaxed);
        round_.store(round + 1, std::memory_order_release);
        return;
    }
    const auto passed = [&] { return round_.load(std::memory_order_acquire) != round; };
    // Where there are fewer processors than threads, others need this one.
    while (!spin_until(passed)) std::this_thread::yield();
}

}  // namespace qtm
