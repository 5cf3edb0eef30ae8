#include "engine/kv/kv_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "support/seeds.h"

namespace {

using engine::KvGeometry;
using engine::KvPool;
using engine::KvSequence;

constexpr KvGeometry kGeometry{.layers = 2, .kv_heads = 2, .head_dim = 8, .page_tokens = 16};

TEST(KvPool, CountsWhatIsReservedAndTaken) {
    KvPool pool(kGeometry, 10);
    auto sequence = pool.reserve(33);
    ASSERT_TRUE(sequence.has_value());
    EXPECT_EQ(pool.stats().pages_reserved, 3u);
    EXPECT_EQ(pool.stats().pages_taken, 0u);
    ASSERT_TRUE(sequence->grow_to(17).has_value());
    EXPECT_EQ(pool.stats().pages_taken, 2u);
    EXPECT_EQ(sequence->capacity_tokens(), 32u);
    *sequence = KvSequence();
    EXPECT_EQ(pool.stats().pages_reserved, 0u);
    EXPECT_EQ(pool.stats().pages_taken, 0u);
}

TEST(KvPool, RefusesBeforeAnythingIsTaken) {
    KvPool pool(kGeometry, 4);
    auto first = pool.reserve(40);
    ASSERT_TRUE(first.has_value());
    auto second = pool.reserve(40);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, base::Code::resource_exhausted);
    EXPECT_TRUE(pool.can_ever_hold(64));
    EXPECT_FALSE(pool.can_ever_hold(65));
}

TEST(KvPool, LayersOfAPageAreDisjoint) {
    KvPool pool(kGeometry, 2);
    auto sequence = pool.reserve(32);
    ASSERT_TRUE(sequence.has_value() && sequence->grow_to(32).has_value());
    std::set<std::byte*> starts;
    for (std::uint32_t layer = 0; layer < kGeometry.layers; ++layer) {
        const auto& view = sequence->layer(layer);
        ASSERT_EQ(view.k_pages.size(), 2u);
        for (std::size_t page = 0; page < 2; ++page) {
            for (auto* plane : {view.k_pages[page], view.v_pages[page]}) {
                std::fill_n(plane, kGeometry.plane_bytes(), std::byte{1});
                starts.insert(plane);
            }
        }
    }
    ASSERT_EQ(starts.size(), 8u);
    const std::byte* before = nullptr;
    for (const std::byte* start : starts) {
        if (before != nullptr) {
            EXPECT_GE(start - before, static_cast<std::ptrdiff_t>(kGeometry.plane_bytes()));
        }
        before = start;
    }
}

TEST(KvPool, RandomLivesNeverExceedThePoolAndGiveAllBack) {
    test::for_each_seed(50, [](base::Rng& rng) {
        KvPool pool(kGeometry, 20);
        std::vector<std::pair<KvSequence, std::uint32_t>> live;
        for (int step = 0; step < 200; ++step) {
            if (rng.below(2) == 0) {
                const auto tokens = static_cast<std::uint32_t>(1 + rng.below(150));
                const bool fits = pool.stats().pages_reserved + kGeometry.pages_for(tokens) <= 20;
                auto sequence = pool.reserve(tokens);
                ASSERT_EQ(sequence.has_value(), fits);
                if (sequence) live.emplace_back(*std::move(sequence), tokens);
            } else if (!live.empty()) {
                const std::size_t i = rng.below(live.size());
                if (rng.below(2) == 0) {
                    live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
                } else {
                    const auto grown = static_cast<std::uint32_t>(1 + rng.below(live[i].second));
                    ASSERT_TRUE(live[i].first.grow_to(grown).has_value());
                    ASSERT_GE(live[i].first.capacity_tokens(), grown);
                }
            }
            ASSERT_LE(pool.stats().pages_taken, pool.stats().pages_reserved);
            ASSERT_LE(pool.stats().pages_reserved, 20u);
        }
        live.clear();
        ASSERT_EQ(pool.stats().pages_reserved, 0u);
        ASSERT_EQ(pool.stats().pages_taken, 0u);
    });
}

}  // namespace
