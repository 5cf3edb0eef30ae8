#include "engine/batch/gap_window.h"

#include <gtest/gtest.h>

namespace {

using engine::GapWindow;
using engine::TokenGaps;

base::Instant at_s(double seconds) {
    return base::Instant{static_cast<std::int64_t>(seconds * 1e9)};
}

TEST(GapWindow, TellsMedianTailAndWorst) {
    GapWindow window;
    for (int i = 0; i < 97; ++i) window.add(at_s(10), std::chrono::milliseconds(20));
    for (int i = 0; i < 3; ++i) window.add(at_s(11), std::chrono::milliseconds(500));
    const TokenGaps gaps = window.read(at_s(12));
    EXPECT_NEAR(gaps.p50_ms, 20., 2.);
    EXPECT_NEAR(gaps.p99_ms, 500., 45.);
    EXPECT_DOUBLE_EQ(gaps.max_ms, 500.);
}

TEST(GapWindow, ForgetsAfterAMinute) {
    GapWindow window;
    window.add(at_s(2), std::chrono::milliseconds(900));
    window.add(at_s(40), std::chrono::milliseconds(10));
    EXPECT_NEAR(window.read(at_s(50)).max_ms, 900., 1e-9);
    EXPECT_NEAR(window.read(at_s(66)).max_ms, 10., 1e-9);
    EXPECT_EQ(window.read(at_s(200)).max_ms, 0.);
    window.add(at_s(302), std::chrono::milliseconds(30));  // the slot of second 2, reused
    EXPECT_NEAR(window.read(at_s(303)).max_ms, 30., 1e-9);
}

TEST(GapWindow, TakesAnyGap) {
    GapWindow window;
    window.add(at_s(1), base::Duration{0});
    window.add(at_s(1), std::chrono::milliseconds(86'400'000));
    const TokenGaps gaps = window.read(at_s(1));
    EXPECT_DOUBLE_EQ(gaps.max_ms, 86'400'000.);
    EXPECT_GT(gaps.p99_ms, gaps.p50_ms);
}

}  // namespace
