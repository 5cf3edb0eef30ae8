#include "engine/batch/step_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/seeds.h"

namespace {

using engine::chunk_shape;
using engine::RowShare;
using engine::SequenceWork;
using engine::StepBudget;
using engine::StepCost;
using engine::StepPlan;
using engine::StepShape;
using Shares = std::vector<RowShare>;

SequenceWork stream(std::uint32_t depth = 10) {
    return {.rows_left = 1, .depth = depth, .streams = true};
}
SequenceWork prompt(std::uint32_t tokens) {
    return {.rows_left = tokens};
}

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

Shares whole_rows(std::span<const SequenceWork> work, const StepBudget& budget,
                  const StepCost& cost) {
    return engine::plan_step(work, budget, cost).whole;
}

const StepBudget kNoClock{.rows_max = 256, .seconds_max = 1e9};

TEST(StepPlan, EveryStreamGetsARow) {
    EXPECT_EQ(whole_rows(std::vector{stream(), stream(), stream()}, kNoClock, {}),
              (Shares{{0, 1}, {1, 1}, {2, 1}}));
}

TEST(StepPlan, WithoutAStreamAPromptTakesAllRows) {
    const StepBudget tight{.rows_max = 256, .seconds_max = 0.001};
    EXPECT_EQ(whole_rows(std::vector{prompt(5000)}, tight, learned()), (Shares{{0, 256}}));
}

TEST(StepPlan, BesideAStreamAPromptGetsTheRowsThatFitTheTime) {
    const StepCost cost = learned();
    const StepBudget budget{.rows_max = 256, .seconds_max = 0.050, .prompt_rows_min = 4};
    const Shares shares = whole_rows(std::vector{prompt(5000), stream()}, budget, cost);
    ASSERT_EQ(shares.size(), 2u);
    EXPECT_NEAR(shares[0].rows, 39, 4);  // (50 - 10) / 1, less the stream's row
}

TEST(StepPlan, TheRatioIsToWhatTheStreamsAloneTake) {
    const StepBudget budget{.rows_max = 256, .gap_ratio_max = 3., .prompt_rows_min = 4};
    const Shares shares = whole_rows(std::vector{prompt(5000), stream()}, budget, learned());
    ASSERT_EQ(shares.size(), 2u);
    EXPECT_NEAR(shares[0].rows, 22, 4);  // 3 * 11 ms - 11 ms
}

TEST(StepPlan, DeeperRowsCostMoreSoFewerFit) {
    const StepBudget budget{.rows_max = 256, .seconds_max = 0.050, .prompt_rows_min = 4};
    SequenceWork deep = prompt(5000);
    deep.depth = 3000;
    const Shares shares = whole_rows(std::vector{deep, stream()}, budget, learned());
    EXPECT_NEAR(shares[0].rows, 10, 3);  // (50 - 11) / (1 + 3)
}

TEST(StepPlan, APromptNeverStopsHoweverTightTheTime) {
    const StepBudget budget{.rows_max = 256, .seconds_max = 1e-9, .prompt_rows_min = 4};
    EXPECT_EQ(whole_rows(std::vector{prompt(5000), stream()}, budget, learned()),
              (Shares{{0, 4}, {1, 1}}));
}

TEST(StepPlan, TheShortPromptGoesFirst) {
    EXPECT_EQ(whole_rows(std::vector{prompt(1000), prompt(20)}, {.rows_max = 100}, {}),
              (Shares{{0, 80}, {1, 20}}));
}

TEST(StepPlan, APromptThatWaitedItsLengthGoesFirst) {
    SequenceWork waited = prompt(1000);
    waited.passed_over = 990;
    EXPECT_EQ(whole_rows(std::vector{prompt(20), waited}, {.rows_max = 100}, {}),
              (Shares{{1, 100}}));
}

TEST(StepPlan, PriorityGoesBeforeLength) {
    SequenceWork urgent = prompt(1000);
    urgent.priority = 1;
    EXPECT_EQ(whole_rows(std::vector{prompt(20), urgent}, {.rows_max = 100}, {}),
              (Shares{{1, 100}}));
}

TEST(StepPlan, SeveralKnownTokensOfAStreamAreReadAtOnce) {
    SequenceWork forced = stream();
    forced.rows_left = 12;
    EXPECT_EQ(
        whole_rows(std::vector{prompt(1000), forced}, {.rows_max = 100, .seconds_max = 9.}, {}),
        (Shares{{0, 88}, {1, 12}}));
}

TEST(StepPlan, TakesNoMoreThanThereIsAndNeverStarves) {
    const StepCost cost = learned();
    test::for_each_seed(500, [&](base::Rng& rng) {
        std::vector<SequenceWork> work(1 + rng.below(16));
        std::uint32_t streams = 0;
        for (auto& sequence : work) {
            sequence.streams = rng.below(2) == 0;
            streams += sequence.streams ? 1 : 0;
            sequence.rows_left = static_cast<std::uint32_t>(1 + rng.below(600));
            sequence.depth = static_cast<std::uint32_t>(rng.below(4000));
            sequence.passed_over = rng.below(4000);
            sequence.priority = static_cast<std::int32_t>(rng.below(3));
        }
        StepBudget budget{.rows_max = static_cast<std::uint32_t>(20 + rng.below(300)),
                          .seconds_max = 0.001 * static_cast<double>(1 + rng.below(300)),
                          .prompt_rows_min = 4};
        const Shares shares = whole_rows(work, budget, cost);
        StepShape step;
        std::uint64_t wanted = 0, beyond_streams = 0;
        std::vector<bool> seen(work.size());
        for (const SequenceWork& sequence : work) wanted += sequence.rows_left;
        for (const RowShare& share : shares) {
            const SequenceWork& sequence = work[share.sequence];
            ASSERT_GE(share.rows, 1u);
            ASSERT_LE(share.rows, sequence.rows_left);
            step += chunk_shape(share.rows, sequence.depth);
            beyond_streams += share.rows - (sequence.streams ? 1 : 0);
            seen[share.sequence] = true;
        }
        EXPECT_LE(step.rows, budget.rows_max);
        for (std::size_t i = 0; i < work.size(); ++i) {
            EXPECT_TRUE(!work[i].streams || seen[i]);
        }
        EXPECT_TRUE(wanted == streams || beyond_streams > 0);
        EXPECT_TRUE(streams > 0 || step.rows == std::min<std::uint64_t>(wanted, budget.rows_max));
        // Out of time only by the promised minimum.
        if (streams > 0 && beyond_streams > budget.prompt_rows_min) {
            EXPECT_LE(cost.predict(step), budget.seconds_max * 1.0001);
        }
    });
}

/// Prompts of 50 tokens keep coming; the one of 2000 must still come to its end.
TEST(StepPlan, ALongPromptIsNotStarvedByShortOnes) {
    std::uint32_t left = 2000;
    std::uint64_t passed_over = 0, others = 0;
    while (left > 0) {
        SequenceWork big = prompt(left);
        big.passed_over = passed_over;
        const Shares shares =
            whole_rows(std::vector{big, prompt(50), prompt(50)}, {.rows_max = 100}, {});
        std::uint32_t own = 0, all = 0;
        for (const RowShare& share : shares) {
            all += share.rows;
            if (share.sequence == 0) own = share.rows;
        }
        left -= own;
        passed_over += all - own;
        others += all - own;
        ASSERT_LE(others, 2200u);
    }
}

/// A machine on which loading what is before a chunk takes long: 2 us for each position, against
/// 0.5 ms a row, 0.1 us for each position looked at and 10 ms for the weights.
StepCost learned_deep() {
    StepCost cost;
    for (int round = 0; round < 20; ++round) {
        for (const std::uint32_t rows : {1u, 2u, 4u, 8u, 16u, 32u, 64u, 128u, 256u}) {
            for (const std::uint32_t depth : {0u, 2000u, 8000u}) {
                const StepShape shape = chunk_shape(rows, depth);
                cost.observe(shape, 0.010 + 0.0005 * rows + 2e-6 * static_cast<double>(shape.read) +
                                        1e-7 * static_cast<double>(shape.attended));
            }
        }
    }
    return cost;
}

const StepBudget kCutting{.rows_max = 256, .gap_ratio_max = 3., .prompt_rows_min = 1, .parts = 60};

SequenceWork deep_prompt(std::uint32_t tokens) {
    return {.rows_left = tokens, .depth = 8000};
}

TEST(StepPlan, ADeepPromptIsReadInParts) {
    const StepCost cost = learned_deep();
    const StepPlan plan =
        engine::plan_step(std::vector{deep_prompt(500), stream()}, kCutting, cost);
    EXPECT_EQ(plan.whole, (Shares{{1, 1}}));
    ASSERT_TRUE(plan.in_parts.has_value());
    EXPECT_EQ(plan.in_parts->sequence, 0u);
    // Of 31.5 ms, 10.5 are the stream's; the chunk takes the rest of some steps, not of one.
    const double pass = cost.predict(chunk_shape(plan.in_parts->rows, 8000));
    EXPECT_NEAR(plan.seconds_max - plan.whole_seconds, 0.021, 0.002);
    EXPECT_GT(pass, 0.050);
    EXPECT_LT(pass, 60. / 4. * 0.021) << "a part would be much of a step";
}

TEST(StepPlan, APromptOfWhichManyRowsFitIsReadWhole) {
    const StepPlan plan =
        engine::plan_step(std::vector{prompt(500), stream()}, kCutting, learned_deep());
    EXPECT_FALSE(plan.in_parts.has_value());
    EXPECT_EQ(plan.whole.size(), 2u);
}

TEST(StepPlan, WithoutAStreamNothingIsCut) {
    const StepPlan plan =
        engine::plan_step(std::vector{deep_prompt(500)}, kCutting, learned_deep());
    EXPECT_EQ(plan.whole, (Shares{{0, 256}}));
    EXPECT_FALSE(plan.in_parts.has_value());
}

TEST(StepPlan, NothingIsCutWhereTheStreamsAloneTakeAllTheTime) {
    StepBudget tight = kCutting;
    tight.seconds_max = 0.001;
    const StepPlan plan =
        engine::plan_step(std::vector{deep_prompt(500), stream()}, tight, learned_deep());
    EXPECT_EQ(plan.whole, (Shares{{0, 1}, {1, 1}}));
    EXPECT_FALSE(plan.in_parts.has_value());
}

TEST(StepPlan, AHalfDoneChunkIsFinishedWhenTheStreamsAreGone) {
    SequenceWork half_done = deep_prompt(500);
    half_done.in_parts = true;
    const StepPlan plan = engine::plan_step(std::vector{half_done}, kCutting, learned_deep());
    EXPECT_TRUE(plan.whole.empty());
    ASSERT_TRUE(plan.in_parts.has_value());
    EXPECT_TRUE(std::isinf(plan.seconds_max));
}

TEST(StepPlan, AShortPromptIsReadBesideAHalfDoneChunk) {
    SequenceWork half_done = deep_prompt(500);
    half_done.in_parts = true;
    const StepPlan plan =
        engine::plan_step(std::vector{half_done, prompt(12), stream()}, kCutting, learned_deep());
    EXPECT_EQ(plan.whole, (Shares{{1, 12}, {2, 1}}));
    ASSERT_TRUE(plan.in_parts.has_value());
    EXPECT_EQ(plan.in_parts->sequence, 0u);
}

TEST(StepPlan, ALongPromptWaitsForTheHalfDoneChunkWhateverItsPriority) {
    SequenceWork half_done = deep_prompt(5000);
    half_done.in_parts = true;
    SequenceWork urgent = deep_prompt(300);
    urgent.priority = 1;
    const StepPlan plan =
        engine::plan_step(std::vector{half_done, urgent, stream()}, kCutting, learned_deep());
    EXPECT_EQ(plan.whole, (Shares{{2, 1}}));
    ASSERT_TRUE(plan.in_parts.has_value());
    EXPECT_EQ(plan.in_parts->sequence, 0u);
}

TEST(StepPlan, AStreamThatLostItsPlaceHasNoRowBesideItsChunk) {
    SequenceWork lost = deep_prompt(500);
    lost.streams = true;
    const StepPlan plan =
        engine::plan_step(std::vector{lost, stream(), stream()}, kCutting, learned_deep());
    EXPECT_EQ(plan.whole, (Shares{{1, 1}, {2, 1}}));
    ASSERT_TRUE(plan.in_parts.has_value());
    EXPECT_EQ(plan.in_parts->sequence, 0u);
}

TEST(StepPlan, WhatIsReadInPartsIsReadNowhereElseAndGoesOn) {
    const StepCost cost = learned_deep();
    test::for_each_seed(500, [&](base::Rng& rng) {
        std::vector<SequenceWork> work(1 + rng.below(16));
        for (auto& sequence : work) {
            sequence.streams = rng.below(2) == 0;
            sequence.rows_left =
                static_cast<std::uint32_t>(rng.below(3) == 0 ? 1 : 1 + rng.below(600));
            sequence.depth = static_cast<std::uint32_t>(rng.below(9000));
            sequence.passed_over = rng.below(4000);
            sequence.priority = static_cast<std::int32_t>(rng.below(3));
        }
        const std::size_t owner = rng.below(work.size());
        const bool half_done = rng.below(2) == 0;
        work[owner].in_parts = half_done;
        StepBudget budget = kCutting;
        budget.rows_max = static_cast<std::uint32_t>(20 + rng.below(300));
        if (rng.below(2) == 0) {
            budget.seconds_max = 0.001 * static_cast<double>(1 + rng.below(300));
        }
        const StepPlan plan = engine::plan_step(work, budget, cost);
        if (half_done) {
            ASSERT_TRUE(plan.in_parts.has_value());
            EXPECT_EQ(plan.in_parts->sequence, owner);
        }
        std::uint32_t rows = 0;
        for (const RowShare& share : plan.whole) {
            rows += share.rows;
            EXPECT_LE(share.rows, work[share.sequence].rows_left);
            EXPECT_TRUE(!plan.in_parts || share.sequence != plan.in_parts->sequence);
        }
        EXPECT_LE(rows, budget.rows_max);
        EXPECT_TRUE(rows > 0 || plan.in_parts.has_value());
        if (!plan.in_parts) return;
        EXPECT_GE(plan.in_parts->rows, 1u);
        EXPECT_LE(plan.in_parts->rows,
                  std::min(budget.rows_max, work[plan.in_parts->sequence].rows_left));
    });
}

}  // namespace
