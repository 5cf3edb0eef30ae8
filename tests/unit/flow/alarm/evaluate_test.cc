#include "flow/alarm/evaluate.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

using flow::AlarmPhase;
using flow::AlarmRule;
using flow::AlarmState;
using flow::AlarmTold;

AlarmRule rule(std::int64_t hold_ms = 0, std::int64_t clear_ms = 60'000,
               std::int64_t repeat_ms = 0) {
    AlarmRule out;
    out.name = "r";
    out.hold_ms = hold_ms;
    out.clear_ms = clear_ms;
    out.repeat_ms = repeat_ms;
    return out;
}

flow::AlarmReading reading(double value, std::uint64_t samples) {
    flow::AlarmReading out;
    out.value = value;
    out.samples = samples;
    return out;
}

TEST(AlarmStep, FiresAtOnceAndTellsOnce) {
    AlarmState state;
    EXPECT_EQ(step(rule(), true, false, 1'000, state), AlarmTold::fired);
    for (std::int64_t now = 1'000; now < 100'000; now += 1'000) {
        EXPECT_EQ(step(rule(), true, false, now, state), std::nullopt);
    }
    EXPECT_EQ(state.number, 1u);
}

TEST(AlarmStep, HoldsBeforeItFires) {
    AlarmState state;
    const AlarmRule held = rule(10'000);
    EXPECT_EQ(step(held, true, false, 1'000, state), std::nullopt);
    EXPECT_EQ(state.phase, AlarmPhase::pending);
    EXPECT_EQ(step(held, false, false, 5'000, state), std::nullopt);
    EXPECT_EQ(state.phase, AlarmPhase::quiet) << "it was not so in between";
    EXPECT_EQ(step(held, true, false, 6'000, state), std::nullopt);
    EXPECT_EQ(step(held, true, false, 15'999, state), std::nullopt);
    EXPECT_EQ(step(held, true, false, 16'000, state), AlarmTold::fired);
}

TEST(AlarmStep, ASilenceKeepsQuietAndTellsAfterwardsWhatStillFires) {
    AlarmState state;
    EXPECT_EQ(step(rule(), true, true, 1'000, state), std::nullopt);
    EXPECT_EQ(state.phase, AlarmPhase::firing);
    EXPECT_EQ(step(rule(), true, false, 2'000, state), AlarmTold::fired);
    AlarmState over;
    EXPECT_EQ(step(rule(), true, true, 1'000, over), std::nullopt);
    EXPECT_EQ(step(rule(), false, true, 2'000, over), std::nullopt);
    EXPECT_EQ(step(rule(), false, false, 90'000, over), std::nullopt)
        << "who was not told that it fired is not told that it ended";
    EXPECT_EQ(over.phase, AlarmPhase::quiet);
}

TEST(AlarmStep, RemindsUntilSomebodyTakesIt) {
    AlarmState state;
    const AlarmRule nagging = rule(0, 60'000, 100'000);
    EXPECT_EQ(step(nagging, true, false, 1, state), AlarmTold::fired);
    EXPECT_EQ(step(nagging, true, false, 100'000, state), std::nullopt);
    EXPECT_EQ(step(nagging, true, false, 100'001, state), AlarmTold::reminded);
    state.acked_ms = 100'002;
    EXPECT_EQ(step(nagging, true, false, 500'000, state), std::nullopt);
}

TEST(AlarmStep, WhatAnyHistoryTellsAlternatesAndNeverFlaps) {
    test::for_each_seed(500, [](base::Rng& rng) {
        const AlarmRule some = rule(static_cast<std::int64_t>(rng.below(3)) * 5'000,
                                    static_cast<std::int64_t>(1 + rng.below(4)) * 10'000,
                                    rng.below(2) == 0 ? 0 : 60'000);
        AlarmState state;
        std::int64_t now = 1'000'000, so_since = 0, calm_since = 0, fired_at = 0;
        bool firing = false;
        std::uint64_t number = 0;
        for (int i = 0; i < 400; ++i) {
            now += static_cast<std::int64_t>(1 + rng.below(8'000));
            const bool is_so = rng.below(3) != 0;
            so_since = is_so ? (so_since == 0 ? now : so_since) : 0;
            calm_since = is_so ? 0 : (calm_since == 0 ? now : calm_since);
            const auto told = step(some, is_so, false, now, state);
            if (told == AlarmTold::fired) {
                ASSERT_FALSE(firing);
                ASSERT_TRUE(is_so);
                ASSERT_GE(now - so_since, some.hold_ms);
                ASSERT_EQ(state.number, ++number);
                firing = true;
                fired_at = now;
            } else if (told == AlarmTold::resolved) {
                ASSERT_TRUE(firing);
                ASSERT_NE(calm_since, 0);
                ASSERT_GE(now - calm_since, some.clear_ms);
                ASSERT_GE(now - fired_at, some.clear_ms);
                firing = false;
            } else if (told == AlarmTold::reminded) {
                ASSERT_TRUE(firing && is_so);
                ASSERT_NE(some.repeat_ms, 0);
            }
            ASSERT_EQ(firing, state.phase == AlarmPhase::firing);
            // What is kept is all there is: after a restart it goes on the same way.
            ASSERT_EQ(flow::alarm_state_from(flow::to_json(state)), state);
            AlarmState again = state;
            ASSERT_EQ(step(some, is_so, false, now, again), std::nullopt)
                << "the same reading tells nothing again";
            ASSERT_EQ(again, state);
        }
    });
}

TEST(AlarmStep, AClockThatGoesBackHoldsNothingUp) {
    AlarmState state;
    const AlarmRule held = rule(10'000, 20'000);
    step(held, true, false, 9'000'000, state);
    step(held, true, false, 1'000, state);
    EXPECT_EQ(step(held, true, false, 11'000, state), AlarmTold::fired);
    step(held, false, false, 12'000, state);
    step(held, false, false, 500, state);
    EXPECT_EQ(step(held, false, false, 20'500, state), AlarmTold::resolved);
}

TEST(AlarmBreach, AFailureRateNeedsRunsAndEndsBelowALowerMark) {
    AlarmRule rate;
    rate.what = AlarmRule::What::failure_rate;
    rate.limit = 0.2;
    rate.at_least = 5;
    EXPECT_FALSE(breached(rate, reading(1, 4), false));
    EXPECT_TRUE(breached(rate, reading(0.2, 5), false));
    EXPECT_FALSE(breached(rate, reading(0.19, 100), false));
    EXPECT_TRUE(breached(rate, reading(0.19, 100), true));
    EXPECT_FALSE(breached(rate, reading(0.15, 100), true));
    EXPECT_FALSE(breached(rate, {}, true)) << "nothing ended within the window";
}

}  // namespace
