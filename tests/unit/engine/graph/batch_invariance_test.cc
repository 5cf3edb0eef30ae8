// A row's logits are the same bits whoever is computed beside it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/files/files.h"
#include "engine/model_files/file_type.h"
#include "engine/model_files/quantize.h"
#include "engine/packed_weights.h"
#include "support/seeds.h"
#include "unit/engine/graph/graph_runner.h"
#include "unit/engine/graph/synthetic_model.h"

namespace {

using test::GraphRunner;

engine::GgufFile smoke_model() {
    auto file = engine::GgufFile::open(test::source_path("assets/stories260K-f16.gguf"));
    EXPECT_TRUE(file.has_value());
    return *std::move(file);
}

std::vector<std::int32_t> random_ids(base::Rng& rng, std::size_t count) {
    std::vector<std::int32_t> ids(count);
    for (auto& id : ids) id = static_cast<std::int32_t>(rng.below(512));
    return ids;
}

TEST(BatchInvariance, ChunkSizeDoesNotChangeABit) {
    for (const engine::KvType type :
         {engine::KvType::f16, engine::KvType::bf16, engine::KvType::q8}) {
        GraphRunner runner(smoke_model(), 0, 64, type);
        ASSERT_TRUE(runner.ok());
        base::Rng rng(3);
        const auto ids = random_ids(rng, 400);
        const auto alone = runner.all_logits(ids, 1);
        for (const std::uint32_t chunk : {2u, 3u, 7u, 16u, 33u, 64u}) {
            const auto together = runner.all_logits(ids, chunk);
            ASSERT_EQ(together.size(), alone.size());
            EXPECT_EQ(std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)), 0)
                << "in chunks of " << chunk << ", KV as " << engine::kv_type_name(type);
        }
    }
}

/// Logits in chunks of any size, from stored and from packed weights, against one row at a time.
void expect_invariant(const std::string& path, const std::string& what) {
    auto file = engine::GgufFile::open(path);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    GraphRunner runner(*std::move(file));
    ASSERT_TRUE(runner.ok());
    base::Rng rng(4);
    std::vector<std::int32_t> ids(48);
    for (auto& id : ids) id = static_cast<std::int32_t>(rng.below(runner.vocab()));
    const auto alone = runner.all_logits(ids, 1);
    const auto expect_same = [&](std::uint32_t chunk, const char* form) {
        const auto together = runner.all_logits(ids, chunk);
        ASSERT_EQ(together.size(), alone.size());
        EXPECT_EQ(std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)), 0)
            << what << form << ", in chunks of " << chunk;
    };
    for (const std::uint32_t chunk : {2u, 5u, 8u, 9u, 48u}) expect_same(chunk, "");
    const auto packed =
        engine::PackedWeights::in_memory(runner.pool(), runner.decoder().products());
    ASSERT_TRUE(packed.has_value());
    for (const std::uint32_t chunk : {1u, 7u, 48u}) expect_same(chunk, " packed");
}

// Products take other code paths for one row, a few, and many; and from packed weights.
TEST(BatchInvariance, HoldsForEveryType) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "types");
    ASSERT_TRUE(folder.has_value());
    test::write_synthetic(test::synthetic("llama"), folder->path() + "/f32.gguf");
    for (const char* type : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"}) {
        const std::string path = folder->path() + "/" + type + ".gguf";
        const auto file_type = engine::file_type_from_name(type);
        ASSERT_TRUE(file_type.has_value());
        ASSERT_TRUE(
            engine::quantize_model(folder->path() + "/f32.gguf", path, *file_type).has_value());
        expect_invariant(path, type);
    }
}

// Rows that come along change which experts are computed, and for how many rows.
TEST(BatchInvariance, HoldsForExperts) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "experts");
    ASSERT_TRUE(folder.has_value());
    for (const char* name : {"mixtral", "qwen2moe", "qwen3moe", "olmoe"}) {
        const std::string path = folder->path() + "/" + name + ".gguf";
        test::write_synthetic(test::synthetic(name), path);
        expect_invariant(path, name);
    }
}

TEST(BatchInvariance, OtherSequencesDoNotChangeABit) {
    GraphRunner runner(smoke_model());
    ASSERT_TRUE(runner.ok());
    test::for_each_seed(5, [&](base::Rng& rng) {
        std::vector<std::vector<std::int32_t>> prompts;
        std::vector<engine::KvSequence> kv;
        for (int s = 0; s < 4; ++s) {
            prompts.push_back(random_ids(rng, 1 + rng.below(30)));
            kv.push_back(runner.sequence(32));
        }
        // Random steps of mixed rows; each sequence's last row is compared with the same alone.
        std::vector<std::uint32_t> done(prompts.size(), 0);
        std::vector<std::vector<float>> last(prompts.size());
        for (bool more = true; more;) {
            more = false;
            std::vector<engine::BatchRow> rows;
            std::vector<std::size_t> ends;
            for (std::size_t s = 0; s < prompts.size(); ++s) {
                const auto size = static_cast<std::uint32_t>(prompts[s].size());
                const auto take =
                    std::min(size - done[s], static_cast<std::uint32_t>(rng.below(9)));
                for (std::uint32_t p = done[s]; p < done[s] + take; ++p) {
                    rows.push_back({prompts[s][p], &kv[s], p, p + 1 == size});
                    if (p + 1 == size) ends.push_back(s);
                }
                done[s] += take;
                more |= done[s] < size;
            }
            if (rows.empty()) continue;
            const auto logits = runner.decoder().logits(runner.pool(), rows);
            for (std::size_t i = 0; i < ends.size(); ++i) {
                const auto part = logits.subspan(i * runner.vocab(), runner.vocab());
                last[ends[i]].assign(part.begin(), part.end());
            }
        }
        for (std::size_t s = 0; s < prompts.size(); ++s) {
            const auto alone = runner.all_logits(prompts[s], 1);
            ASSERT_EQ(last[s].size(), runner.vocab());
            EXPECT_EQ(std::memcmp(last[s].data(), alone.data() + alone.size() - runner.vocab(),
                                  runner.vocab() * sizeof(float)),
                      0);
        }
    });
}

TEST(Decoder, HiddenStatesAreThoseTheHeadSees) {
    GraphRunner runner(smoke_model());
    ASSERT_TRUE(runner.ok());
    const auto kv = runner.sequence(2);
    const std::vector<engine::BatchRow> rows = {{1, &kv, 0, true}, {403, &kv, 1, true}};
    const auto hidden = runner.decoder().hidden_states(runner.pool(), rows);
    ASSERT_EQ(hidden.size(), 2 * runner.decoder().config().dim);
    for (const float value : hidden) EXPECT_TRUE(std::isfinite(value));
}

TEST(Decoder, AChunkThatNobodyReadsGivesNoLogits) {
    GraphRunner runner(smoke_model());
    ASSERT_TRUE(runner.ok());
    const auto kv = runner.sequence(1);
    const std::vector<engine::BatchRow> rows = {{1, &kv, 0, false}};
    EXPECT_TRUE(runner.decoder().logits(runner.pool(), rows).empty());
}

}  // namespace
