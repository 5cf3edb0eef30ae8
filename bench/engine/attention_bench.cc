// Attention over a paged F16 cache, and the row operations around it, at the shapes of
// SmolLM2-135M (9 heads over 3 KV heads of 64) and of a 1B llama (32 over 8 of 64).
// GB/s counts keys and values read once per row group, GOP/s two operations per multiply-add.

#include <benchmark/benchmark.h>

#include <vector>

#include "base/exec/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/tensor/blocks.h"

namespace {

void attention(benchmark::State& state) {
    const auto heads = static_cast<std::uint32_t>(state.range(0));
    const auto kv_heads = static_cast<std::uint32_t>(state.range(1));
    const auto tokens = static_cast<std::size_t>(state.range(2));
    const auto rows = static_cast<std::size_t>(state.range(3));
    constexpr std::uint32_t kDim = 64, kPageTokens = 32;
    base::ThreadPool pool(static_cast<std::size_t>(state.range(4)));
    const std::size_t kv_dim = kv_heads * kDim, pages = (tokens + kPageTokens - 1) / kPageTokens;
    std::vector<std::uint16_t> cache(2 * pages * kPageTokens * kv_dim, engine::f32_to_f16(0.25f));
    std::vector<std::byte*> k, v;
    for (std::size_t p = 0; p < pages; ++p) {
        std::uint16_t* plane = cache.data() + 2 * p * kPageTokens * kv_dim;
        k.push_back(reinterpret_cast<std::byte*>(plane));
        v.push_back(reinterpret_cast<std::byte*>(plane + kPageTokens * kv_dim));
    }
    const engine::KvLayerView view{k, v, kPageTokens};
    std::vector<engine::AttentionRow> attend;
    for (std::size_t r = 0; r < rows; ++r) {
        attend.push_back({&view, static_cast<std::uint32_t>(tokens - rows + r), 0});
    }
    std::vector<float> q(rows * heads * kDim, 0.1f), out(q.size());
    for (auto _ : state) {
        engine::attention(pool, out.data(), heads * kDim, q.data(), heads * kDim, attend,
                          {heads, kv_heads, kDim, 0.125f, 0.f});
        benchmark::DoNotOptimize(out.data());
    }
    const auto runs = static_cast<double>(state.iterations());
    const auto seen = static_cast<double>(tokens) - static_cast<double>(rows - 1) / 2;
    state.counters["GB/s"] = benchmark::Counter(runs * 4e-9 * static_cast<double>(tokens * kv_dim),
                                                benchmark::Counter::kIsRate);
    state.counters["GOP/s"] = benchmark::Counter(
        runs * 4e-9 * seen * static_cast<double>(rows * heads * kDim), benchmark::Counter::kIsRate);
}
BENCHMARK(attention)
    ->ArgNames({"heads", "kv_heads", "tokens", "rows", "threads"})
    ->ArgsProduct({{9}, {3}, {128, 1024, 4096}, {1, 64}, {1, 2}})
    ->ArgsProduct({{32}, {8}, {1024}, {1, 64}, {1, 2}})
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
