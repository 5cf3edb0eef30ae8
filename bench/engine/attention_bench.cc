// Attention over a paged cache (type 0: F16, 1: BF16, 2: Q8), and the row operations around it, at
// the shapes of SmolLM2-135M (9 heads over 3 KV heads of 64), Qwen2.5-0.5B (14 over 2) and a 1B
// llama (32 over 8). GB/s counts the pages once, GOP/s two operations per multiply-add.

#include <benchmark/benchmark.h>

#include <vector>

#include "base/exec/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/page_rotations.h"

namespace {

void attention(benchmark::State& state) {
    const auto heads = static_cast<std::uint32_t>(state.range(0));
    const auto kv_heads = static_cast<std::uint32_t>(state.range(1));
    const auto tokens = static_cast<std::size_t>(state.range(2));
    const auto rows = static_cast<std::size_t>(state.range(3));
    const auto type = static_cast<engine::KvType>(state.range(5));
    constexpr std::uint32_t kDim = 64, kPageTokens = 32;
    base::ThreadPool pool(static_cast<std::size_t>(state.range(4)));
    const std::size_t pages = (tokens + kPageTokens - 1) / kPageTokens;
    const std::size_t plane = engine::kv_plane_bytes(type, kPageTokens, kv_heads, kDim);
    // As many layers as go past the caches: a decode step meets each page once.
    const std::size_t layers = rows > 1 ? 1 : 1 + (std::size_t{64} << 20) / (2 * pages * plane);
    std::vector<std::byte> cache(2 * layers * pages * plane);
    std::vector<std::vector<std::byte*>> k(layers), v(layers);
    std::vector<engine::KvLayerView> views(layers);
    const std::vector<float> token(kv_heads * kDim, 0.25f);
    for (std::size_t l = 0; l < layers; ++l) {
        for (std::size_t p = 0; p < pages; ++p) {
            k[l].push_back(cache.data() + 2 * (p * layers + l) * plane);
            v[l].push_back(cache.data() + (2 * (p * layers + l) + 1) * plane);
        }
        views[l] = {k[l], v[l], kPageTokens, type};
        for (std::uint32_t t = 0; t < tokens; ++t) {
            engine::kv_store(views[l], t, token.data(), token.data(), kv_heads, kDim);
        }
    }
    const std::vector<float> inv_freq(kDim / 2, 0.01f);
    engine::PageRotations rotations(inv_freq, engine::RopePairing::halves, kPageTokens);
    rotations.cover(pages);
    std::vector<std::vector<engine::AttentionRow>> attend(layers);
    for (std::size_t r = 0; r < rows * layers; ++r) {
        const auto position = static_cast<std::uint32_t>(tokens - rows + r / layers);
        attend[r % layers].push_back({&views[r % layers], position, 0});
    }
    std::vector<float> q(rows * heads * kDim, 0.1f), out(q.size());
    engine::AttentionScratch scratch;
    std::size_t layer = 0;
    for (auto _ : state) {
        engine::attention(pool, out.data(), heads * kDim, q.data(), heads * kDim, attend[layer],
                          {heads, kv_heads, kDim, 0.125f, 0.f, &rotations}, scratch);
        benchmark::DoNotOptimize(out.data());
        layer = (layer + 1) % layers;
    }
    const auto runs = static_cast<double>(state.iterations());
    const auto seen = static_cast<double>(tokens) - static_cast<double>(rows - 1) / 2;
    state.counters["GB/s"] = benchmark::Counter(runs * 2e-9 * static_cast<double>(pages * plane),
                                                benchmark::Counter::kIsRate);
    state.counters["GOP/s"] = benchmark::Counter(
        runs * 4e-9 * seen * static_cast<double>(rows * heads * kDim), benchmark::Counter::kIsRate);
}
BENCHMARK(attention)
    ->ArgNames({"heads", "kv_heads", "tokens", "rows", "threads", "type"})
    ->ArgsProduct({{9}, {3}, {128, 1024, 4096}, {1, 64}, {1, 2}, {0}})
    ->ArgsProduct({{14}, {2}, {1024, 4096, 8192}, {1, 256}, {1, 2}, {0, 1, 2}})
    ->ArgsProduct({{32}, {8}, {1024, 4096, 8192}, {1, 256}, {1, 2}, {0, 1, 2}})
    ->UseRealTime();

void decode_row_operations(benchmark::State& state) {
    base::ThreadPool pool(1);
    std::vector<float> x(1536, 0.3f), y(1536, 0.2f), w(576, 1.f), inv_freq(32, 0.01f);
    const std::uint32_t position[] = {77};
    for (auto _ : state) {
        engine::rms_norm(pool, y.data(), x.data(), w.data(), 1, 576, 1e-5f);
        engine::rope(pool, y.data(), 1, 9, 64, 576, 64, inv_freq, position,
                     engine::RopePairing::adjacent, 1.f);
        engine::rope(pool, y.data(), 1, 3, 64, 192, 64, inv_freq, position,
                     engine::RopePairing::adjacent, 1.f);
        engine::gated(pool, y.data(), x.data(), x.data(), 1536, engine::Activation::silu);
        engine::rms_norm(pool, y.data(), x.data(), w.data(), 1, 576, 1e-5f);
        benchmark::DoNotOptimize(y.data());
    }
}
BENCHMARK(decode_row_operations);

void pool_round_trip(benchmark::State& state) {
    base::ThreadPool pool(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) pool.run(8, [](std::size_t, std::size_t) {});
}
BENCHMARK(pool_round_trip)->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
