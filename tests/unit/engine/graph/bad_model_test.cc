// A wrong model file is refused with the key or tensor at fault, and never crashes.

#include <gtest/gtest.h>

#include <cstring>

#include "base/files/files.h"
#include "support/seeds.h"
#include "unit/engine/graph/graph_runner.h"
#include "unit/engine/graph/synthetic_model.h"

namespace {

using engine::GgufFile;
using engine::load_model;
using test::SyntheticModel;

SyntheticModel llama() {
    return test::synthetic("llama");
}

/// Writes the model, opens it and loads it; the error if any.
std::optional<base::Error> load_error(const SyntheticModel& model,
                                      engine::ModelLimits limits = {}) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "bad");
    EXPECT_TRUE(folder.has_value());
    const std::string path = folder->path() + "/model.gguf";
    test::write_synthetic(model, path);
    const auto file = GgufFile::open(path);
    EXPECT_TRUE(file.has_value());
    const auto loaded = load_model(*file, limits);
    if (loaded) return std::nullopt;
    return loaded.error();
}

SyntheticModel with_key(const std::string& key, std::uint32_t value,
                        SyntheticModel model = llama()) {
    model.keys = [=, keys = model.keys](engine::GgufWriter& w) {
        keys(w);
        w.set_u32(key, value);
    };
    return model;
}

TEST(BadModel, TheUnchangedOneLoads) {
    EXPECT_FALSE(load_error(llama()).has_value());
}

TEST(BadModel, AKeyOutOfRangeIsNamed) {
    for (const char* suffix :
         {"block_count", "embedding_length", "context_length", "attention.head_count",
          "attention.head_count_kv", "feed_forward_length", "rope.dimension_count"}) {
        const std::string key = std::string("llama.") + suffix;
        for (const std::uint32_t value : {0u, UINT32_MAX}) {
            const auto error = load_error(with_key(key, value));
            ASSERT_TRUE(error.has_value()) << key << " = " << value;
            EXPECT_EQ(error->code, base::Code::data_loss) << error->message;
            EXPECT_EQ(error->subject, key) << error->message;
        }
    }
}

TEST(BadModel, HeadsThatDoNotDivideAreNamed) {
    const auto error = load_error(with_key("llama.attention.head_count_kv", 3));
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->subject, "llama.attention.head_count_kv");
}

TEST(BadModel, ExpertsInAFamilyWithoutThemAreRefused) {
    const auto error = load_error(with_key("qwen3.expert_count", 8, test::synthetic("qwen3")));
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code, base::Code::unimplemented);
    EXPECT_EQ(error->subject, "qwen3.expert_count");
}

TEST(BadModel, ExpertNumbersOutOfRangeAreNamed) {
    for (const auto& [key, value] :
         {std::pair{"qwen2moe.expert_count", 0u}, std::pair{"qwen2moe.expert_count", UINT32_MAX},
          std::pair{"qwen2moe.expert_used_count", 0u}, std::pair{"qwen2moe.expert_used_count", 12u},
          std::pair{"qwen2moe.expert_feed_forward_length", UINT32_MAX},
          std::pair{"qwen2moe.expert_gating_func", 2u}}) {
        const auto error = load_error(with_key(key, value, test::synthetic("qwen2moe")));
        ASSERT_TRUE(error.has_value()) << key << " = " << value;
        EXPECT_EQ(error->subject, key) << error->message;
    }
}

TEST(BadModel, EveryMissingTensorOfAnExpertModelIsNamed) {
    const SyntheticModel whole = test::synthetic("qwen2moe");
    for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
        SyntheticModel model = whole;
        const std::string name = model.tensors[i].name;
        if (name == "output.weight" || name.ends_with(".bias")) continue;  // may be left out
        model.tensors.erase(model.tensors.begin() + static_cast<std::ptrdiff_t>(i));
        const auto error = load_error(model);
        ASSERT_TRUE(error.has_value()) << name;
        EXPECT_NE(error->message.find(name), std::string::npos) << error->message;
    }
}

