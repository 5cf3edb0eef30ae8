#include "engine/batch/part_pace.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

using engine::PartPace;

/// A pass whose parts take these seconds.
void compute(PartPace& pace, double expected, const std::vector<double>& parts) {
    pace.begin(static_cast<std::uint32_t>(parts.size()), expected);
    for (const double seconds : parts) pace.observe(seconds);
    pace.end();
}

TEST(PartPace, KnowsNothingAtFirst) {
    PartPace pace(4);
    pace.begin(4, 0.);
    EXPECT_EQ(pace.next(), 0.);
    pace.observe(2.);
    EXPECT_DOUBLE_EQ(pace.next(), 2.);
}

TEST(PartPace, TrustsTheForecastUntilPartsSayOtherwise) {
    PartPace pace(20);
    pace.begin(20, 20.);
    EXPECT_DOUBLE_EQ(pace.next(), 1.);
    for (int i = 0; i < 10; ++i) pace.observe(3.);  // the pass goes three times as slow
    EXPECT_GT(pace.next(), 2.5);
    EXPECT_LE(pace.next(), 3.);
    EXPECT_DOUBLE_EQ(pace.seconds(), 30.);
}

TEST(PartPace, LearnsWhichPartsAreLong) {
    PartPace pace(4);
    const std::vector<double> parts = {1., 5., 1., 1.};
    for (int i = 0; i < 20; ++i) compute(pace, 8., parts);
    pace.begin(4, 16.);  // of twice the rows
    for (const double part : parts) {
        EXPECT_NEAR(pace.next(), 2. * part, 0.1);
        pace.observe(2. * part);
    }
}

TEST(PartPace, APassThatEndsEarlyTeachesToo) {
    PartPace pace(4);
    for (int i = 0; i < 20; ++i) compute(pace, 7., {1., 5., 1.});
    pace.begin(3, 7.);
    pace.observe(1.);
    EXPECT_NEAR(pace.next(), 5., 0.05);
}

TEST(PartPace, KnowsOfAPartThatIsLargerThanOthers) {
    PartPace pace(5, 0.5);
    pace.begin(5, 8.);
    EXPECT_DOUBLE_EQ(pace.left(), 8.);
    for (int i = 0; i < 4; ++i) pace.skip();
    EXPECT_DOUBLE_EQ(pace.next(), 4.);
}

TEST(PartPace, WhatIsLeftCountsThePartsOfThisPassOnly) {
    PartPace pace(4);
    for (int i = 0; i < 40; ++i) compute(pace, 8., {1., 5., 1., 1.});
    pace.begin(3, 7.);
    EXPECT_NEAR(pace.left(), 7., 0.05);
    pace.observe(1.);
    EXPECT_NEAR(pace.left(), 6., 0.05);
    pace.skip();
    EXPECT_NEAR(pace.left(), 1., 0.05);
    pace.observe(1.);
    EXPECT_EQ(pace.left(), 0.);
}

TEST(PartPace, SkippedPartsAreAddedAtThePaceOfTheOthersAndTeachNothing) {
    PartPace pace(4);
    for (int i = 0; i < 40; ++i) compute(pace, 8., {1., 5., 1., 1.});
    for (int i = 0; i < 40; ++i) {
        pace.begin(4, 0.);
        pace.observe(2.);
        pace.skip();
        pace.observe(2.);
        pace.observe(2.);
        pace.end();
        EXPECT_DOUBLE_EQ(pace.seconds(), 6.);
        EXPECT_NEAR(pace.seconds_with_skipped(), 16., 0.1);
    }
}

TEST(PartPace, AClockThatStandsStillTeachesNothing) {
    PartPace pace(2);
    compute(pace, 0., {0., 0.});
    pace.begin(2, 2.);
    EXPECT_DOUBLE_EQ(pace.next(), 1.);
}

}  // namespace
