// How many threads are taken, by a clock of the test's own.
#include "check.hpp"
#include "experience.hpp"

using namespace std::chrono_literals;
using qtm::CallInPieces;
using qtm::CallOfTeam;
using qtm::Experience;
using qtm::is_slow;
using qtm::time_gained;

namespace {

// A pool of two threads at a time of its own.
struct World {
    Experience experience;
    Experience::Clock::time_point now{1h};

    bool takes_both() const { return experience.most(2, now) == 2; }
    void lose(Experience::Duration lost) { experience.add(now, -lost, 1); }
    // How long one thread is taken from now on.
    Experience::Duration pause() {
        const auto begin = now;
        while (!takes_both()) now += 100us;
        return now - begin;
    }
};

void all_threads_are_taken_at_first() {
    const World world;
    CHECK(world.takes_both());
    CHECK(world.experience.most(64, world.now) == 64);
}

void a_loss_takes_threads_away_for_twenty_times_as_long() {
    World world;
    world.lose(4ms);
    CHECK(world.experience.most(2, world.now) == 1);
    CHECK(world.experience.most(1, world.now) == 1);
    const auto pause = world.pause();
    CHECK(pause >= 80ms && pause < 81ms);
}

void only_as_many_are_taken_away_as_are_said() {
    World world;
    world.experience.add(world.now, -4ms, 3);
    CHECK(world.experience.most(4, world.now) == 3);
    CHECK(world.experience.most(2, world.now) == 2);
    world.experience.add(world.now, -400ms, 0);
    CHECK(world.experience.most(4, world.now) == 1);
}

void few_short_calls_are_looked_at_while_threads_gain() {
    World world;
    Experience& experience = world.experience;
    CHECK(!experience.passes_over(100us));  // nobody knows yet
    experience.add(world.now, Experience::most_credit, 1);
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < Experience::most_passed_over; ++i) CHECK(experience.passes_over(100us));
        CHECK(!experience.passes_over(100us));
        experience.add(world.now, 50us, 1);
    }
    CHECK(!experience.passes_over(Experience::short_call));
    CHECK(experience.passes_over(100us));
    world.lose(50us);
    CHECK(!experience.passes_over(100us));
    CHECK(world.takes_both());
}

void a_gain_stands_for_the_calls_that_were_passed_over() {
    World world;
    Experience& experience = world.experience;
    world.lose(20ms);  // taken away for 400 ms: twice as long again, unless 20 ms are gained in between
    world.now += 400ms;
    experience.add(world.now, Experience::most_credit, 1);
    while (experience.passes_over(100us)) continue;
    experience.add(world.now, 1500us, 1);  // 8 times
    world.lose(Experience::most_credit + 1ms);
    const auto pause = world.pause();
    CHECK(pause >= 20ms && pause < 21ms);
}

void what_has_been_gained_may_be_lost() {
    World world;
    for (int i = 0; i < 8; ++i) world.experience.add(world.now, 500us, 1);
    world.lose(3ms);
    CHECK(world.takes_both());
    world.lose(1500us);
    CHECK(!world.takes_both());
    const auto pause = world.pause();  // for the half millisecond that was lost beyond
    CHECK(pause >= 10ms && pause < 11ms);
}

void gains_of_long_ago_do_not_count() {
    World world;
    for (int i = 0; i < 1000; ++i) world.experience.add(world.now, 1ms, 1);
    world.lose(Experience::most_credit);
    CHECK(world.takes_both());
    world.lose(1ms);
    CHECK(!world.takes_both());
}

void losses_that_go_on_double_the_pause() {
    World world;
    world.lose(1ms);
    auto before = world.pause();
    for (int i = 0; i < 5; ++i) {
        world.lose(before / Experience::times_granted + 1ms);
        const auto pause = world.pause();
        CHECK(pause >= 2 * before - 1ms && pause <= 2 * before + 1ms);
        before = pause;
    }
    for (int i = 0; i < 10; ++i) {
        world.lose(100ms);
        CHECK(world.pause() <= Experience::longest);
    }
    world.lose(1h);
    CHECK(world.pause() <= Experience::longest);
}

// Beside a process that keeps a processor to itself a helper comes now and then, and loses a time slice soon.
void a_hopeless_machine_costs_a_few_hundredths() {
    World world;
    Experience::Duration lost{0};
    const auto begin = world.now;
    while (world.now - begin < 60s) {
        if (!world.takes_both()) {
            world.now += 3ms;
            continue;
        }
        for (const auto gained : {500us, -4000us}) {
            world.now += 3ms - gained;
            lost -= gained;
            world.experience.add(world.now, gained, 1);
        }
    }
    CHECK(lost < 60s / 40);
}

void a_machine_that_is_good_again_is_found_to_be_so() {
    World world;
    for (int i = 0; i < 20; ++i) {
        world.lose(100ms);
        world.pause();
    }
    // The first calls may still be slow: a thread is not where it belongs at once.
    for (int i = 0; i < 60; ++i) world.lose(250us);
    CHECK(world.takes_both());
    for (int i = 0; i < 500; ++i) world.experience.add(world.now, 1ms, 1);
    // And then the first loss is a first loss.
    world.lose(Experience::most_credit + 1ms);
    const auto pause = world.pause();
    CHECK(pause >= 20ms && pause < 21ms);
}

void helpers_may_sleep_twice_in_a_row() {
    World world;
    for (int i = 0; i < 10; ++i) {
        world.experience.add_absence(world.now, 100us, 1);
        world.experience.add_absence(world.now, 100us, 1);
        CHECK(world.takes_both());
        world.experience.forget_absences();
    }
    for (int i = 0; i < 2; ++i) world.experience.add_absence(world.now, 100us, 1);
    CHECK(world.takes_both());
    world.experience.add_absence(world.now, 100us, 1);
    CHECK(!world.takes_both());
    const auto pause = world.pause();
    CHECK(pause >= 4ms && pause < 5ms);
}

