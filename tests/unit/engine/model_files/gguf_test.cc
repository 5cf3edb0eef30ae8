#include "engine/model_files/gguf.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/model_files/gguf_writer.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace {

using base::Code;
using engine::GgufFile;
using engine::GgufWriter;
using engine::TensorType;

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

std::span<const std::byte> as_bytes(const std::string& text) {
    return std::as_bytes(std::span(text));
}

/// A small file with every kind of metadata and two tensors.
std::string written_file(const std::string& path) {
    auto writer = GgufWriter::create(path);
    EXPECT_TRUE(writer.has_value());
    writer->set_string("general.architecture", "llama");
    writer->set_u32("llama.block_count", 2);
    writer->set_u64("t.u64", 1ull << 40);
    writer->set_i32("t.i32", -5);
    writer->set_f32("t.f32", 2.5f);
    writer->set_bool("t.bool", true);
    const std::vector<std::string> tokens = {"a", "", "<|im_end|>", "d"};
    writer->set_strings("tokenizer.ggml.tokens", tokens);
    writer->set_string("tokenizer.ggml.model", "gpt2");
    const std::vector<std::int32_t> kinds = {1, 1, 3, 6};
    writer->set_i32s("tokenizer.ggml.token_type", kinds);
    const std::vector<float> scores = {0.5f, -1.f, 0.f, 3.f};
    writer->set_f32s("tokenizer.ggml.scores", scores);
    writer->set_u32("tokenizer.ggml.eos_token_id", 3);
    const std::vector<std::uint32_t> kv_heads = {4, 2};
    writer->set_u32s("llama.attention.head_count_kv", kv_heads);
    writer->set_bytes("t.bytes", std::string_view("\0\1\377", 3));
    writer->add_tensor("small.weight", TensorType::f32, {3, 1, 1, 1});
    writer->add_tensor("big.weight", TensorType::q8_0, {64, 2, 1, 1});
    EXPECT_TRUE(writer->begin().has_value());
    const std::vector<float> small = {1.f, 2.f, 3.f};
    EXPECT_TRUE(writer->write_tensor_data(std::as_bytes(std::span(small))).has_value());
    const std::string big(2 * 2 * 34, 'x');
    EXPECT_TRUE(writer->write_tensor_data(as_bytes(big)).has_value());
    EXPECT_TRUE(writer->commit().has_value());
    return test::read_text(path);
}

Code open_error(const std::string& bytes) {
    const auto file = GgufFile::from_memory(as_bytes(bytes), "memory");
    return file ? Code::internal : file.error().code;
}

TEST(GgufFile, ReadsEveryValueTypeAnotherProgramWrote) {
    const auto file = GgufFile::open(std::string(DG_SOURCE_DIR) +
                                     "/tests/unit/engine/model_files/data/types.gguf");
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->get_u32("t.u8").value(), 200u);
    EXPECT_EQ(file->get_f32("t.i8").value(), -100.f);
    EXPECT_EQ(file->get_u32("t.u16").value(), 60000u);
    EXPECT_EQ(file->get_f32("t.i16").value(), -30000.f);
    EXPECT_EQ(file->get_u32("t.u32").value(), 4'000'000'000u);
    EXPECT_EQ(file->get_f32("t.i32").value(), -2e9f);
    EXPECT_EQ(file->get_f32("t.f32").value(), 1.5f);
    EXPECT_TRUE(file->get_bool("t.bool").value());
    EXPECT_EQ(file->get_string("t.string").value(), "h\u00e9llo \u4e16\u754c");
    EXPECT_EQ(file->get_u64("t.u64").value(), (1ull << 63) + 1);
    EXPECT_EQ(file->get_f32("t.i64").value(), -0x1p62f);
    EXPECT_EQ(file->get_f32("t.f64").value(), 0.1f);
    EXPECT_EQ(file->get_strings("t.strings").value(),
              (std::vector<std::string>{"a", "", "\u2581b"}));
    EXPECT_EQ(file->get_i32s("t.i32s").value(), (std::vector<std::int32_t>{1, -2, 3}));
    EXPECT_EQ(file->get_f32s("t.f32s").value(), (std::vector<float>{0.5f, -0.25f}));
}

