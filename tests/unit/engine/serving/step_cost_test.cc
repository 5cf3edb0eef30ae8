#include "engine/batch/step_cost.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

using engine::chunk_shape;
using engine::StepCost;
using engine::StepShape;

/// A machine that takes 10 ms for the weights, 1 ms a row and 1 us for each position looked at.
double machine_seconds(const StepShape& shape) {
    return 0.010 + 0.001 * shape.rows + 1e-6 * static_cast<double>(shape.attended);
}

StepCost learned() {
    StepCost cost;
    for (int round = 0; round < 20; ++round) {
        for (const std::uint32_t rows : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u, 256u}) {
            for (const std::uint32_t depth : {0u, 1000u}) {
                const StepShape shape = chunk_shape(rows, depth);
                cost.observe(shape, machine_seconds(shape));
            }
        }
    }
    return cost;
}

TEST(StepCost, SeparatesRowsFromDepthAlthoughBothGrowTogether) {
    StepCost cost;
    for (std::uint32_t depth = 0; depth < 8000; depth += 40) {  // one long prompt, then decoding
        const StepShape shape = chunk_shape(40, depth);
        cost.observe(shape, machine_seconds(shape));
    }
    for (std::uint32_t depth = 8000; depth < 8100; ++depth) {
        const StepShape shape = chunk_shape(1, depth);
        cost.observe(shape, machine_seconds(shape));
    }
    for (const std::uint32_t depth : {0u, 2000u, 7000u}) {
        const StepShape shape = chunk_shape(40, depth);
        EXPECT_NEAR(cost.predict(shape) / machine_seconds(shape), 1., 0.1) << depth;
    }
}

TEST(StepCost, TellsLoadingPositionsFromLookingAtThem) {
    const auto seconds = [](const StepShape& shape) {
        return 0.010 + 0.001 * shape.rows + 1e-6 * static_cast<double>(shape.read) +
               5e-7 * static_cast<double>(shape.attended);
    };
    StepCost cost;
    for (std::uint32_t depth = 0; depth < 8000; depth += 400) {
        for (const std::uint32_t rows : {4u, 64u}) {
            const StepShape shape = chunk_shape(rows, depth);
            cost.observe(shape, seconds(shape));
        }
    }
    for (const std::uint32_t rows : {4u, 16u, 40u, 64u}) {
        const StepShape shape = chunk_shape(rows, 6000);
        EXPECT_NEAR(cost.predict(shape) / seconds(shape), 1., 0.1) << rows;
    }
}

TEST(StepCost, OneSlowStepDoesNotMoveThePrediction) {
    StepCost cost = learned();
    const double before = cost.predict(chunk_shape(32, 0));
    cost.observe(chunk_shape(32, 0), 5.);
    EXPECT_LT(cost.predict(chunk_shape(32, 0)), before * 1.3);
}

TEST(StepCost, FollowsAMachineThatBecameSlower) {
    StepCost cost = learned();
    for (int i = 0; i < 12; ++i) {
        cost.observe(chunk_shape(1, 0), 2. * machine_seconds(chunk_shape(1, 0)));
    }
    // Only decoding was seen since; chunks are expected to be slower too.
    const StepShape chunk = chunk_shape(128, 0);
    EXPECT_GT(cost.predict(chunk), 1.15 * machine_seconds(chunk));
    for (int i = 0; i < 60; ++i) {
        cost.observe(chunk_shape(1, 0), 2. * machine_seconds(chunk_shape(1, 0)));
        cost.observe(chunk, 2. * machine_seconds(chunk));
    }
    EXPECT_NEAR(cost.predict(chunk) / machine_seconds(chunk), 2., 0.2);
}

TEST(StepCost, WhatIsUsualOutlastsASlowSpell) {
    StepCost cost;
    const StepShape row = chunk_shape(1, 0);
    for (int i = 0; i < 400; ++i) cost.observe(row, 0.010);
    for (int i = 0; i < 30; ++i) cost.observe(row, 0.020);
    EXPECT_GT(cost.predict(row), 0.016);
    EXPECT_LT(cost.usual(row), 0.012);
    for (int i = 0; i < 3000; ++i) cost.observe(row, 0.020);  // it stays slow
    EXPECT_NEAR(cost.usual(row), 0.020, 0.001);
    for (int i = 0; i < 60; ++i) cost.observe(row, 0.010);
    EXPECT_LT(cost.usual(row), 0.012) << "a faster machine is believed soon";
}

TEST(StepCost, NeverPredictsLessForMore) {
    test::for_each_seed(100, [](base::Rng& rng) {
        StepCost cost;
        for (int i = 0; i < 200; ++i) {
            const StepShape shape = chunk_shape(static_cast<std::uint32_t>(1 + rng.below(256)),
                                                static_cast<std::uint32_t>(rng.below(8000)));
            const double noise = 0.5 + static_cast<double>(rng.below(1000)) / 500.;
            cost.observe(shape, machine_seconds(shape) * noise);
        }
        double last = 0.;
        for (std::uint32_t rows = 1; rows <= 400; ++rows) {
            const double seconds = cost.predict(chunk_shape(rows, 100));
            ASSERT_GE(seconds, last * (1. - 1e-12)) << rows;
            last = seconds;
        }
    });
}

TEST(StepCost, RowsWithinIsTheMostThatFits) {
    const StepCost cost = learned();
    const StepShape others = chunk_shape(1, 500);
    const std::uint32_t rows = cost.rows_within(0.1, others, 1000, 256);
    const auto seconds = [&](std::uint32_t n) {
        return cost.predict(others + chunk_shape(n, 1000));
    };
    EXPECT_GT(rows, 0u);
    EXPECT_LE(seconds(rows), 0.1);
    EXPECT_GT(seconds(rows + 1), 0.1);
    EXPECT_EQ(cost.rows_within(1e-6, others, 1000, 256), 0u);
    EXPECT_EQ(cost.rows_within(100., others, 1000, 256), 256u);
}

TEST(StepCost, PrefillTimeIsTheSumOfItsSteps) {
    const StepCost cost = learned();
    double sum = 0.;
    for (std::uint32_t depth = 0; depth < 1024; depth += 128) {
        sum += machine_seconds(chunk_shape(128, depth));
    }
    EXPECT_NEAR(cost.prefill_seconds(1024, 0, 128) / sum, 1., 0.1);
}

}  // namespace