TEST(BadModel, AnUnknownArchitectureIsNamed) {
    SyntheticModel model = llama();
    model.architecture = "mamba";
    const auto error = load_error(model);
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code, base::Code::unimplemented);
    EXPECT_NE(error->message.find("mamba"), std::string::npos);
}

TEST(BadModel, EveryMissingTensorIsNamed) {
    for (std::size_t i = 0; i < llama().tensors.size(); ++i) {
        SyntheticModel model = llama();
        const std::string name = model.tensors[i].name;
        model.tensors.erase(model.tensors.begin() + static_cast<std::ptrdiff_t>(i));
        const auto error = load_error(model);
        if (name == "output.weight") {  // then the embeddings serve
            EXPECT_FALSE(error.has_value());
            continue;
        }
        ASSERT_TRUE(error.has_value()) << name;
        EXPECT_NE(error->message.find(name), std::string::npos) << error->message;
    }
}

TEST(BadModel, AWrongShapeSaysFoundAndExpected) {
    SyntheticModel model = llama();
    for (auto& tensor : model.tensors) {
        if (tensor.name == "blk.1.ffn_up.weight") tensor.dims[1] += 32;
    }
    const auto error = load_error(model);
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->subject, "blk.1.ffn_up.weight");
    EXPECT_NE(error->message.find("[64, 128"), std::string::npos) << error->message;
    EXPECT_NE(error->message.find("[64, 96"), std::string::npos) << error->message;
}

// 2^20 wide and 2^20 rows would be 8 TB of buffers for a file of some kilobytes.
TEST(BadModel, WidthsTheFileDoesNotHaveTakeNoMemory) {
    const auto error = load_error(with_key("llama.feed_forward_length", 1u << 20), {0, 1u << 20});
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code, base::Code::data_loss);
}

TEST(BadModel, ATensorNobodyReadsIsRefused) {
    SyntheticModel model = llama();
    model.tensors.push_back({"blk.0.attn_sinks.weight", {4}, 0.f, 1.f});
    const auto error = load_error(model);
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code, base::Code::unimplemented);
    EXPECT_EQ(error->subject, "blk.0.attn_sinks.weight");
}

TEST(BadModel, AContextBeyondTrainingSaysBothNumbers) {
    const auto error = load_error(llama(), {4096, 64});
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code, base::Code::invalid_argument);
    EXPECT_NE(error->message.find("4096"), std::string::npos);
    EXPECT_NE(error->message.find("1024"), std::string::npos);
}

/// Loads and runs `damaged` as far as it goes.
void try_to_run(const std::string& damaged) {
    auto file = GgufFile::from_memory(std::as_bytes(std::span(damaged)), "damaged");
    if (!file) return;
    const auto model = load_model(*file, {0, 8});
    if (!model || model->decoder == nullptr) return;
    base::ThreadPool pool(1);
    engine::KvPool kv(model->decoder->kv_geometry(), 4);
    engine::KvSequence sequence = kv.sequence();
    ASSERT_TRUE(sequence.grow_to(8).has_value());
    const std::vector<engine::BatchRow> rows = {{0, &sequence, 0, false}, {1, &sequence, 1, true}};
    EXPECT_EQ(model->decoder->logits(pool, rows).size(), model->decoder->config().vocab_size);
}

// Damaged headers either fail to open, fail to load, or load a model that is safe to run.
TEST(BadModel, RandomDamageNeverCrashes) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "fuzz");
    ASSERT_TRUE(folder.has_value());
    for (const char* name : {"llama", "qwen2moe"}) {
        const std::string path = folder->path() + "/" + name + ".gguf";
        test::write_synthetic(test::synthetic(name), path);
        const auto bytes = base::read_file(path);
        ASSERT_TRUE(bytes.has_value());
        const std::size_t header_bytes = 2500;
        test::for_each_seed(300, [&](base::Rng& rng) {
            std::string damaged = *bytes;
            for (std::uint64_t i = 0; i <= rng.below(4); ++i) {
                damaged[rng.below(header_bytes)] = static_cast<char>(rng.below(256));
            }
            try_to_run(damaged);
        });
    }
}

}  // namespace