TEST(GgufFile, RefusesNumbersThatDoNotFit) {
    const auto file = GgufFile::open(std::string(DG_SOURCE_DIR) +
                                     "/tests/unit/engine/model_files/data/types.gguf");
    ASSERT_TRUE(file.has_value());
    EXPECT_EQ(file->get_u32("t.u64").error().code, Code::data_loss);
    EXPECT_EQ(file->get_u32("t.i8").error().code, Code::data_loss);
    EXPECT_EQ(file->get_u32("t.string").error().code, Code::data_loss);
    EXPECT_EQ(file->get_bool("t.u8").error().code, Code::data_loss);
    EXPECT_EQ(file->get_strings("t.f32s").error().code, Code::data_loss);
    EXPECT_EQ(file->get_u32("t.absent").error().code, Code::not_found);
    EXPECT_EQ(file->get_u32_or("t.absent", 7).value(), 7u);
    EXPECT_EQ(file->get_u32_or("t.string", 7).error().code, Code::data_loss);
}

TEST(GgufWriter, WritesWhatTheReaderReads) {
    const test::TempDir dir;
    const std::string path = dir.file("model.gguf");
    written_file(path);
    EXPECT_EQ(dir.entries(), 1u);
    const auto file = GgufFile::open(path);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->version(), 3u);
    EXPECT_EQ(file->get_u64("t.u64").value(), 1ull << 40);
    EXPECT_EQ(file->get_i32s("tokenizer.ggml.token_type").value(),
              (std::vector<std::int32_t>{1, 1, 3, 6}));
    EXPECT_EQ(file->get_u32_per_layer("llama.attention.head_count_kv", 2).value(),
              (std::vector<std::uint32_t>{4, 2}));
    EXPECT_EQ(file->get_u32_per_layer("llama.attention.head_count_kv", 3).error().code,
              Code::data_loss);
    EXPECT_EQ(file->get_u32_per_layer("llama.block_count", 3).value(),
              (std::vector<std::uint32_t>{2, 2, 2}));
    const engine::TensorView small = file->tensor("small.weight").value();
    float values[3];
    std::memcpy(values, small.data, sizeof(values));
    EXPECT_EQ(values[2], 3.f);
    const engine::TensorView big = file->tensor("big.weight").value();
    EXPECT_EQ(big.bytes(), 136u);
    EXPECT_EQ(std::to_integer<char>(big.data[135]), 'x');
    EXPECT_EQ(file->tensor("absent").error().code, Code::data_loss);
}

TEST(GgufWriter, LeavesNothingWithoutCommit) {
    const test::TempDir dir;
    {
        auto writer = GgufWriter::create(dir.file("model.gguf"));
        ASSERT_TRUE(writer.has_value());
        writer->set_u32("a", 1);
        ASSERT_TRUE(writer->begin().has_value());
    }
    EXPECT_EQ(dir.entries(), 0u);
}

TEST(LoadVocabulary, ReadsKindsAndIds) {
    const test::TempDir dir;
    written_file(dir.file("model.gguf"));
    const auto file = GgufFile::open(dir.file("model.gguf"));
    ASSERT_TRUE(file.has_value());
    const auto vocabulary = engine::load_vocabulary(*file);
    ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
    EXPECT_EQ(vocabulary->eos, 3);
    EXPECT_TRUE(vocabulary->eog_extra.empty());
    EXPECT_EQ(vocabulary->kinds[2], engine::TokenKind::control);
    EXPECT_EQ(vocabulary->kinds[3], engine::TokenKind::byte);
    EXPECT_FALSE(vocabulary->add_bos.has_value());
}

