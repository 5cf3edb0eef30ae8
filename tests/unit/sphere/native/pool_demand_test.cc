// How many boxes wait, from what was asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "sphere/native/pool_demand.h"
#include "support/seeds.h"

namespace {

using namespace std::chrono_literals;
using base::Instant;
using sphere::native::PoolDemand;

TEST(PoolDemand, AFewWaitBeforeAnybodyAsks) {
    EXPECT_EQ(PoolDemand(16).wanted(Instant{}), PoolDemand::kLeast);
    EXPECT_EQ(PoolDemand(1).wanted(Instant{}), 1u);
    EXPECT_EQ(PoolDemand(0).wanted(Instant{}), 0u);
}

TEST(PoolDemand, ABurstIsRememberedForAMinuteAndThenForgotten) {
    PoolDemand demand(64);
    const Instant start{1'000'000'000};
    for (int i = 0; i < 20; ++i) demand.asked(start);
    EXPECT_EQ(demand.wanted(start), 20u);
    EXPECT_EQ(demand.wanted(start + 59s), 20u);
    EXPECT_EQ(demand.wanted(start + 61s), PoolDemand::kLeast);
}

TEST(PoolDemand, IsTheBusiestWindowOfTheLastMinuteWithinItsBounds) {
    test::for_each_seed(100, [](base::Rng& rng) {
        const auto most = static_cast<std::uint32_t>(rng.below(40));
        const auto least = static_cast<std::uint32_t>(rng.below(5));
        PoolDemand demand(most, least);
        std::vector<Instant> asks;
        Instant now{};
        for (int step = 0; step < 500; ++step) {
            now = now + std::chrono::milliseconds(rng.below(rng.below(10) == 0 ? 40'000 : 60));
            demand.asked(now);
            asks.push_back(now);
            const auto window = [](Instant at) { return at.ns / PoolDemand::kWindow.count(); };
            std::uint32_t peak = 0;
            for (const Instant begin : asks) {
                if (window(now) - window(begin) >=
                    static_cast<std::int64_t>(PoolDemand::kWindows)) {
                    continue;
                }
                peak = std::max(
                    peak, static_cast<std::uint32_t>(std::ranges::count_if(
                              asks, [&](Instant at) { return window(at) == window(begin); })));
            }
            ASSERT_EQ(demand.wanted(now), std::min(most, std::max(least, peak)));
        }
    });
}

}  // namespace
