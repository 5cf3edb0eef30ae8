#include "engine/model_files/gguf.h"

#include <gtest/gtest.h>

namespace {

const std::string kStories = std::string(DG_SOURCE_DIR) + "/assets/stories260K-f16.gguf";

TEST(GgufFile, ReadsAPublishedModel) {
    const auto file = engine::GgufFile::open(kStories);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->architecture().value(), "llama");
    EXPECT_EQ(file->get_u32("llama.block_count").value(), 5u);
    const engine::TensorView* embedding = file->find_tensor("token_embd.weight");
    ASSERT_NE(embedding, nullptr);
    EXPECT_EQ(embedding->dims[0], 64u);
    EXPECT_EQ(embedding->dims[1], 512u);
}

TEST(ReadModelInfo, DescribesAPublishedModel) {
    const auto file = engine::GgufFile::open(kStories);
    ASSERT_TRUE(file.has_value());
    const auto info = engine::read_model_info(*file);
    ASSERT_TRUE(info.has_value()) << info.error().message;
    EXPECT_EQ(info->architecture, "llama");
    EXPECT_EQ(info->quantization, "F16");
    EXPECT_EQ(info->layers, 5u);
    EXPECT_EQ(info->heads, 8u);
    EXPECT_EQ(info->kv_heads, 4u);
    EXPECT_EQ(info->head_dim, 8u);
    EXPECT_EQ(info->vocab_size, 512u);
    EXPECT_EQ(info->parameters, 260'032u);
}

TEST(LoadVocabulary, ReadsAPublishedModel) {
    const auto file = engine::GgufFile::open(kStories);
    ASSERT_TRUE(file.has_value());
    const auto vocabulary = engine::load_vocabulary(*file);
    ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
    EXPECT_EQ(vocabulary->model, "llama");
    EXPECT_EQ(vocabulary->tokens.size(), 512u);
    EXPECT_EQ(vocabulary->kinds.size(), 512u);
    EXPECT_EQ(vocabulary->bos, 1);
    EXPECT_EQ(vocabulary->eos, 2);
}

}  // namespace
