#include "engine/batch/set_aside.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/batch/output_forecast.h"

namespace {

using engine::Candidate;
using engine::choose_victim;
using engine::OutputForecast;
using engine::swap_is_cheaper;
using engine::SwapRate;

TEST(SetAside, TheYoungestOfTheLowestPriorityGoes) {
    const std::vector<Candidate> running = {{1, 0, 4}, {9, 5, 4}, {3, 0, 4}, {7, 5, 4}};
    EXPECT_EQ(choose_victim(running), 2u);
}

TEST(SetAside, WhoFreesNothingStays) {
    EXPECT_EQ(choose_victim(std::vector<Candidate>{{1, 0, 2}, {2, 0, 0}}), 0u);
    EXPECT_EQ(choose_victim(std::vector<Candidate>{{2, 0, 0}}), std::nullopt);
    EXPECT_EQ(choose_victim({}), std::nullopt);
}

TEST(SetAside, SwapsWhenTheWayThereAndBackIsShorterThanComputing) {
    EXPECT_TRUE(swap_is_cheaper({100'000'000, 500e6, 1.0}));  // 0.4 s
    EXPECT_FALSE(swap_is_cheaper({100'000'000, 500e6, 0.3}));
    EXPECT_FALSE(swap_is_cheaper({100'000'000, 0., 100.})) << "nowhere to swap to";
    EXPECT_FALSE(swap_is_cheaper({0, 500e6, 100.})) << "nothing to carry";
}

TEST(SetAside, TheRateFollowsWhatWasMeasured) {
    SwapRate rate;
    for (int i = 0; i < 30; ++i) rate.observe(1'000'000, 0.01);
    EXPECT_NEAR(rate.bytes_per_second(), 100e6, 1e6);
    rate.observe(5, 0.);
    EXPECT_NEAR(rate.bytes_per_second(), 100e6, 1e6);
}

TEST(OutputForecast, LearnsHowLongAnswersAre) {
    OutputForecast forecast;
    EXPECT_EQ(forecast.left(0, 50), 50u) << "never more than it may";
    for (int i = 0; i < 200; ++i) forecast.observe(20);
    EXPECT_GE(forecast.left(0, 4000), 20u);
    EXPECT_LE(forecast.left(0, 4000), 40u);
    for (int i = 0; i < 200; ++i) forecast.observe(1000);
    EXPECT_GE(forecast.left(0, 4000), 900u);
}

TEST(OutputForecast, WhoIsBeyondTheForecastGoesOnForAWhile) {
    OutputForecast forecast;
    for (int i = 0; i < 200; ++i) forecast.observe(20);
    EXPECT_GE(forecast.left(500, 4000), 1u);
    EXPECT_LE(forecast.left(500, 4000), 100u);
    EXPECT_EQ(forecast.left(4000, 4000), 0u);
    EXPECT_EQ(forecast.left(3999, 4000), 1u);
}

}  // namespace
