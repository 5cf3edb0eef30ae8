// What stays when the pool needs room: kept prefixes, conversations, tenants' shares.
#include <gtest/gtest.h>

#include "unit/engine/kv/kv_fixture.h"

namespace {

using base::Code;
using engine::KvPool;
using engine::KvScope;
using engine::KvSequence;
using engine::PrefixCache;
using engine::PrefixCacheLimits;
using std::chrono::minutes;
using std::chrono::seconds;
using test::compute;
using test::counting;
using test::kSmallPages;
using test::Tokens;
using Tail = PrefixCache::Tail;

class KeepTest : public ::testing::Test {
protected:
    KvSequence computed(const KvScope& whose, const Tokens& tokens) {
        KvSequence sequence = cache.take(whose, tokens);
        EXPECT_TRUE(compute(kSmallPages, sequence, whose, tokens));
        return sequence;
    }
    void serve(const KvScope& whose, const Tokens& tokens, std::string_view session = {}) {
        const KvSequence sequence = computed(whose, tokens);
        cache.put(whose, tokens, sequence, session, Tail::keep);
    }
    base::Result<engine::KeptPrefix> keep(const KvScope& whose, const Tokens& tokens,
                                          base::Duration ttl) {
        const KvSequence sequence = computed(whose, tokens);
        return cache.keep(whose, tokens, ttl, sequence);
    }
    /// Takes and returns as many pages as can be had.
    void press() {
        KvSequence all = pool.sequence();
        EXPECT_TRUE(all.grow_to(pool.pages_available() * kSmallPages.page_tokens).has_value());
    }
    std::uint32_t found(const KvScope& whose, Tokens tokens) {
        tokens.push_back(-1);
        return cache.matched_tokens(whose, tokens);
    }

    test::TestClock clock;
    KvPool pool{kSmallPages, 40};
    PrefixCache cache{pool, {}, clock};
    const KvScope a{"", "a"}, b{"", "b"};
};

TEST_F(KeepTest, AKeptPrefixOutlastsAnyPressureUntilItsTimeIsOver) {
    const Tokens text = counting(0, 22);
    const auto kept = keep(a, text, minutes(5));
    ASSERT_TRUE(kept.has_value()) << kept.error().message;
    EXPECT_EQ(kept->tokens, 22u);
    press();
    EXPECT_EQ(found(a, text), 22u);
    EXPECT_EQ(*cache.find("a", kept->id), text);
    EXPECT_EQ(cache.list("a").size(), 1u);
    EXPECT_EQ(cache.stats().pages_kept, 6u);
    clock.advance(minutes(5));
    EXPECT_TRUE(cache.list("a").empty());
    EXPECT_EQ(cache.find("a", kept->id).error().code, Code::not_found);
    press();
    cache.expire();
    EXPECT_EQ(pool.pages_available(), 40u);
    press();
    EXPECT_EQ(found(a, text), 0u);
}

TEST_F(KeepTest, RoomIsMadeOfWhatExpired) {
    ASSERT_TRUE(keep(a, counting(0, 40), seconds(1)).has_value());
    clock.advance(seconds(2));
    KvSequence all = pool.sequence();
    EXPECT_TRUE(all.grow_to(160).has_value());
}

TEST_F(KeepTest, AKeptPrefixIsItsTenantsAlone) {
    const auto kept = keep(a, counting(0, 8), minutes(5));
    ASSERT_TRUE(kept.has_value());
    EXPECT_EQ(cache.find("b", kept->id).error().code, Code::not_found);
    EXPECT_EQ(cache.drop("b", kept->id).error().code, Code::not_found);
    EXPECT_TRUE(cache.list("b").empty());
    ASSERT_TRUE(cache.drop("a", kept->id).has_value());
    EXPECT_EQ(cache.drop("a", kept->id).error().code, Code::not_found);
    EXPECT_EQ(cache.stats().pages_kept, 0u);
    press();
    EXPECT_EQ(cache.stats().pages, 0u);
}

TEST_F(KeepTest, OneTextKeptTwiceCostsOnceAndEndsTwice) {
    const Tokens text = counting(0, 12);
    const auto one = keep(a, text, minutes(5)), two = keep(a, text, minutes(9));
    ASSERT_TRUE(one.has_value() && two.has_value());
    EXPECT_NE(one->id, two->id);
    EXPECT_EQ(cache.stats().pages_kept, 3u);
    ASSERT_TRUE(cache.drop("a", one->id).has_value());
    press();
    EXPECT_EQ(found(a, text), 12u);
    EXPECT_EQ(cache.stats().pages_kept, 3u);
}

TEST_F(KeepTest, OneTextIsNotKeptWithoutEnd) {
    const Tokens text = counting(0, 12);
    const std::uint32_t most = PrefixCacheLimits().kept_max;
    for (std::uint32_t i = 0; i < most; ++i) ASSERT_TRUE(keep(a, text, seconds(i < 2 ? 1 : 60)));
    const auto refused = keep(a, text, minutes(5));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::resource_exhausted);
    EXPECT_EQ(cache.list("a").size(), most);
    clock.advance(seconds(2));
    EXPECT_TRUE(keep(a, text, minutes(5)).has_value());
    EXPECT_EQ(cache.list("a").size(), most - 1);
}

