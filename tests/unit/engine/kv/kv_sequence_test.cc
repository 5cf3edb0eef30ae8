#include "engine/kv/kv_sequence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/seeds.h"
#include "unit/engine/kv/kv_fixture.h"

namespace {

using engine::KvPool;
using engine::KvScope;
using engine::KvSequence;
using test::compute;
using test::counting;
using test::first_wrong;
using test::kSmallPages;

const KvScope kScope;

TEST(KvSequence, TakesPagesAsItGrowsAndGivesAllBack) {
    KvPool pool(kSmallPages, 10);
    KvSequence sequence = pool.sequence();
    EXPECT_EQ(pool.pages_free(), 10u);
    ASSERT_TRUE(sequence.grow_to(5).has_value());
    EXPECT_EQ(pool.stats().pages_taken, 2u);
    EXPECT_EQ(sequence.capacity_tokens(), 8u);
    sequence = KvSequence();
    EXPECT_EQ(pool.pages_free(), 10u);
    EXPECT_TRUE(pool.can_ever_hold(40));
    EXPECT_FALSE(pool.can_ever_hold(41));
}

TEST(KvSequence, RefusesWithTheNumbersAndTakesNothing) {
    KvPool pool(kSmallPages, 4);
    KvSequence first = pool.sequence(), second = pool.sequence();
    ASSERT_TRUE(first.grow_to(12).has_value());
    const auto refused = second.grow_to(8);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, base::Code::resource_exhausted);
    EXPECT_EQ(second.capacity_tokens(), 0u);
    EXPECT_EQ(pool.pages_free(), 1u);
}

TEST(KvSequence, PlanesOfItsPagesAreDisjoint) {
    KvPool pool(kSmallPages, 2);
    KvSequence sequence = pool.sequence();
    ASSERT_TRUE(sequence.grow_to(8).has_value());
    std::set<std::byte*> starts;
    for (std::uint32_t layer = 0; layer < kSmallPages.layers; ++layer) {
        const auto& view = sequence.layer(layer);
        ASSERT_EQ(view.k_pages.size(), 2u);
        for (std::size_t page = 0; page < 2; ++page) {
            for (auto* plane : {view.k_pages[page], view.v_pages[page]}) {
                std::fill_n(plane, kSmallPages.plane_bytes(), std::byte{1});
                starts.insert(plane);
            }
        }
    }
    ASSERT_EQ(starts.size(), 8u);
    const std::byte* before = nullptr;
    for (const std::byte* start : starts) {
        if (before != nullptr) {
            EXPECT_GE(start - before, static_cast<std::ptrdiff_t>(kSmallPages.plane_bytes()));
        }
        before = start;
    }
}

TEST(KvSequence, AForkSharesPagesUntilEitherWrites) {
    KvPool pool(kSmallPages, 10);
    const auto common = counting(0, 6), left = counting(0, 9);
    const auto right = test::joined(common, counting(100, 3));
    KvSequence a = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, a, kScope, common));
    KvSequence b = a.fork();
    EXPECT_EQ(pool.stats().pages_taken, 2u);
    ASSERT_TRUE(compute(kSmallPages, a, kScope, left));
    EXPECT_EQ(pool.stats().copies_total, 1u);
    ASSERT_TRUE(compute(kSmallPages, b, kScope, right));
    EXPECT_EQ(pool.stats().copies_total, 1u) << "the last holder writes in place";
    EXPECT_EQ(pool.stats().pages_taken, 5u) << "one page in common, two of each one's own";
    EXPECT_EQ(first_wrong(kSmallPages, a, kScope, left), 9u);
    EXPECT_EQ(first_wrong(kSmallPages, b, kScope, right), 9u);
}

TEST(KvSequence, WritesAfterTruncationLeaveOtherHoldersAlone) {
    KvPool pool(kSmallPages, 10);
    const auto text = counting(0, 8);
    const auto other = test::joined(counting(0, 5), counting(50, 4));
    KvSequence a = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, a, kScope, text));
    KvSequence b = a.fork();
    b.truncate(5);
    EXPECT_EQ(b.tokens(), 5u);
    ASSERT_TRUE(compute(kSmallPages, b, kScope, other));
    EXPECT_EQ(first_wrong(kSmallPages, a, kScope, text), 8u);
    EXPECT_EQ(first_wrong(kSmallPages, b, kScope, other), 9u);
    b.truncate(0);
    EXPECT_EQ(b.capacity_tokens(), 0u);
    EXPECT_EQ(pool.stats().pages_taken, 2u);
}

TEST(KvSequence, ACopyThatFindsNoPageLeavesBothAsTheyWere) {
    KvPool pool(kSmallPages, 1);
    const auto text = counting(0, 3);
    KvSequence a = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, a, kScope, text));
    KvSequence b = a.fork();
    EXPECT_FALSE(b.grow_to(4).has_value());
    EXPECT_EQ(first_wrong(kSmallPages, b, kScope, text), 3u);
    a = KvSequence();
    EXPECT_TRUE(b.grow_to(4).has_value()) << "alone with its page, nothing needs copying";
}

TEST(KvSequence, CountsWhatGivingItUpWouldFree) {
    KvPool pool(kSmallPages, 10);
    KvSequence a = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, a, kScope, counting(0, 8)));
    EXPECT_EQ(a.pages_owned_alone(), 2u);
    KvSequence b = a.fork();
    ASSERT_TRUE(compute(kSmallPages, b, kScope, counting(0, 10)));
    EXPECT_EQ(b.pages_owned_alone(), 1u);
}

TEST(KvSequence, RandomLivesNeverExceedThePoolAndGiveAllBack) {
    test::for_each_seed(50, [](base::Rng& rng) {
        KvPool pool(kSmallPages, 20);
        std::vector<KvSequence> live;
        for (int step = 0; step < 300; ++step) {
            if (live.empty() || rng.below(4) == 0) live.push_back(pool.sequence());
            const std::size_t i = rng.below(live.size());
            switch (rng.below(4)) {
                case 0:
                    live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
                    break;
                case 1:
                    live.push_back(live[i].fork());
                    break;
                case 2:
                    live[i].truncate(static_cast<std::uint32_t>(rng.below(40)));
                    break;
                default: {
                    const auto wanted = static_cast<std::uint32_t>(1 + rng.below(40));
                    const std::uint32_t before = live[i].capacity_tokens();
                    if (live[i].grow_to(wanted)) {
                        ASSERT_GE(live[i].capacity_tokens(), wanted);
                        if (wanted > live[i].tokens()) live[i].set_written(wanted);
                    } else {
                        ASSERT_EQ(live[i].capacity_tokens(), before);
                    }
                }
            }
            ASSERT_LE(pool.stats().pages_taken, 20u);
        }
        live.clear();
        ASSERT_EQ(pool.pages_free(), 20u);
    });
}

}  // namespace
