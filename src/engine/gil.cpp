#include "gil.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace qtm {
namespace {

constexpr auto longest_wait = std::chrono::milliseconds(100);

std::atomic<bool> is_ending{false};
std::atomic<int> num_users{0}, num_held{0};  // threads that have come here and live

thread_local bool ends_interpreter = false;

struct User {
    bool is_counted = false;
    ~User() {
        if (is_counted) num_users.fetch_sub(1);
    }
};
thread_local User user;

void count_user() {
    if (user.is_counted) return;
    user.is_counted = true;
    num_users.fetch_add(1);
#if !defined(_WIN32)
    // A child of fork() has one thread.
    static std::atomic<bool> is_told_of_forks{false};
    if (!is_told_of_forks.exchange(true))
        pthread_atfork(nullptr, nullptr, [] { num_users.store(user.is_counted ? 1 : 0); });
#endif
}

[[noreturn]] void hold() {
    num_held.fetch_add(1);
    while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

void hold_if_ending() {
    if (is_ending.load(std::memory_order_relaxed) && !ends_interpreter) hold();
}

}  // namespace

GilReleased::GilReleased() {
    count_user();
    state_ = PyEval_SaveThread();
    hold_if_ending();
}

GilReleased::~GilReleased() {
    hold_if_ending();
    try {
        PyEval_RestoreThread(state_);
    } catch (...) {  // pthread_exit()
        hold();
    }
}

void hold_other_threads() {
    ends_interpreter = true;
    is_ending.store(true);
    const int others = num_users.load() - (user.is_counted ? 1 : 0);
    if (others <= 0) return;
    PyThreadState* state = PyEval_SaveThread();
    const auto begin = std::chrono::steady_clock::now();
    while (num_held.load() < others && std::chrono::steady_clock::now() - begin < longest_wait)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    PyEval_RestoreThread(state);
}

}  // namespace qtm