TEST_F(KeepTest, KeptPrefixesTakeNoMoreThanTheirShare) {
    ASSERT_TRUE(keep(a, counting(0, 60), minutes(5)).has_value());
    const auto refused = keep(a, counting(500, 24), minutes(5));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::resource_exhausted);
    EXPECT_TRUE(keep(a, test::joined(counting(0, 60), counting(900, 8)), minutes(5)).has_value())
        << "what is kept already costs nothing";
}

TEST_F(KeepTest, KeepsOnlyWhatIsComputed) {
    KvSequence sequence = computed(a, counting(0, 8));
    EXPECT_EQ(cache.keep(a, counting(0, 9), minutes(1), sequence).error().code,
              Code::failed_precondition);
    EXPECT_EQ(cache.keep(a, {}, minutes(1), sequence).error().code, Code::failed_precondition);
}

TEST_F(KeepTest, AKeptPartOfAPageDoesNotStopTheTextThatGoesOn) {
    // The sequence's second page is kept as 2 tokens while the sequence has all 4.
    const Tokens text = counting(0, 12);
    KvSequence sequence = computed(a, text);
    ASSERT_TRUE(cache.keep(a, counting(0, 6), minutes(5), sequence).has_value());
    cache.put(a, text, sequence, {}, Tail::keep);
    EXPECT_EQ(test::first_wrong(kSmallPages, sequence, a, text), 12u);
    EXPECT_GE(found(a, text), 6u);
    sequence = KvSequence();
    serve(a, text);
    EXPECT_EQ(found(a, text), 12u);
}

TEST_F(KeepTest, ConversationsStayLongerThanOtherTexts) {
    const Tokens talk = counting(0, 20), other = counting(500, 20), third = counting(900, 20);
    serve(a, talk, "s");
    serve(a, other);
    serve(a, third);
    EXPECT_EQ(cache.stats().pages_protected, 5u);
    cache.reclaim(10);
    EXPECT_EQ(found(a, talk), 20u) << "although it was used first";
    EXPECT_EQ(found(a, other), 0u);
    EXPECT_EQ(found(a, third), 0u);
    cache.reclaim(2);
    EXPECT_EQ(found(a, talk), 12u) << "but not for ever";
}

TEST_F(KeepTest, AConversationsProtectionFollowsItsLatestTurn) {
    const Tokens first = counting(0, 12);
    serve(a, first, "s");
    const Tokens edited = test::joined(counting(0, 4), counting(700, 12));
    serve(a, edited, "s");
    EXPECT_EQ(cache.stats().sessions, 1u);
    EXPECT_EQ(cache.stats().pages_protected, 4u);
    cache.reclaim(2);
    EXPECT_EQ(found(a, first), 4u) << "the turn that was taken back goes";
    EXPECT_EQ(found(a, edited), 16u);
}

TEST_F(KeepTest, AnIdleConversationIsLikeAnyOtherText) {
    serve(a, counting(0, 20), "s");
    clock.advance(minutes(11));
    serve(a, counting(500, 20));
    EXPECT_EQ(cache.stats().pages_protected, 0u);
    cache.reclaim(5);
    EXPECT_EQ(found(a, counting(0, 20)), 0u);
}

TEST_F(KeepTest, ConversationsProtectNoMoreThanTheirShare) {
    serve(a, counting(0, 40), "old");
    serve(a, counting(500, 40), "new");
    EXPECT_EQ(cache.stats().pages_protected, 20u);
    serve(a, counting(900, 4), "third");
    EXPECT_EQ(cache.stats().sessions, 2u) << "the longest unused one gave way";
    EXPECT_EQ(cache.stats().pages_protected, 11u);
}

TEST_F(KeepTest, OneSessionNameOfTwoTenantsIsTwoConversations) {
    serve(a, counting(0, 8), "s");
    serve(b, counting(0, 8), "s");
    EXPECT_EQ(cache.stats().sessions, 2u);
    EXPECT_EQ(cache.stats().pages_protected, 4u);
}

TEST_F(KeepTest, ATenantOverItsShareGivesFirst) {
    serve(b, counting(0, 20));
    for (int i = 0; i < 8; ++i) serve(a, counting(1000 * (i + 1), 16));
    EXPECT_EQ(cache.stats().pages_by_tenant.at("a"), 32u);
    cache.reclaim(10);
    EXPECT_EQ(cache.stats().pages_by_tenant.at("a"), 22u);
    EXPECT_EQ(found(b, counting(0, 20)), 20u) << "although it was used first";
    cache.reclaim(5);
    EXPECT_EQ(cache.stats().pages_by_tenant.at("a"), 20u) << "down to half of the pool";
    EXPECT_EQ(cache.stats().pages_by_tenant.at("b"), 2u) << "then the least recently used goes";
}

TEST_F(KeepTest, ATenantAloneMayFillThePool) {
    for (int i = 0; i < 10; ++i) serve(a, counting(1000 * i, 16));
    EXPECT_EQ(cache.stats().pages, 40u);
    EXPECT_EQ(found(a, counting(0, 16)), 16u);
}

}  // namespace
