#include "engine/kv/prefix_cache.h"

#include <gtest/gtest.h>

#include "unit/engine/kv/kv_fixture.h"

namespace {

using engine::KvPool;
using engine::KvScope;
using engine::KvSequence;
using engine::PrefixCache;
using engine::PrefixCacheLimits;
using test::compute;
using test::counting;
using test::first_wrong;
using test::joined;
using test::kSmallPages;
using test::Tokens;
using Tail = PrefixCache::Tail;

class PrefixCacheTest : public ::testing::Test {
protected:
    KvSequence computed(const KvScope& whose, const Tokens& tokens) {
        KvSequence sequence = cache.take(whose, tokens);
        EXPECT_TRUE(compute(kSmallPages, sequence, whose, tokens));
        return sequence;
    }
    /// Serves a request to its end.
    void serve(const KvScope& whose, const Tokens& tokens, std::string_view session = {}) {
        const KvSequence sequence = computed(whose, tokens);
        cache.put(whose, tokens, sequence, session, Tail::keep);
    }
    std::uint32_t found(const KvScope& whose, const Tokens& tokens) {
        return cache.matched_tokens(whose, tokens);
    }

    test::TestClock clock;
    KvPool pool{kSmallPages, 40};
    PrefixCache cache{pool, {}, clock};
    const KvScope scope{"", "a"};
};

TEST_F(PrefixCacheTest, FindsTheLongestPrefixAndLeavesOneTokenToCompute) {
    const Tokens text = counting(0, 8);
    serve(scope, text);
    std::uint32_t matched = 0;
    const KvSequence same = cache.take(scope, text, &matched);
    EXPECT_EQ(matched, 7u);
    EXPECT_EQ(first_wrong(kSmallPages, same, scope, text), 7u);
    EXPECT_EQ(found(scope, joined(text, counting(90, 3))), 8u);
    EXPECT_EQ(found(scope, joined(counting(0, 6), counting(90, 3))), 6u);
    EXPECT_EQ(found(scope, counting(1, 8)), 0u);
    EXPECT_EQ(found(scope, {}), 0u);
}

TEST_F(PrefixCacheTest, SharesWholePagesAndCopiesAPart) {
    serve(scope, counting(0, 8));
    const std::uint32_t before = pool.stats().pages_taken;
    const Tokens text = joined(counting(0, 6), counting(90, 6));
    const KvSequence fork = computed(scope, text);
    EXPECT_EQ(pool.stats().pages_taken, before + 2) << "page 0 is shared";
    EXPECT_EQ(first_wrong(kSmallPages, fork, scope, text), 12u);
    const KvSequence original = cache.take(scope, counting(0, 9));
    EXPECT_EQ(original.tokens(), 8u);
    EXPECT_EQ(first_wrong(kSmallPages, original, scope, counting(0, 9)), 8u);
}

TEST_F(PrefixCacheTest, CachesAPartlyFilledPageWhenTheSequenceEnds) {
    serve(scope, counting(0, 6));
    EXPECT_EQ(found(scope, counting(0, 7)), 6u);
    serve(scope, counting(0, 7));  // a longer form of the last page replaces it
    EXPECT_EQ(cache.stats().pages, 2u);
    EXPECT_EQ(found(scope, counting(0, 9)), 7u);
    serve(scope, counting(0, 5));  // a shorter one adds nothing
    EXPECT_EQ(cache.stats().pages, 2u);
}

TEST_F(PrefixCacheTest, ASequenceThatGoesOnDoesNotWriteIntoTheCache) {
    KvSequence sequence = computed(scope, counting(0, 6));
    cache.put(scope, counting(0, 6), sequence, {}, Tail::keep);
    const Tokens longer = joined(counting(0, 6), counting(70, 5));
    ASSERT_TRUE(compute(kSmallPages, sequence, scope, longer));
    const Tokens again = counting(0, 8);
    const KvSequence other = cache.take(scope, again);
    EXPECT_EQ(other.tokens(), 6u);
    EXPECT_EQ(first_wrong(kSmallPages, other, scope, again), 6u);
    EXPECT_EQ(first_wrong(kSmallPages, sequence, scope, longer), 11u);
}

TEST_F(PrefixCacheTest, NothingCrossesTenantsOrAdapters) {
    const Tokens text = counting(0, 12);
    serve({"", "a"}, text);
    EXPECT_EQ(found({"", "b"}, text), 0u);
    EXPECT_EQ(found({"lora", "a"}, text), 0u);
    EXPECT_EQ(found({"a", ""}, text), 0u) << "a name is not the other's";
    EXPECT_EQ(found({"", "a"}, text), 11u);
}

TEST_F(PrefixCacheTest, GivesTheLeastRecentlyUsedBackWhenThePoolNeedsRoom) {
    const Tokens old = counting(0, 40), recent = counting(1000, 40);
    serve(scope, old);
    serve(scope, recent);
    EXPECT_EQ(pool.pages_free(), 20u);
    EXPECT_EQ(pool.pages_available(), 40u);
    KvSequence big = pool.sequence();
    ASSERT_TRUE(big.grow_to(4 * 25).has_value());
    EXPECT_EQ(found(scope, old), 20u) << "shortened from its end";
    EXPECT_EQ(found(scope, recent), 39u);
    ASSERT_TRUE(big.grow_to(4 * 40).has_value());
    EXPECT_EQ(cache.stats().pages, 0u);
    EXPECT_EQ(cache.stats().pages_evicted, 20u);
    EXPECT_FALSE(big.grow_to(4 * 40 + 1).has_value());
}

TEST_F(PrefixCacheTest, PagesInUseStay) {
    const Tokens text = counting(0, 40);
    serve(scope, text);
    const KvSequence user = cache.take(scope, counting(0, 21));
    EXPECT_EQ(pool.pages_available(), 35u);
    KvSequence big = pool.sequence();
    EXPECT_FALSE(big.grow_to(4 * 36).has_value());
    ASSERT_TRUE(big.grow_to(4 * 35).has_value());
    EXPECT_EQ(first_wrong(kSmallPages, user, scope, text), 20u);
}

TEST_F(PrefixCacheTest, AHeldPageBelowUnheldOnesDoesNotBlockThem) {
    // Two compute one text at the same time; the second one's first pages stay its own.
    const Tokens text = counting(0, 8), longer = counting(0, 12);
    KvSequence first = pool.sequence(), second = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, first, scope, text));
    ASSERT_TRUE(compute(kSmallPages, second, scope, longer));
    cache.put(scope, text, first);
    cache.put(scope, longer, second);
    first = KvSequence();
    EXPECT_EQ(pool.pages_available(), 37u);
    KvSequence big = pool.sequence();
    ASSERT_TRUE(big.grow_to(4 * 37).has_value());
    EXPECT_EQ(first_wrong(kSmallPages, second, scope, longer), 12u);
}

