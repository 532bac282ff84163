// When other threads of the process are seen to keep a processor, by clocks of the test's own.
#include "check.hpp"
#include "openmp.hpp"

using namespace std::chrono_literals;
using qtm::Watch;

namespace {

// A thread that computes alone all the time, in calls of a millisecond.
struct World {
    Watch watch;
    Watch::Duration now{1h}, of_process{10min}, of_thread{5min};
    bool found = false;

    // The others have so much of the processors in every millisecond.
    void pass(int calls, Watch::Duration others) {
        for (int i = 0; i < calls; ++i) {
            now += 1ms;
            of_thread += 1ms;
            of_process += 1ms + others;
            if (watch.is_due(now)) found |= watch.has_company(now, of_process, of_thread);
        }
    }
};

void a_thread_that_spins_is_company() {
    World world;
    world.pass(40, 1ms);
    CHECK(world.found);
}

void the_first_look_finds_nothing() {
    World world;
    world.pass(1, 1ms);
    CHECK(!world.found);
}

void threads_that_sleep_are_no_company() {
    World world;
    world.pass(1000, 0ms);
    CHECK(!world.found);
    world.pass(1000, 200us);  // nor are those that have less than a quarter of a processor
    CHECK(!world.found);
    world.pass(100, 300us);
    CHECK(world.found);
}

// The system adds up the time of others every few milliseconds only.
void clocks_may_be_coarse() {
    World world;
    for (int i = 0; i < 250; ++i) {
        world.pass(3, 0ms);
        world.pass(1, 4ms);
    }
    CHECK(world.found);
    World idle;
    for (int i = 0; i < 250; ++i) {
        idle.pass(39, 0ms);
        idle.pass(1, 2ms);
    }
    CHECK(!idle.found);
}

void what_was_long_ago_does_not_count() {
    World world;
    world.pass(1, 1ms);
    world.now += 1s;
    world.of_process += 1s;
    world.pass(1, 0ms);
    CHECK(!world.found);
}

void there_is_no_runtime_that_nobody_loaded() { CHECK(qtm::openmp_threads() == 0); }

}  // namespace

int main() {
    return check::run({TEST(a_thread_that_spins_is_company), TEST(the_first_look_finds_nothing),
                       TEST(threads_that_sleep_are_no_company), TEST(clocks_may_be_coarse),
                       TEST(what_was_long_ago_does_not_count), TEST(there_is_no_runtime_that_nobody_loaded)});
}
