#include "engine/graph/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace {

using engine::make_rope_table;
using engine::RopeScaling;
using engine::RopeSpec;

RopeSpec plain() {
    RopeSpec spec;
    spec.rot_dim = 64;
    spec.base = 10'000.f;
    spec.context_original = 4096;
    return spec;
}

TEST(RopeTable, PlainFrequenciesFallGeometrically) {
    const auto table = make_rope_table(plain());
    ASSERT_EQ(table.inv_freq.size(), 32u);
    EXPECT_FLOAT_EQ(table.inv_freq[0], 1.f);
    EXPECT_FLOAT_EQ(table.inv_freq[16], 0.01f);
    EXPECT_FLOAT_EQ(table.magnitude, 1.f);
}

TEST(RopeTable, LinearScalingDividesEveryFrequency) {
    RopeSpec spec = plain();
    spec.scaling = RopeScaling::linear;
    spec.factor = 4.f;
    const auto table = make_rope_table(spec);
    for (std::size_t i = 0; i < table.inv_freq.size(); ++i) {
        EXPECT_FLOAT_EQ(table.inv_freq[i], make_rope_table(plain()).inv_freq[i] / 4.f);
    }
}

TEST(RopeTable, NoneIgnoresTheFactor) {
    RopeSpec spec = plain();
    spec.factor = 4.f;
    EXPECT_EQ(make_rope_table(spec).inv_freq, make_rope_table(plain()).inv_freq);
}

TEST(RopeTable, NtkKeepsTheFastestAndStretchesTheSlowest) {
    RopeSpec spec = plain();
    spec.ntk_alpha = 8.f;
    const auto table = make_rope_table(spec);
    EXPECT_FLOAT_EQ(table.inv_freq.front(), 1.f);
    // alpha^(d / (d - 2)) is chosen so that the slowest frequency shrinks by exactly alpha.
    EXPECT_NEAR(table.inv_freq.back(), make_rope_table(plain()).inv_freq.back() / 8.f, 1e-9);
}

TEST(RopeTable, YarnKeepsFastFrequenciesAndInterpolatesSlowOnes) {
    RopeSpec spec = plain();
    spec.scaling = RopeScaling::yarn;
    spec.factor = 8.f;
    const auto table = make_rope_table(spec);
    const auto original = make_rope_table(plain());
    EXPECT_FLOAT_EQ(table.inv_freq.front(), original.inv_freq.front());
    EXPECT_FLOAT_EQ(table.inv_freq.back(), original.inv_freq.back() / 8.f);
    for (std::size_t i = 0; i < table.inv_freq.size(); ++i) {
        EXPECT_LE(table.inv_freq[i], original.inv_freq[i] * 1.0001f);
        EXPECT_GE(table.inv_freq[i], original.inv_freq[i] / 8.001f);
    }
    EXPECT_NEAR(table.magnitude, 1. + 0.1 * std::log(8.), 1e-6);
}

TEST(RopeTable, YarnLogMultiplierOfOneCancelsTheMagnitude) {
    RopeSpec spec = plain();
    spec.scaling = RopeScaling::yarn;
    spec.factor = 8.f;
    spec.yarn_log_multiplier = 1.f;
    EXPECT_NEAR(make_rope_table(spec).magnitude, 1., 1e-6);
}

TEST(RopeTable, DivisorsDivideTheirFrequency) {
    RopeSpec spec = plain();
    spec.divisors.assign(32, 1.f);
    spec.divisors[3] = 8.f;
    spec.attention_factor = 1.19f;
    const auto table = make_rope_table(spec);
    EXPECT_FLOAT_EQ(table.inv_freq[3], make_rope_table(plain()).inv_freq[3] / 8.f);
    EXPECT_FLOAT_EQ(table.inv_freq[4], make_rope_table(plain()).inv_freq[4]);
    EXPECT_FLOAT_EQ(table.magnitude, 1.19f);
}

}  // namespace
