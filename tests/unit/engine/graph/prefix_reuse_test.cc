// The same bits whether KV was computed here or found: shared, copied in the middle of a page,
// forked, or swapped out and in.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/files/files.h"
#include "engine/kv/prefix_cache.h"
#include "engine/kv/spill_file.h"
#include "support/seeds.h"
#include "unit/engine/graph/graph_runner.h"
#include "unit/engine/graph/synthetic_model.h"
#include "unit/engine/kv/kv_fixture.h"

namespace {

using engine::KvSequence;
using engine::PrefixCache;
using test::GraphRunner;
using test::Tokens;

/// Texts that begin like one another and part anywhere.
Tokens next_text(base::Rng& rng, const std::vector<Tokens>& before, std::uint32_t vocab) {
    Tokens text;
    if (!before.empty() && rng.below(4) != 0) {
        const Tokens& old = before[rng.below(before.size())];
        text.assign(old.begin(),
                    old.begin() + static_cast<std::ptrdiff_t>(rng.below(old.size() + 1)));
    }
    for (std::uint64_t more = 1 + rng.below(40); more > 0; --more) {
        text.push_back(static_cast<engine::TokenId>(rng.below(vocab)));
    }
    if (text.size() > 150) text.resize(150);
    return text;
}

/// Computes the rest of `text` in chunks of any size; the last position's logits.
std::vector<float> complete(base::Rng& rng, GraphRunner& runner, KvSequence& sequence,
                            const Tokens& text) {
    std::vector<float> last;
    while (sequence.tokens() < text.size()) {
        const std::uint32_t at = sequence.tokens();
        const auto count = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(text.size() - at, 1 + rng.below(32)));
        EXPECT_TRUE(sequence.grow_to(at + count).has_value());
        std::vector<engine::BatchRow> rows;
        for (std::uint32_t p = at; p < at + count; ++p) {
            rows.push_back({text[p], &sequence, p, p + 1 == text.size()});
        }
        const auto logits = runner.decoder().logits(runner.pool(), rows);
        last.assign(logits.begin(), logits.end());
        sequence.advance(count);
    }
    return last;
}

void expect_same_bits(GraphRunner& runner, engine::KvType type) {
    engine::KvGeometry geometry = runner.decoder().kv_geometry();
    geometry.type = type;
    test::for_each_seed(3, [&](base::Rng& rng) {
        const auto folder = base::TemporaryDir::create(testing::TempDir(), "spill");
        ASSERT_TRUE(folder.has_value());
        const auto spill = engine::SpillFile::create(folder->path(), 64u << 20);
        ASSERT_TRUE(spill.has_value());
        test::TestClock clock;
        engine::KvPool pool(geometry, 24);
        PrefixCache cache(pool, {}, clock);
        const engine::KvScope scope{"", "tenant"};
        std::vector<Tokens> texts;
        std::uint32_t found = 0;
        for (int i = 0; i < 25; ++i) {
            const Tokens text = next_text(rng, texts, runner.vocab());
            texts.push_back(text);
            std::uint32_t matched = 0;
            KvSequence reused = cache.take(scope, text, &matched);
            found += matched;
            if (rng.below(3) == 0) {
                const auto id = reused.swap_out(**spill);
                ASSERT_TRUE(id.has_value() && reused.swap_in(**spill, *id).has_value());
            }
            KvSequence fork = reused.fork();
            const auto got = complete(rng, runner, reused, text);
            const auto forked = complete(rng, runner, fork, text);
            fork = KvSequence();
            cache.put(scope, text, reused, {}, PrefixCache::Tail::keep);
            reused = KvSequence();
            KvSequence fresh = pool.sequence();
            const auto expected = complete(rng, runner, fresh, text);
            ASSERT_EQ(got.size(), expected.size());
            const std::size_t bytes = expected.size() * sizeof(float);
            ASSERT_EQ(std::memcmp(got.data(), expected.data(), bytes), 0)
                << "text " << i << ", " << matched << " of " << text.size() << " tokens found";
            ASSERT_EQ(std::memcmp(forked.data(), expected.data(), bytes), 0) << "text " << i;
        }
        EXPECT_GT(found, 100u);
    });
}

TEST(PrefixReuse, ChangesNoBitForAnyKvType) {
    for (const engine::KvType type :
         {engine::KvType::f16, engine::KvType::bf16, engine::KvType::q8}) {
        auto file = engine::GgufFile::open(test::source_path("assets/stories260K-f16.gguf"));
        ASSERT_TRUE(file.has_value());
        GraphRunner runner(*std::move(file), 0, 64, type);
        ASSERT_TRUE(runner.ok());
        expect_same_bits(runner, type);
    }
}

TEST(PrefixReuse, ChangesNoBitUnderASlidingWindow) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "model");
    ASSERT_TRUE(folder.has_value());
    const std::string path = folder->path() + "/gemma3.gguf";
    test::write_synthetic(test::synthetic("gemma3"), path);
    auto file = engine::GgufFile::open(path);
    ASSERT_TRUE(file.has_value());
    GraphRunner runner(*std::move(file));
    ASSERT_TRUE(runner.ok());
    expect_same_bits(runner, engine::KvType::f16);
}

}  // namespace