TEST_F(PrefixCacheTest, ATakeFromAFullPoolFindsWhatCanBeShared) {
    const Tokens text = counting(0, 8);
    serve(scope, text);
    KvSequence big = pool.sequence();
    ASSERT_TRUE(big.grow_to(4 * 38).has_value());
    const KvSequence user = cache.take(scope, counting(0, 7));
    EXPECT_EQ(user.tokens(), 4u) << "no page is left for a copy of the second";
    EXPECT_EQ(first_wrong(kSmallPages, user, scope, text), 4u);
}

TEST_F(PrefixCacheTest, SixtyFourAgentsOnOneLongPrefixCostOneCopyAndTheirTails) {
    const engine::KvGeometry geometry{.layers = 1, .kv_heads = 1, .head_dim = 8};
    KvPool wide(geometry, 1000);
    PrefixCache agents(wide, {}, clock);
    const Tokens common = counting(0, 8192);
    const auto join = [&](engine::TokenId id) {
        const Tokens text = joined(common, counting(100'000 * (id + 1), 40));
        KvSequence agent = agents.take(scope, text);
        EXPECT_TRUE(compute(geometry, agent, scope, text));
        agents.put(scope, text, agent, {}, Tail::keep);
        return agent;
    };
    std::vector<KvSequence> running;
    for (engine::TokenId id = 0; id < 64; ++id) running.push_back(join(id));
    const std::uint32_t one_copy = 8192 / 32, tails = 64 * 2;
    EXPECT_LE(wide.stats().pages_taken - tails, one_copy * 102 / 100);
}

TEST_F(PrefixCacheTest, CountsWhatItFoundAndWhoseItIs) {
    serve({"", "a"}, counting(0, 12));
    serve({"", "b"}, counting(0, 8));
    serve({"", "a"}, counting(0, 13));
    const auto stats = cache.stats();
    EXPECT_EQ(stats.hits, 1u);
    EXPECT_EQ(stats.misses, 2u);
    EXPECT_EQ(stats.hit_tokens, 12u);
    EXPECT_EQ(stats.pages_by_tenant, (std::map<std::string, std::uint32_t>{{"a", 4}, {"b", 2}}));
    cache.reclaim(100);
    EXPECT_TRUE(cache.stats().pages_by_tenant.empty());
}

TEST_F(PrefixCacheTest, CachesNothingWhenItIsOff) {
    PrefixCacheLimits limits;
    limits.pages_max = 0;
    KvPool own(kSmallPages, 10);
    PrefixCache off(own, {}, clock, limits);
    KvSequence sequence = own.sequence();
    ASSERT_TRUE(compute(kSmallPages, sequence, scope, counting(0, 8)));
    off.put(scope, counting(0, 8), sequence, "s", Tail::keep);
    EXPECT_EQ(off.matched_tokens(scope, counting(0, 8)), 0u);
}

TEST_F(PrefixCacheTest, HoldsNoMorePagesThanItMay) {
    PrefixCacheLimits limits;
    limits.pages_max = 3;
    KvPool own(kSmallPages, 40);
    PrefixCache small(own, {}, clock, limits);
    const auto put = [&](const Tokens& text) {
        KvSequence sequence = own.sequence();
        ASSERT_TRUE(compute(kSmallPages, sequence, scope, text));
        small.put(scope, text, sequence, {}, Tail::keep);
    };
    put(counting(0, 8));
    put(counting(500, 8));
    EXPECT_EQ(small.stats().pages, 3u);
    EXPECT_EQ(small.matched_tokens(scope, counting(500, 9)), 8u);
    EXPECT_EQ(small.matched_tokens(scope, counting(0, 9)), 4u);
    put(counting(900, 100));
    EXPECT_EQ(small.stats().pages, 3u);
}

}  // namespace