void absences_that_go_on_double_the_pause() {
    World world;
    auto before = 0ns;
    for (int i = 0; i < 8; ++i) {
        while (world.takes_both()) world.experience.add_absence(world.now, 100us, 1);
        const auto pause = world.pause();
        CHECK(pause > before);
        before = pause;
    }
    CHECK(before > 100ms);
}

void pieces_are_held_against_the_time_of_the_processor() {
    CHECK(time_gained(CallInPieces{6ms, 5ms, 8, 4, 2}) == 4ms);     // 10 ms alone
    CHECK(time_gained(CallInPieces{12ms, 5ms, 8, 4, 2}) == -2ms);   // a helper kept its last piece
    CHECK(time_gained(CallInPieces{12ms, 10ms, 8, 8, 2}) == -2ms);  // or did nothing but take the processor
    CHECK(time_gained(CallInPieces{4ms, 3ms, 9, 3, 3}) == 500us);   // the third of three: 9 ms by two are 4.5
    CHECK(time_gained(CallInPieces{4ms, 0ms, 8, 0, 2}) == 0ns);
}

void a_call_is_slow_where_helpers_come_late() {
    CHECK(!is_slow(CallInPieces{5ms, 5ms, 8, 4, 2}, 2));
    CHECK(!is_slow(CallInPieces{6ms, 6ms, 3, 2, 2}, 2));  // 9 ms alone
    CHECK(is_slow(CallInPieces{7ms, 7ms, 8, 6, 2}, 2));   // 9.3 ms
    CHECK(is_slow(CallInPieces{9ms, 5ms, 8, 4, 2}, 2));   // a helper kept its last piece
    CHECK(is_slow(CallInPieces{5ms, 5ms, 8, 4, 2}, 4));   // two of four
    CHECK(!is_slow(CallInPieces{4ms, 0ms, 8, 0, 2}, 2));  // nobody knows
}

void a_team_is_held_against_one_member_less() {
    CHECK(time_gained(CallOfTeam{6ms, 0ms, 6ms, 2, 2}) == 4ms);
    CHECK(time_gained(CallOfTeam{6ms, 3ms, 6ms, 2, 2}) < 0ns);
    CHECK(time_gained(CallOfTeam{6ms, 4ms, 6ms, 2, 1}) == -4ms);
    CHECK(time_gained(CallOfTeam{6ms, 0ms, 6ms, 8, 8}) > 500us);
    CHECK(time_gained(CallOfTeam{6ms, 1ms, 6ms, 8, 8}) < 0ns);
    CHECK(time_gained(CallOfTeam{6ms, 0ms, 3ms, 2, 2}) == -1ms);  // 5 ms alone
}

// Beside busy processes a thread without helpers has but a part of a processor either.
void helpers_are_held_against_the_share_of_a_processor() {
    World world;
    CHECK(world.experience.share_alone(world.now) == 1.0);
    CHECK(!world.experience.is_away(world.now));
    world.lose(100ms);
    CHECK(world.experience.is_away(world.now));
    for (int i = 0; i < 1000; ++i) world.experience.add_alone(world.now, 9ms, 6ms);
    const double share = world.experience.share_alone(world.now);
    CHECK(share > 0.66 && share < 0.67);
    CHECK(time_gained(CallInPieces{12ms, 5ms, 8, 4, 2}, share) > 2ms);  // 15 ms alone
    CHECK(time_gained(CallOfTeam{6ms, 0ms, 3ms, 2, 2}, 0.5) == 4ms);    // 10 ms
    CHECK(time_gained(CallInPieces{1ms, 400us, 2, 1, 2}, share) > 190us);
    CHECK(time_gained(CallOfTeam{1ms, 0ms, 600us, 2, 2}, share) == 0us);  // of short calls of teams, 1 ms alone
}

void a_share_of_a_processor_is_that_of_late() {
    World world;
    world.experience.add_alone(world.now, 1s, 250ms);
    const double share = world.experience.share_alone(world.now);
    CHECK(share == 0.5);  // of what was seen before, a third counts yet
    world.now += 29s;
    CHECK(world.experience.share_alone(world.now) == share);
    world.now += 2s;
    CHECK(world.experience.share_alone(world.now) == 1.0);
    world.experience.add_alone(world.now, 0ms, 0ms);  // too short for any clock
    CHECK(world.experience.share_alone(world.now) == 1.0);
    world.experience.add_alone(world.now, 1h, 0ms);
    CHECK(world.experience.share_alone(world.now) == 0.25);
}

}  // namespace

int main() {
    return check::run(
        {TEST(all_threads_are_taken_at_first), TEST(a_loss_takes_threads_away_for_twenty_times_as_long),
         TEST(only_as_many_are_taken_away_as_are_said), TEST(few_short_calls_are_looked_at_while_threads_gain),
         TEST(a_gain_stands_for_the_calls_that_were_passed_over), TEST(what_has_been_gained_may_be_lost),
         TEST(gains_of_long_ago_do_not_count), TEST(losses_that_go_on_double_the_pause),
         TEST(a_hopeless_machine_costs_a_few_hundredths), TEST(a_machine_that_is_good_again_is_found_to_be_so),
         TEST(helpers_may_sleep_twice_in_a_row), TEST(absences_that_go_on_double_the_pause),
         TEST(pieces_are_held_against_the_time_of_the_processor), TEST(a_call_is_slow_where_helpers_come_late),
         TEST(a_team_is_held_against_one_member_less), TEST(helpers_are_held_against_the_share_of_a_processor),
         TEST(a_share_of_a_processor_is_that_of_late)});
}