TEST(LoadVocabulary, NamesAnIdOutOfRange) {
    const test::TempDir dir;
    auto writer = GgufWriter::create(dir.file("model.gguf"));
    writer->set_string("tokenizer.ggml.model", "gpt2");
    writer->set_strings("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
    writer->set_u32("tokenizer.ggml.bos_token_id", 1);
    ASSERT_TRUE(writer->begin().has_value() && writer->commit().has_value());
    const auto file = GgufFile::open(dir.file("model.gguf"));
    ASSERT_TRUE(file.has_value());
    const auto vocabulary = engine::load_vocabulary(*file);
    ASSERT_FALSE(vocabulary.has_value());
    EXPECT_EQ(vocabulary.error().code, Code::data_loss);
    EXPECT_NE(vocabulary.error().message.find("bos_token_id"), std::string::npos);
}

TEST(GgufFile, NamesTheTensorThatIsCutOff) {
    const std::string whole = test::read_text(kStories);
    const auto file = GgufFile::from_memory(as_bytes(whole).first(whole.size() - 100'000), "cut");
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code, Code::data_loss);
    EXPECT_NE(file.error().message.find(".weight"), std::string::npos) << file.error().message;
}

TEST(GgufFile, RefusesForeignAndOldFiles) {
    EXPECT_EQ(open_error(""), Code::data_loss);
    EXPECT_EQ(open_error("PK\3\4 not a model"), Code::data_loss);
    EXPECT_EQ(open_error(std::string("GGUF\1\0\0\0", 8) + std::string(64, '\0')),
              Code::unimplemented);
    EXPECT_EQ(open_error(std::string("GGUF\0\0\0\3", 8) + std::string(64, '\0')),
              Code::unimplemented);
    EXPECT_EQ(GgufFile::open("/nonexistent/model.gguf").error().code, Code::not_found);
}

TEST(GgufFile, NamesAnUnknownTensorType) {
    const test::TempDir dir;
    std::string bytes = written_file(dir.file("model.gguf"));
    // The type of the first tensor follows its name, dimension count and one dimension.
    const std::size_t name = bytes.find("small.weight");
    bytes[name + 12 + 4 + 8] = 23;
    const auto file = GgufFile::from_memory(as_bytes(bytes), "memory");
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code, Code::unimplemented);
    EXPECT_NE(file.error().message.find("IQ4_XS"), std::string::npos);
    EXPECT_NE(file.error().message.find("small.weight"), std::string::npos);
}

TEST(GgufFile, RefusesOverlapsAndHugeCounts) {
    const test::TempDir dir;
    const std::string whole = written_file(dir.file("model.gguf"));
    const auto with_u64 = [&](std::size_t at, std::uint64_t value) {
        std::string bytes = whole;
        std::memcpy(bytes.data() + at, &value, sizeof(value));
        return bytes;
    };
    EXPECT_EQ(open_error(with_u64(8, ~0ull)), Code::data_loss);   // tensors
    EXPECT_EQ(open_error(with_u64(16, ~0ull)), Code::data_loss);  // metadata entries
    const std::size_t big = whole.find("big.weight") + 10;
    EXPECT_EQ(open_error(with_u64(big + 4, ~0ull << 1)), Code::data_loss);       // dimension
    EXPECT_EQ(open_error(with_u64(big + 4, 1ull << 62)), Code::data_loss);       // needs 2^63 bytes
    EXPECT_EQ(open_error(with_u64(big + 4 + 16 + 4, 0)), Code::data_loss);       // overlaps `small`
    EXPECT_EQ(open_error(with_u64(big + 4 + 16 + 4, 33)), Code::data_loss);      // misaligned
    EXPECT_EQ(open_error(with_u64(big + 4 + 16 + 4, ~31ull)), Code::data_loss);  // past the end
}

/// Opens and, when that works, touches everything a program would.
void read_all(const std::string& bytes) {
    const auto file = GgufFile::from_memory(as_bytes(bytes), "fuzz");
    if (!file) {
        EXPECT_NE(file.error().code, Code::internal);
        return;
    }
    std::uint64_t sum = 0;
    for (const engine::TensorView& tensor : file->tensors()) {
        for (const std::byte byte : std::span(tensor.data, tensor.bytes())) {
            sum += std::to_integer<std::uint64_t>(byte);
        }
    }
    for (const engine::GgufEntry& entry : file->metadata()) {
        static_cast<void>(file->get_strings(entry.key).has_value());
        static_cast<void>(file->get_f32s(entry.key).has_value());
        static_cast<void>(file->get_i32s(entry.key).has_value());
        static_cast<void>(file->get_string(entry.key).has_value());
        static_cast<void>(file->get_f32(entry.key).has_value());
        static_cast<void>(file->get_bool(entry.key).has_value());
        static_cast<void>(file->get_u32(entry.key).has_value());
    }
    static_cast<void>(engine::load_vocabulary(*file).has_value());
    static_cast<void>(engine::read_model_info(*file).has_value());
    EXPECT_GE(sum, 0u);
}

TEST(GgufFile, SurvivesRandomDamage) {
    const test::TempDir dir;
    const std::string small = written_file(dir.file("model.gguf"));
    const std::string stories = test::read_text(kStories);
    const std::size_t header = stories.size() - 500'000;  // most damage belongs in the header
    test::for_each_seed(400, [&](base::Rng& rng) {
        const bool use_small = rng.below(4) != 0;
        std::string bytes = use_small ? small : stories;
        const std::size_t area = use_small ? bytes.size() : header;
        for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) {
            const std::size_t at = rng.below(area);
            switch (rng.below(4)) {
                case 0:
                    bytes[at] = static_cast<char>(rng.next());
                    break;
                case 1:
                    bytes[at] = static_cast<char>(bytes[at] ^ (1 << rng.below(8)));
                    break;
                case 2: {
                    const std::uint64_t wild = rng.next() >> rng.below(64);
                    std::memcpy(bytes.data() + std::min(at, bytes.size() - 8), &wild, 8);
                    break;
                }
                default:
                    bytes.resize(std::max<std::size_t>(at, 8));
                    n = 1;
                    break;
            }
            if (bytes.size() < area) break;
        }
        read_all(bytes);
    });
}

}  // namespace
