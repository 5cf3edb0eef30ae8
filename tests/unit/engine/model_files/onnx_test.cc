// BERT encoders and cross-encoders from ONNX files: what exporters and quantisers leave of them.

#include <gtest/gtest.h>

#include <filesystem>

#include "engine/model_files/convert.h"
#include "engine/model_files/gguf.h"
#include "engine/model_files/onnx_encoder.h"
#include "engine/model_files/onnx_graph.h"
#include "engine/model_files/prefixes.h"
#include "support/seeds.h"
#include "unit/engine/model_files/onnx_file.h"

namespace {

using base::Code;
using engine::GgufFile;
using test::OnnxExport;
using test::OnnxForm;
using test::SafeEntry;
using Weights = std::map<std::string, SafeEntry>;

constexpr engine::FileType kF32{engine::TensorType::f32, false};

void write_tokenizer(const std::string& path) {
    test::write_json(
        path,
        base::json::object{
            {"normalizer", base::json::object{{"type", "BertNormalizer"}, {"lowercase", true}}},
            {"model", base::json::object{{"type", "WordPiece"},
                                         {"vocab", base::json::object{{"[PAD]", 0},
                                                                      {"[CLS]", 1},
                                                                      {"[SEP]", 2},
                                                                      {"[UNK]", 3},
                                                                      {"word", 4},
                                                                      {"##s", 5}}}}}});
}

Weights with_rank_head(std::uint64_t labels) {
    Weights weights = test::tiny_bert();
    weights["pooler.dense.weight"] = test::counted({8, 8}, 5000);
    weights["pooler.dense.bias"] = test::counted({8}, 5100);
    weights["classifier.weight"] = test::counted({labels, 8}, 5200);
    weights["classifier.bias"] = test::counted({labels}, 5300);
    return weights;
}

base::Result<GgufFile> convert(const test::TempDir& dir, const std::string& source,
                               const engine::ConvertOptions& options = {}) {
    const std::string path = dir.file("out.gguf");
    const auto report = engine::convert_model(source, path, kF32, {}, 1, options);
    if (!report) return std::unexpected(report.error());
    return GgufFile::open(path);
}

base::Result<GgufFile> convert_onnx(const test::TempDir& dir, const Weights& weights,
                                    const OnnxForm& form) {
    test::write_text(dir.file("tiny.onnx"), OnnxExport(weights, form).run());
    write_tokenizer(dir.file("tiny-tokenizer.json"));
    return convert(dir, dir.file("tiny.onnx"));
}

/// The same weights from safetensors: the referee of all forms.
base::Result<GgufFile> convert_safetensors(const test::TempDir& dir, const Weights& weights) {
    base::json::object config = test::tiny_config("bert");
    config["num_hidden_layers"] = 2;
    config["max_position_embeddings"] = 16;
    test::write_json(dir.file("config.json"), config);
    test::write_text(dir.file("model.safetensors"), test::safetensors_bytes(weights));
    write_tokenizer(dir.file("tokenizer.json"));
    return convert(dir, dir.path());
}

void expect_same_tensors(const GgufFile& found, const GgufFile& wanted) {
    ASSERT_EQ(found.tensors().size(), wanted.tensors().size());
    for (const engine::TensorView& tensor : wanted.tensors()) {
        const engine::TensorView* other = found.find_tensor(tensor.name);
        ASSERT_NE(other, nullptr) << tensor.name;
        ASSERT_EQ(other->dims, tensor.dims) << tensor.name;
        EXPECT_EQ(std::memcmp(other->data, tensor.data, tensor.bytes()), 0) << tensor.name;
    }
}

TEST(Onnx, GivesTheTensorsOfTheSameModelInSafetensors) {
    const Weights weights = test::tiny_bert();
    const test::TempDir reference;
    const auto wanted = convert_safetensors(reference, weights);
    ASSERT_TRUE(wanted.has_value()) << wanted.error().message;
    for (const OnnxForm& form : {OnnxForm{}, OnnxForm{.norms_whole = true},
                                 OnnxForm{.prefix = "bert."}, OnnxForm{.prefix = "inner.model."}}) {
        const test::TempDir dir;
        const auto found = convert_onnx(dir, weights, form);
        ASSERT_TRUE(found.has_value()) << found.error().message;
        expect_same_tensors(*found, *wanted);
        EXPECT_EQ(found->get_u32("bert.attention.head_count").value(), 2u);
        EXPECT_EQ(found->get_u32("bert.block_count").value(), 2u);
        EXPECT_EQ(found->get_u32("bert.feed_forward_length").value(), 12u);
        EXPECT_EQ(found->get_u32("bert.context_length").value(), 16u);
        EXPECT_EQ(found->get_f32("bert.attention.layer_norm_epsilon").value(),
                  form.norms_whole ? 1e-5f : .25f);
        EXPECT_EQ(found->get_string("general.name").value(), "tiny");
        const auto vocabulary = engine::load_vocabulary(*found);
        ASSERT_TRUE(vocabulary.has_value());
        EXPECT_EQ(vocabulary->cls, 1);  // by their names: no file says
        EXPECT_EQ(vocabulary->sep, 2);
        EXPECT_EQ(vocabulary->unk, 3);
    }
}

TEST(Onnx, ReadsWeightsOfEightBits) {
    Weights weights = test::tiny_bert();
    const test::TempDir dir;
    const auto found = convert_onnx(dir, weights, {.quantized = true});
    ASSERT_TRUE(found.has_value()) << found.error().message;
    for (auto& [name, entry] : weights) {
        if (entry.shape.size() == 2) {
            entry = OnnxExport::rounded(entry, OnnxExport::kScale, OnnxExport::kZero);
        }
    }
    const test::TempDir reference;
    const auto wanted = convert_safetensors(reference, weights);
    ASSERT_TRUE(wanted.has_value()) << wanted.error().message;
    expect_same_tensors(*found, *wanted);
}

TEST(Onnx, MakesACrossEncoderOfAClassifierOfOneLabel) {
    const test::TempDir dir, reference;
    const auto found = convert_onnx(dir, with_rank_head(1), {.prefix = "bert."});
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->get_u32("bert.pooling_type").value(), 4u);
    EXPECT_TRUE(engine::read_model_info(*found)->ranks);
    ASSERT_NE(found->find_tensor("cls.weight"), nullptr);
    ASSERT_NE(found->find_tensor("cls.output.weight"), nullptr);
    const auto wanted = convert_safetensors(reference, with_rank_head(1));
    ASSERT_TRUE(wanted.has_value()) << wanted.error().message;
    expect_same_tensors(*found, *wanted);
    const test::TempDir several;
    EXPECT_EQ(convert_onnx(several, with_rank_head(3), {}).error().code, Code::unimplemented);
}

