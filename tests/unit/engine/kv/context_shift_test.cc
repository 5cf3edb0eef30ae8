#include <gtest/gtest.h>

#include "unit/engine/kv/kv_fixture.h"

namespace {

using engine::KvPool;
using engine::KvScope;
using engine::KvSequence;
using engine::PrefixCache;
using test::compute;
using test::counting;
using test::kSmallPages;

class ContextShift : public ::testing::Test {
protected:
    ContextShift() {
        EXPECT_TRUE(compute(kSmallPages, sequence, scope, text));
        values = test::expected_kv(scope, text);
    }
    test::TestClock clock;
    KvPool pool{kSmallPages, 40};
    PrefixCache cache{pool, {}, clock};
    const KvScope scope{"", "a"};
    const test::Tokens text = counting(0, 18);
    KvSequence sequence = pool.sequence();
    std::vector<std::uint64_t> values;
};

TEST_F(ContextShift, LaterPositionsMoveDownWithTheirContents) {
    ASSERT_TRUE(sequence.drop_middle(4, 8).has_value());
    EXPECT_EQ(sequence.tokens(), 10u);
    EXPECT_EQ(pool.stats().pages_taken, 3u);
    for (std::uint32_t p = 0; p < 10; ++p) {
        EXPECT_TRUE(test::holds_kv(kSmallPages, sequence, p, values[p < 4 ? p : p + 8])) << p;
    }
}

TEST_F(ContextShift, WhatFollowsAGapIsNeverCachedUnderTheShorterText) {
    ASSERT_TRUE(sequence.drop_middle(4, 8).has_value());
    EXPECT_EQ(sequence.exact_tokens(), 4u);
    test::Tokens shorter(text.begin(), text.begin() + 4);
    shorter.insert(shorter.end(), text.begin() + 12, text.end());
    cache.put(scope, shorter, sequence, {}, PrefixCache::Tail::keep);
    EXPECT_EQ(cache.matched_tokens(scope, shorter), 4u);
    EXPECT_EQ(sequence.fork().exact_tokens(), 4u);
}

TEST_F(ContextShift, SharedPagesStayAsOthersSeeThem) {
    const KvSequence twin = sequence.fork();
    ASSERT_TRUE(sequence.drop_middle(0, 8).has_value());
    EXPECT_EQ(test::first_wrong(kSmallPages, twin, scope, text), 18u);
}

TEST_F(ContextShift, AGapWithNothingBehindItIsNone) {
    ASSERT_TRUE(sequence.drop_middle(4, 8).has_value());
    sequence.truncate(4);
    ASSERT_TRUE(compute(kSmallPages, sequence, scope, text));
    EXPECT_EQ(sequence.exact_tokens(), 18u);
}

TEST_F(ContextShift, RefusesPartsOfPagesAndMoreThanThereIs) {
    EXPECT_EQ(sequence.drop_middle(3, 4).error().code, base::Code::invalid_argument);
    EXPECT_EQ(sequence.drop_middle(4, 3).error().code, base::Code::invalid_argument);
    EXPECT_EQ(sequence.drop_middle(8, 12).error().code, base::Code::invalid_argument);
    EXPECT_EQ(sequence.drop_middle(UINT32_MAX - 3, 8).error().code, base::Code::invalid_argument);
    EXPECT_EQ(sequence.tokens(), 18u);
}

}  // namespace
