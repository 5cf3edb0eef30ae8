// What the prefix cache costs a request: finding and sharing a long prefix, noting a filled page,
// copying a part of a page. Compare with a decode step of milliseconds.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "base/core/clock.h"
#include "base/core/rng.h"
#include "engine/kv/kv_sequence.h"
#include "engine/kv/prefix_cache.h"

namespace {

using engine::KvSequence;
using engine::PrefixCache;
using engine::TokenId;

/// A model of the default one's shape with `tokens` of one text cached, beside 1,000 other texts
/// that share its first page.
class Cached {
public:
    explicit Cached(std::uint32_t tokens) {
        for (std::uint32_t i = 0; i < tokens + 1; ++i) text.push_back(random_token());
        for (int other = 0; other < 1000; ++other) {
            std::vector<TokenId> short_text(text.begin(), text.begin() + 32);
            for (int i = 0; i < 32; ++i) short_text.push_back(random_token());
            add(short_text);
        }
        add(text);
    }
    void add(std::span<const TokenId> tokens) {
        KvSequence sequence = cache.take(scope, tokens);
        const auto count = static_cast<std::uint32_t>(tokens.size());
        if (!sequence.grow_to(count)) return;
        sequence.set_written(count);
        cache.put(scope, tokens, sequence);
    }
    TokenId random_token() { return static_cast<TokenId>(rng.below(49'152)); }

    base::Rng rng{1};
    base::SystemClock clock;
    engine::KvPool pool{{.layers = 30, .kv_heads = 3, .head_dim = 64}, 2000};
    PrefixCache cache{pool, {}, clock};
    const engine::KvScope scope{"", "tenant"};
    std::vector<TokenId> text;
};

void take_and_give_back(benchmark::State& state) {
    Cached cached(static_cast<std::uint32_t>(state.range(0)));
    for (auto _ : state) {
        std::uint32_t matched = 0;
        const KvSequence sequence = cached.cache.take(cached.scope, cached.text, &matched);
        if (matched + 1 != cached.text.size()) state.SkipWithError("the prefix was not found");
    }
}
BENCHMARK(take_and_give_back)->Arg(32)->Arg(1024)->Arg(8192)->Unit(benchmark::kMicrosecond);

void put_what_is_there(benchmark::State& state) {
    Cached cached(static_cast<std::uint32_t>(state.range(0)));
    const KvSequence sequence = cached.cache.take(cached.scope, cached.text);
    for (auto _ : state) cached.cache.put(cached.scope, cached.text, sequence, "session");
}
BENCHMARK(put_what_is_there)->Arg(32)->Arg(1024)->Arg(8192)->Unit(benchmark::kMicrosecond);

void take_with_a_part_of_a_page(benchmark::State& state) {
    Cached cached(64);
    cached.text[32 + 20] += 1;
    for (auto _ : state) {
        std::uint32_t matched = 0;
        const KvSequence sequence = cached.cache.take(cached.scope, cached.text, &matched);
        if (matched != 32 + 20) state.SkipWithError("the part was not found");
    }
}
BENCHMARK(take_with_a_part_of_a_page)->Unit(benchmark::kMicrosecond);

}  // namespace