TEST(Onnx, PrefersWhatItIsToldAndKeepsPrefixes) {
    const test::TempDir dir;
    test::write_text(dir.file("model.onnx"), OnnxExport(test::tiny_bert(), {}).run());
    test::write_text(dir.file("vocab.txt"), "[PAD]\n[CLS]\n[SEP]\n[UNK]\nword\n##s\n");
    test::write_json(dir.file("config_sentence_transformers.json"),
                     base::json::object{{"prompts", base::json::object{{"query", "ask: "},
                                                                       {"passage", "say: "}}}});
    const auto plain = convert(dir, dir.path());
    ASSERT_TRUE(plain.has_value()) << plain.error().message;
    EXPECT_EQ(plain->get_u32("bert.pooling_type").value(), 1u);
    EXPECT_EQ(engine::read_prefixes(dir.file("out.gguf"))->query, "ask: ");
    EXPECT_EQ(engine::read_prefixes(dir.file("out.gguf"))->document, "say: ");
    EXPECT_EQ(engine::load_vocabulary(*plain)->tokens,
              (std::vector<std::string>{"[PAD]", "[CLS]", "[SEP]", "[UNK]", "\u2581word", "s"}));
    const auto told =
        convert(dir, dir.path(), {.name = "mine", .pooling = "cls", .query_prefix = "q"});
    ASSERT_TRUE(told.has_value()) << told.error().message;
    EXPECT_EQ(told->get_u32("bert.pooling_type").value(), 2u);
    EXPECT_EQ(told->get_string("general.name").value(), "mine");
    EXPECT_EQ(engine::read_prefixes(dir.file("out.gguf"))->query, "q");
    EXPECT_EQ(convert(dir, dir.path(), {.pooling = "max"}).error().code, Code::invalid_argument);
}

