// Threads that sleep and are woken.
#include <atomic>
#include <thread>
#include <vector>

#include "check.hpp"
#include "sleepers.hpp"
#include "spin.hpp"

using namespace std::chrono_literals;
using qtm::Sleepers;

namespace {

constexpr auto long_enough = 60s;  // only where a thread is not woken

void nobody_sleeps_who_need_not() {
    Sleepers sleepers;
    const auto begin = Sleepers::Clock::now();
    CHECK(sleepers.sleep_until([] { return true; }));
    CHECK(Sleepers::Clock::now() - begin < long_enough);
}

void who_is_not_woken_wakes_when_the_time_is_over() {
    Sleepers sleepers;
    int asked = 0;
    const auto begin = Sleepers::Clock::now();
    CHECK(!sleepers.sleep_until([&] { return ++asked > 1000; }, 5ms));
    CHECK(Sleepers::Clock::now() - begin >= 5ms);
    CHECK(asked >= 2);
    CHECK(!sleepers.sleep_until([] { return false; }, 0ns));
}

// As if the other thread came in that moment.
void who_is_woken_between_asking_and_sleeping_does_not_sleep() {
    Sleepers sleepers;
    bool is_open = false;
    const auto begin = Sleepers::Clock::now();
    CHECK(sleepers.sleep_until(
        [&] {
            if (is_open) return true;
            is_open = true;
            sleepers.wake();
            return false;
        },
        long_enough));
    CHECK(Sleepers::Clock::now() - begin < long_enough);
}

// Two threads that hand a number on to each other: each of them soon sleeps while the other wakes it.
void no_waking_is_lost() {
    Sleepers sleepers;
    std::atomic<int> number{0};
    constexpr int last = 40'000;
    std::atomic<bool> is_lost{false};
    const auto play = [&](int own) {
        while (true) {
            const auto is_due = [&] {
                const int now = number.load(std::memory_order_acquire);
                return now >= last || now % 2 == own;
            };
            if (!sleepers.sleep_until(is_due, long_enough)) is_lost = true;
            const int now = number.load(std::memory_order_acquire);
            if (now >= last || is_lost) return sleepers.wake();
            number.store(now + 1, std::memory_order_release);
            sleepers.wake();
        }
    };
    std::thread other(play, 1);
    play(0);
    other.join();
    CHECK(!is_lost);
    CHECK(number == last);
}

void all_who_sleep_are_woken() {
    Sleepers sleepers;
    for (int round = 0; round < 200; ++round) {
        std::atomic<bool> is_open{false};
        std::atomic<int> passed{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] { passed += sleepers.sleep_until([&] { return is_open.load(); }, long_enough); });
        is_open = true;
        sleepers.wake();
        for (std::thread& thread : threads) thread.join();
        CHECK(passed == 4);
    }
}

void a_machine_is_busy_where_threads_are_long_without_processors_again_and_again() {
    qtm::BusyMachine machine;
    auto now = Sleepers::Clock::now();
    for (int i = 0; i < 3; ++i) machine.add_absence(now += 1ms, qtm::long_time / 2);  // interrupts
    machine.add_absence(now, qtm::long_time);
    CHECK(!machine.is_so(now));
    machine.add_absence(now += 2 * qtm::again_time, qtm::long_time);
    CHECK(!machine.is_so(now));
    machine.add_absence(now += qtm::again_time / 2, qtm::long_time);
    CHECK(machine.is_so(now + qtm::busy_time / 2));
    CHECK(!machine.is_so(now + qtm::busy_time));
}

}  // namespace

int main() {
    return check::run({TEST(nobody_sleeps_who_need_not), TEST(who_is_not_woken_wakes_when_the_time_is_over),
                       TEST(who_is_woken_between_asking_and_sleeping_does_not_sleep), TEST(no_waking_is_lost),
                       TEST(all_who_sleep_are_woken),
                       TEST(a_machine_is_busy_where_threads_are_long_without_processors_again_and_again)});
}
