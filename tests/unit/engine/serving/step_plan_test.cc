#include "engine/batch/step_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "support/seeds.h"

namespace {

using engine::plan_step;
using engine::RowShare;
using Shares = std::vector<RowShare>;

TEST(StepPlan, DecodingSequencesGetOneRowEach) {
    EXPECT_EQ(plan_step(std::vector<std::uint32_t>{1, 1, 1}, 8, 0),
              (Shares{{0, 1}, {1, 1}, {2, 1}}));
}

TEST(StepPlan, ALongPromptNeverStopsDecoding) {
    EXPECT_EQ(plan_step(std::vector<std::uint32_t>{5000, 1}, 256, 0), (Shares{{0, 255}, {1, 1}}));
}

TEST(StepPlan, PromptsShareEquallyAndLeaveTheRest) {
    EXPECT_EQ(plan_step(std::vector<std::uint32_t>{1000, 10, 1000}, 100, 0),
              (Shares{{0, 45}, {1, 10}, {2, 45}}));
}

TEST(StepPlan, TheTurnDecidesWhoGetsScarceRows) {
    const std::vector<std::uint32_t> waiting = {9, 9, 9};
    EXPECT_EQ(plan_step(waiting, 2, 0), (Shares{{0, 1}, {1, 1}}));
    EXPECT_EQ(plan_step(waiting, 2, 1), (Shares{{1, 1}, {2, 1}}));
    EXPECT_EQ(plan_step(waiting, 2, 2), (Shares{{0, 1}, {2, 1}}));
}

TEST(StepPlan, UsesAllRowsThereIsWorkForAndNoMore) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::vector<std::uint32_t> left(1 + rng.below(16));
        for (auto& tokens : left) {
            tokens = rng.below(2) == 0 ? 1 : static_cast<std::uint32_t>(1 + rng.below(600));
        }
        const auto rows_max = static_cast<std::uint32_t>(left.size() + 1 + rng.below(300));
        const Shares shares = plan_step(left, rows_max, rng.next());
        std::uint64_t wanted = 0, given = 0;
        for (const std::uint32_t tokens : left) wanted += tokens;
        std::vector<bool> seen(left.size());
        for (const RowShare& share : shares) {
            ASSERT_GE(share.rows, 1u);
            ASSERT_LE(share.rows, left[share.sequence]);
            given += share.rows;
            seen[share.sequence] = true;
        }
        EXPECT_EQ(given, std::min<std::uint64_t>(wanted, rows_max));
        for (std::size_t i = 0; i < left.size(); ++i) EXPECT_TRUE(left[i] > 1 || seen[i]);
    });
}

}  // namespace