TEST(Onnx, RefusesWhatItWouldComputeWrongly) {
    const Weights weights = test::tiny_bert();
    const auto code_of = [](const test::TempDir& dir, const std::string& bytes) {
        test::write_text(dir.file("tiny.onnx"), bytes);
        write_tokenizer(dir.file("tokenizer.json"));
        return convert(dir, dir.file("tiny.onnx")).error();
    };
    const test::TempDir dir;
    // A bias without its name: the matrix before it could be any.
    auto error = code_of(dir, OnnxExport(weights, {.last_bias_named = false}).run());
    EXPECT_EQ(error.code, Code::unimplemented);
    EXPECT_NE(error.message.find("encoder.layer.1.output.dense"), std::string::npos);
    test::OnnxWriter fused;
    fused.node("EmbedLayerNormalization", "fused", {"input_ids"}, {}, "com.microsoft");
    error = code_of(dir, fused.file());
    EXPECT_EQ(error.code, Code::unimplemented);
    EXPECT_NE(error.message.find("com.microsoft"), std::string::npos);
    test::OnnxWriter tanh;
    tanh.node("Tanh", "gelu", {tanh.node("Mul", "inner", {"x", "x"})});
    EXPECT_EQ(code_of(dir, tanh.file()).code, Code::unimplemented);
    test::OnnxWriter outside;
    outside.initializer(test::number_field(1, 8) + test::number_field(2, 1) +
                        test::bytes_field(8, "embeddings.LayerNorm.weight") +
                        test::number_field(14, 1));
    outside.node("Mul", "scaled", {"x", "embeddings.LayerNorm.weight"});
    EXPECT_EQ(code_of(dir, outside.file()).code, Code::unimplemented);
    EXPECT_EQ(code_of(dir, "no model").code, Code::data_loss);
    test::write_json(dir.file("config.json"), base::json::object{{"num_attention_heads", 4}});
    EXPECT_EQ(code_of(dir, OnnxExport(weights, {}).run()).code, Code::data_loss);
}

TEST(Onnx, RefusesAVocabularyWithCapitals) {
    const test::TempDir dir;
    test::write_text(dir.file("tiny.onnx"), OnnxExport(test::tiny_bert(), {}).run());
    const auto convert_with = [&](std::string_view word) {
        test::write_json(
            dir.file("tokenizer.json"),
            base::json::object{
                {"normalizer", base::json::object{{"lowercase", false}}},
                {"model",
                 base::json::object{
                     {"type", "WordPiece"},
                     {"vocab", base::json::object{{"[UNK]", 0}, {word, 1}, {"<S>", 2}}}}}});
        return convert(dir, dir.file("tiny.onnx"));
    };
    EXPECT_EQ(convert_with("Word").error().code, Code::unimplemented);
    EXPECT_TRUE(convert_with("word").has_value());  // capitals would all be unknown: no harm
}

TEST(Onnx, SurvivesRandomDamage) {
    const std::string whole[] = {OnnxExport(test::tiny_bert(), {}).run(),
                                 OnnxExport(test::tiny_bert(), {.quantized = true}).run()};
    const test::TempDir dir;
    const std::string path = dir.file("damaged.onnx");
    test::for_each_seed(1500, [&](base::Rng& rng) {
        std::string bytes = whole[rng.below(2)];
        for (std::uint64_t n = 1 + rng.below(8); n > 0; --n) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
        }
        if (rng.below(4) == 0) bytes.resize(rng.below(bytes.size()));
        test::write_text(path, bytes);
        const auto read = engine::read_onnx_encoder(path);
        if (!read) {
            EXPECT_NE(read.error().code, Code::internal);
        }
    });
}

}  // namespace
