#include "base/core/rng.h"

#include <gtest/gtest.h>

#include <array>

namespace {

TEST(Rng, SameSeedSameNumbers) {
    base::Rng a(7), b(7);
    for (int i = 0; i < 100; ++i) ASSERT_EQ(a.next(), b.next());
}

TEST(Rng, BelowCoversItsRangeEvenly) {
    base::Rng rng(1);
    std::array<int, 10> counts{};
    for (int i = 0; i < 100'000; ++i) ++counts[rng.below(10)];
    for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
}

TEST(Rng, UniformStaysInHalfOpenUnitInterval) {
    base::Rng rng(2);
    for (int i = 0; i < 100'000; ++i) {
        const double value = rng.uniform();
        ASSERT_GE(value, 0.0);
        ASSERT_LT(value, 1.0);
    }
}

}  // namespace
