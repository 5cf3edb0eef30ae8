#include <algorithm>
#include <limits>

#include "engine/kernels/kv_layout.h"
#include "engine/kernels/page_rotations.h"
#include "engine/kernels/reference.h"
#include "kernel_fixture.h"
#include "support/seeds.h"

namespace {

using engine::KvType;

/// A paged cache of `tokens` random tokens; what lies behind the last one is NaN (or the worst
/// code), as memory that nobody wrote could be.
struct Cache {
    Cache(base::Rng& rng, std::size_t tokens, std::uint32_t kv_heads, std::uint32_t head_dim,
          std::uint32_t page_tokens, KvType type = KvType::f16) {
        const std::size_t pages = (tokens + page_tokens - 1) / page_tokens;
        const std::size_t plane = engine::kv_plane_bytes(type, page_tokens, kv_heads, head_dim);
        bytes.resize(2 * pages * plane, std::byte{0xff});  // NaN in every float type
        for (std::size_t p = 0; p < pages; ++p) {
            k_pages.push_back(bytes.data() + 2 * p * plane);
            v_pages.push_back(bytes.data() + (2 * p + 1) * plane);
        }
        view = {k_pages, v_pages, page_tokens, type};
        for (std::size_t t = 0; t < tokens; ++t) {
            keys.push_back(test::random_floats(rng, kv_heads * head_dim));
            values.push_back(test::random_floats(rng, kv_heads * head_dim));
            engine::kv_store(view, static_cast<std::uint32_t>(t), keys[t].data(), values[t].data(),
                             kv_heads, head_dim);
        }
    }
    std::vector<std::byte> bytes;
    std::vector<std::byte*> k_pages, v_pages;
    engine::KvLayerView view;
    std::vector<std::vector<float>> keys, values;  ///< as stored
};

engine::AttentionShape random_shape(base::Rng& rng) {
    constexpr std::uint32_t kDims[] = {8, 16, 20, 33, 64, 80, 96, 128, 256};
    engine::AttentionShape shape;
    shape.kv_heads = 1 + static_cast<std::uint32_t>(rng.below(3));
    shape.heads = shape.kv_heads * (1 + static_cast<std::uint32_t>(rng.below(5)));
    shape.head_dim = kDims[rng.below(std::size(kDims))];
    shape.scale = 4.f / std::sqrt(static_cast<float>(shape.head_dim));
    if (rng.below(4) == 0) shape.soft_cap = 5.f;
    return shape;
}

/// Rows at random positions, some under a sliding window.
std::vector<engine::AttentionRow> random_rows(base::Rng& rng, const Cache& cache, std::size_t count,
                                              std::size_t tokens) {
    std::vector<engine::AttentionRow> rows;
    const bool window = rng.below(3) == 0;
    const std::size_t start = rng.below(tokens);
    for (std::size_t i = 0; i < count; ++i) {
        const auto position = static_cast<std::uint32_t>(std::min(start + i, tokens - 1));
        const auto first = window ? static_cast<std::uint32_t>(rng.below(position + 1)) : 0u;
        rows.push_back({&cache.view, position, first});
    }
    return rows;
}

engine::PageRotations random_rotations(base::Rng& rng, const engine::AttentionShape& shape,
                                       std::uint32_t page_tokens, std::size_t pages) {
    std::vector<float> inv_freq(1 + rng.below(shape.head_dim / 2));
    for (float& f : inv_freq) f = static_cast<float>(rng.uniform());
    engine::PageRotations rotations(
        inv_freq, rng.below(2) == 0 ? engine::RopePairing::adjacent : engine::RopePairing::halves,
        page_tokens);
    rotations.cover(pages);
    return rotations;
}

std::uint32_t random_page_tokens(base::Rng& rng) {
    return rng.below(2) == 0 ? 32 : static_cast<std::uint32_t>(1 + rng.below(70));
}

/// `tolerance` is absolute; outputs are means of values in [-1, 1].
void expect_the_referee_agrees(base::Rng& rng, KvType type, float tolerance) {
    base::ThreadPool pool(2);
    engine::AttentionScratch scratch;
    engine::AttentionShape shape = random_shape(rng);
    const std::size_t dim = shape.heads * shape.head_dim, tokens = 1 + rng.below(700);
    const std::uint32_t page_tokens = random_page_tokens(rng);
    const Cache cache(rng, tokens, shape.kv_heads, shape.head_dim, page_tokens, type);
    const Cache other(rng, tokens, shape.kv_heads, shape.head_dim, page_tokens, type);
    const auto rotations = random_rotations(rng, shape, page_tokens, tokens / page_tokens + 1);
    if (rng.below(3) != 0) shape.rotations = &rotations;
    auto rows = random_rows(rng, cache, 1 + rng.below(20), tokens);
    const auto more = random_rows(rng, other, rng.below(4), tokens);
    rows.insert(rows.end(), more.begin(), more.end());
    const std::size_t q_stride = dim + 5, out_stride = dim + 2;
    const std::vector<float> q = test::random_floats(rng, rows.size() * q_stride);
    std::vector<float> expected(rows.size() * out_stride, 9.f);
    engine::reference::attention(expected.data(), out_stride, q.data(), q_stride, rows, shape);
    test::for_each_target([&] {
        std::vector<float> out(expected.size(), 9.f);
        engine::attention(pool, out.data(), out_stride, q.data(), q_stride, rows, shape, scratch);
        for (std::size_t i = 0; i < out.size(); ++i) {
            ASSERT_NEAR(out[i], expected[i], tolerance)
                << "at " << i << ", rows " << rows.size() << ", heads " << shape.heads << "/"
                << shape.kv_heads << ", head_dim " << shape.head_dim << ", tokens " << tokens
                << ", pages of " << page_tokens << ", rotated " << (shape.rotations != nullptr);
        }
    });
}

// f32 sums and an exponential good to 3e-7 keep outputs within 2e-5.
TEST(Attention, PagedMatchesTheReferee) {
    test::for_each_seed(
        16, [&](base::Rng& rng) { expect_the_referee_agrees(rng, KvType::f16, 2e-5f); });
}
// The referee rounds neither queries nor weights to the 8 bits of BF16.
TEST(Attention, Bf16MatchesTheRefereeButForRoundedInputs) {
    test::for_each_seed(
        16, [&](base::Rng& rng) { expect_the_referee_agrees(rng, KvType::bf16, 1.5e-2f); });
}
// The referee does not round queries: 1/254 of the largest in 32 dims each, in scores up to 4.
TEST(Attention, Q8MatchesTheRefereeButForRoundedQueries) {
    test::for_each_seed(12,
                        [&](base::Rng& rng) { expect_the_referee_agrees(rng, KvType::q8, 3e-2f); });
}

TEST(Attention, ARowIsTheSameInAnyBatchAndOnAnyThreads) {
    test::for_each_seed(9, [&](base::Rng& rng) {
        engine::AttentionShape shape = random_shape(rng);
        const std::size_t dim = shape.heads * shape.head_dim, tokens = 200 + rng.below(900);
        const std::uint32_t page_tokens = random_page_tokens(rng);
        const auto type = static_cast<KvType>(rng.below(3));
        const Cache cache(rng, tokens, shape.kv_heads, shape.head_dim, page_tokens, type);
        const auto rotations = random_rotations(rng, shape, page_tokens, tokens / page_tokens + 1);
        shape.rotations = &rotations;
        const auto rows = random_rows(rng, cache, 1 + rng.below(40), tokens);
        const std::vector<float> q = test::random_floats(rng, rows.size() * dim);
        engine::AttentionScratch scratch;
        test::for_each_target([&] {
            base::ThreadPool one(1), three(3);
            std::vector<float> together(rows.size() * dim), alone(together.size());
            engine::attention(one, together.data(), dim, q.data(), dim, rows, shape, scratch);
            for (std::size_t r = 0; r < rows.size(); ++r) {
                engine::attention(three, alone.data() + r * dim, dim, q.data() + r * dim, dim,
                                  std::span(rows).subspan(r, 1), shape, scratch);
            }
            ASSERT_TRUE(test::same_bits(together, alone));
        });
    });
}

TEST(Attention, NanStaysWithTheRowsThatSeeIt) {
    base::ThreadPool pool(2);
    base::Rng rng(4);
    engine::AttentionScratch scratch;
    const engine::AttentionShape shape{4, 2, 64, 0.125f, 0.f, nullptr};
    for (const KvType type : {KvType::f16, KvType::bf16, KvType::q8}) {
        Cache cache(rng, 100, 2, 64, 16, type);
        cache.keys[50][0] = std::numeric_limits<float>::quiet_NaN();  // kv head 0
        engine::kv_store(cache.view, 50, cache.keys[50].data(), cache.values[50].data(), 2, 64);
        const std::vector<engine::AttentionRow> rows = {{&cache.view, 49, 0},
                                                        {&cache.view, 50, 0},
                                                        {&cache.view, 60, 0},
                                                        {&cache.view, 99, 51}};
        const std::vector<float> q = test::random_floats(rng, rows.size() * 256);
        test::for_each_target([&] {
            std::vector<float> out(rows.size() * 256);
            engine::attention(pool, out.data(), 256, q.data(), 256, rows, shape, scratch);
            for (std::size_t d = 0; d < 128; ++d) {
                ASSERT_TRUE(std::isfinite(out[d]));
                ASSERT_TRUE(std::isnan(out[256 + d]));
                ASSERT_TRUE(std::isnan(out[512 + d]));
                ASSERT_TRUE(std::isfinite(out[768 + d]));
                ASSERT_TRUE(std::isfinite(out[256 + 128 + d])) << "the other kv head is clean";
            }
        });
    }
}

/// Attention over keys rotated by their whole positions.
std::vector<float> with_absolute_positions(std::span<const float> inv_freq,
                                           engine::RopePairing pairing, std::uint32_t page_tokens,
                                           const std::vector<std::vector<float>>& keys,
                                           const std::vector<std::vector<float>>& values,
                                           std::vector<float> q,
                                           const engine::AttentionShape& shape) {
    base::ThreadPool pool(1);
    base::Rng rng(1);
    Cache cache(rng, keys.size(), shape.kv_heads, shape.head_dim, page_tokens, KvType::f16);
    for (std::uint32_t t = 0; t < keys.size(); ++t) {
        std::vector<float> key = keys[t];
        engine::reference::rope(key.data(), 1, shape.kv_heads, shape.head_dim, key.size(),
                                2 * inv_freq.size(), inv_freq, {&t, 1}, pairing, 1.f);
        engine::kv_store(cache.view, t, key.data(), values[t].data(), shape.kv_heads,
                         shape.head_dim);
    }
    const auto last = static_cast<std::uint32_t>(keys.size() - 1);
    engine::reference::rope(q.data(), 1, shape.heads, shape.head_dim, q.size(), 2 * inv_freq.size(),
                            inv_freq, {&last, 1}, pairing, 1.f);
    std::vector<float> out(q.size());
    const engine::AttentionRow row{&cache.view, last, 0};
    engine::reference::attention(out.data(), out.size(), q.data(), q.size(), {&row, 1}, shape);
    return out;
}

// Keys are cached rotated by their offset in their page; the same pages then serve a context with
// pages gone from its middle.
TEST(PageRotations, GiveWhatAbsolutePositionsGiveAlsoAfterPagesWereDropped) {
    test::for_each_seed(8, [&](base::Rng& rng) {
        engine::AttentionShape shape = random_shape(rng);
        shape.soft_cap = 0.f;
        shape.scale /= 4.f;
        constexpr std::uint32_t kPage = 32;
        const std::size_t tokens = 170 + rng.below(150), dropped = 2;
        std::vector<float> inv_freq(shape.head_dim / 4 + 1);
        for (float& f : inv_freq) f = static_cast<float>(rng.uniform());
        const auto pairing =
            rng.below(2) == 0 ? engine::RopePairing::adjacent : engine::RopePairing::halves;
        Cache cache(rng, tokens, shape.kv_heads, shape.head_dim, kPage, KvType::f16);
        for (std::uint32_t t = 0; t < tokens; ++t) {
            std::vector<float> key = cache.keys[t];
            const std::uint32_t offset = t % kPage;
            engine::reference::rope(key.data(), 1, shape.kv_heads, shape.head_dim, key.size(),
                                    2 * inv_freq.size(), inv_freq, {&offset, 1}, pairing, 1.f);
            engine::kv_store(cache.view, t, key.data(), cache.values[t].data(), shape.kv_heads,
                             shape.head_dim);
        }
        engine::PageRotations rotations(inv_freq, pairing, kPage);
        rotations.cover(tokens / kPage + 1);
        const auto q = test::random_floats(rng, shape.heads * shape.head_dim);
        for (const bool shifted : {false, true}) {
            auto keys = cache.keys, values = cache.values;
            auto k_pages = cache.k_pages, v_pages = cache.v_pages;
            if (shifted) {
                const auto drop = [&](auto& from, std::size_t unit) {
                    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(unit);
                    from.erase(begin, begin + static_cast<std::ptrdiff_t>(dropped * unit));
                };
                drop(keys, kPage);
                drop(values, kPage);
                drop(k_pages, 1);
                drop(v_pages, 1);
            }
            const auto expected =
                with_absolute_positions(inv_freq, pairing, kPage, keys, values, q, shape);
            const engine::KvLayerView view{k_pages, v_pages, kPage, KvType::f16};
            const engine::AttentionRow row{&view, static_cast<std::uint32_t>(keys.size() - 1), 0};
            auto turned = q;
            const std::uint32_t offset = row.position % kPage;
            engine::reference::rope(turned.data(), 1, shape.heads, shape.head_dim, q.size(),
                                    2 * inv_freq.size(), inv_freq, {&offset, 1}, pairing, 1.f);
            engine::AttentionShape relative = shape;
            relative.rotations = &rotations;
            base::ThreadPool pool(2);
            engine::AttentionScratch scratch;
            std::vector<float> out(q.size());
            engine::attention(pool, out.data(), q.size(), turned.data(), q.size(), {&row, 1},
                              relative, scratch);
            // Both round their keys to 11 bits of mantissa, at different angles.
            for (std::size_t i = 0; i < out.size(); ++i) {
                ASSERT_NEAR(out[i], expected[i], 1e-3) << i << ", dropped " << shifted;
            }
        }
    });
}

TEST(Attention, FullMatchesTheReferee) {
    base::ThreadPool pool(2);
    engine::AttentionScratch scratch;
    test::for_each_seed(8, [&](base::Rng& rng) {
        const auto heads = 1 + static_cast<std::uint32_t>(rng.below(6));
        const auto head_dim = 4 + static_cast<std::uint32_t>(rng.below(70));
        const std::size_t tokens = 1 + rng.below(200), n = tokens * heads * head_dim;
        const auto q = test::random_floats(rng, n), k = test::random_floats(rng, n);
        const auto v = test::random_floats(rng, n);
        std::vector<float> expected(n);
        engine::reference::attention_full(expected.data(), q.data(), k.data(), v.data(), tokens,
                                          heads, head_dim, 0.5f);
        test::for_each_target([&] {
            std::vector<float> out(n);
            engine::attention_full(pool, out.data(), q.data(), k.data(), v.data(), tokens, heads,
                                   head_dim, 0.5f, scratch);
            for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(out[i], expected[i], 2e-5) << i;
        });
    });
}

TEST(KvStore, RoundsAsTheReferee) {
    test::for_each_seed(12, [&](base::Rng& rng) {
        const auto kv_heads = static_cast<std::uint32_t>(1 + rng.below(3));
        const auto head_dim = static_cast<std::uint32_t>(1 + rng.below(100));
        const auto type = static_cast<KvType>(rng.below(3));
        const std::uint32_t page_tokens = random_page_tokens(rng);
        const auto position = static_cast<std::uint32_t>(rng.below(page_tokens));
        auto k = test::random_floats(rng, kv_heads * head_dim);
        auto v = test::random_floats(rng, kv_heads * head_dim);
        k[0] = 1e6f;  // over the F16 range
        if (rng.below(3) == 0) v[rng.below(v.size())] = std::numeric_limits<float>::infinity();
        const std::size_t plane = engine::kv_plane_bytes(type, page_tokens, kv_heads, head_dim);
        std::vector<std::byte> expected(2 * plane);
        std::byte *k_page = expected.data(), *v_page = expected.data() + plane;
        engine::reference::kv_store({{&k_page, 1}, {&v_page, 1}, page_tokens, type}, position,
                                    k.data(), v.data(), kv_heads, head_dim);
        test::for_each_target([&] {
            std::vector<std::byte> out(2 * plane);
            std::byte *k_out = out.data(), *v_out = out.data() + plane;
            engine::kv_store({{&k_out, 1}, {&v_out, 1}, page_tokens, type}, position, k.data(),
                             v.data(), kv_heads, head_dim);
            ASSERT_TRUE(out == expected) << "type " << static_cast<int>(type);
        });
    });
}

}  // namespace
