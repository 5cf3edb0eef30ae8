#include <algorithm>
#include <limits>

#include "engine/kernels/reference.h"
#include "kernel_fixture.h"
#include "support/seeds.h"

namespace {

/// A paged cache of `tokens` random tokens; what lies behind the last one is NaN, as memory that
/// nobody wrote could be.
struct Cache {
    Cache(base::Rng& rng, std::size_t tokens, std::size_t kv_dim, std::uint32_t page_tokens) {
        const std::size_t pages = (tokens + page_tokens - 1) / page_tokens;
        const std::uint16_t nan = 0x7e00;
        k.resize(pages * page_tokens * kv_dim, nan);
        v.resize(k.size(), nan);
        for (std::size_t p = 0; p < pages; ++p) {
            k_pages.push_back(reinterpret_cast<std::byte*>(k.data() + p * page_tokens * kv_dim));
            v_pages.push_back(reinterpret_cast<std::byte*>(v.data() + p * page_tokens * kv_dim));
        }
        view = {k_pages, v_pages, page_tokens};
        for (std::size_t t = 0; t < tokens; ++t) {
            const auto key = test::random_floats(rng, kv_dim),
                       value = test::random_floats(rng, kv_dim);
            engine::kv_store(view, static_cast<std::uint32_t>(t), key.data(), value.data(), kv_dim);
        }
    }
    std::vector<std::uint16_t> k, v;
    std::vector<std::byte*> k_pages, v_pages;
    engine::KvLayerView view;
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

// Outputs are means of values in [-1, 1]; f32 sums and a 3e-7 exp keep them within 2e-5 absolute.
TEST(Attention, PagedMatchesTheReferee) {
    base::ThreadPool pool(2);
    test::for_each_seed(12, [&](base::Rng& rng) {
        const engine::AttentionShape shape = random_shape(rng);
        const std::size_t kv_dim = shape.kv_heads * shape.head_dim,
                          dim = shape.heads * shape.head_dim;
        const std::size_t tokens = 1 + rng.below(400);
        const auto page_tokens = static_cast<std::uint32_t>(1 + rng.below(40));
        const Cache cache(rng, tokens, kv_dim, page_tokens), other(rng, tokens, kv_dim, 16);
        auto rows = random_rows(rng, cache, 1 + rng.below(20), tokens);
        const auto more = random_rows(rng, other, rng.below(4), tokens);
        rows.insert(rows.end(), more.begin(), more.end());
        const std::size_t q_stride = dim + 5, out_stride = dim + 2;
        const std::vector<float> q = test::random_floats(rng, rows.size() * q_stride);
        std::vector<float> expected(rows.size() * out_stride, 9.f);
        engine::reference::attention(expected.data(), out_stride, q.data(), q_stride, rows, shape);
        test::for_each_target([&] {
            std::vector<float> out(expected.size(), 9.f);
            engine::attention(pool, out.data(), out_stride, q.data(), q_stride, rows, shape);
            for (std::size_t i = 0; i < out.size(); ++i) {
                ASSERT_NEAR(out[i], expected[i], 2e-5)
                    << "at " << i << ", rows " << rows.size() << ", heads " << shape.heads << "/"
                    << shape.kv_heads << ", head_dim " << shape.head_dim << ", tokens " << tokens;
            }
        });
    });
}

TEST(Attention, ARowIsTheSameInAnyBatchAndOnAnyThreads) {
    test::for_each_seed(6, [&](base::Rng& rng) {
        const engine::AttentionShape shape = random_shape(rng);
        const std::size_t kv_dim = shape.kv_heads * shape.head_dim,
                          dim = shape.heads * shape.head_dim;
        const std::size_t tokens = 200 + rng.below(500);
        const Cache cache(rng, tokens, kv_dim, 16);
        const auto rows = random_rows(rng, cache, 1 + rng.below(40), tokens);
        const std::vector<float> q = test::random_floats(rng, rows.size() * dim);
        test::for_each_target([&] {
            base::ThreadPool one(1), three(3);
            std::vector<float> together(rows.size() * dim), alone(together.size());
            engine::attention(one, together.data(), dim, q.data(), dim, rows, shape);
            for (std::size_t r = 0; r < rows.size(); ++r) {
                engine::attention(three, alone.data() + r * dim, dim, q.data() + r * dim, dim,
                                  std::span(rows).subspan(r, 1), shape);
            }
            ASSERT_TRUE(test::same_bits(together, alone));
        });
    });
}

TEST(Attention, NanStaysWithTheRowsThatSeeIt) {
    base::ThreadPool pool(2);
    base::Rng rng(4);
    const engine::AttentionShape shape{4, 2, 64, 0.125f, 0.f};
    Cache cache(rng, 100, 128, 16);
    cache.k[50 * 128] = 0x7e00;  // kv head 0, token 50
    const std::vector<engine::AttentionRow> rows = {
        {&cache.view, 49, 0}, {&cache.view, 50, 0}, {&cache.view, 60, 0}, {&cache.view, 99, 51}};
    const std::vector<float> q = test::random_floats(rng, rows.size() * 256);
    test::for_each_target([&] {
        std::vector<float> out(rows.size() * 256);
        engine::attention(pool, out.data(), 256, q.data(), 256, rows, shape);
        for (std::size_t d = 0; d < 128; ++d) {
            ASSERT_TRUE(std::isfinite(out[d]));
            ASSERT_TRUE(std::isnan(out[256 + d]));
            ASSERT_TRUE(std::isnan(out[512 + d]));
            ASSERT_TRUE(std::isfinite(out[768 + d]));
            ASSERT_TRUE(std::isfinite(out[256 + 128 + d])) << "the other kv head is clean";
        }
    });
}

TEST(Attention, FullMatchesTheReferee) {
    base::ThreadPool pool(2);
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
                                   head_dim, 0.5f);
            for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(out[i], expected[i], 2e-5) << i;
        });
    });
}

TEST(KvStore, RoundsAsTheReferee) {
    test::for_each_seed(5, [&](base::Rng& rng) {
        const std::size_t kv_dim = 1 + rng.below(200);
        auto k = test::random_floats(rng, kv_dim);
        const auto v = test::random_floats(rng, kv_dim);
        k[0] = 1e6f;  // over the F16 range
        std::vector<std::uint16_t> fast_k(3 * kv_dim), fast_v(3 * kv_dim), k_ref(3 * kv_dim),
            v_ref(3 * kv_dim);
        const auto plane = [](std::vector<std::uint16_t>& of) {
            return reinterpret_cast<std::byte*>(of.data());
        };
        std::byte *fk = plane(fast_k), *fv = plane(fast_v), *rk = plane(k_ref), *rv = plane(v_ref);
        engine::reference::kv_store({{&rk, 1}, {&rv, 1}, 3}, 1, k.data(), v.data(), kv_dim);
        test::for_each_target([&] {
            engine::kv_store({{&fk, 1}, {&fv, 1}, 3}, 1, k.data(), v.data(), kv_dim);
            ASSERT_EQ(fast_k, k_ref);
            ASSERT_EQ(fast_v, v_ref);
        });
    });
}

}  // namespace
