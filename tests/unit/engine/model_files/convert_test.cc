#include "engine/model_files/convert.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/model_files/gguf.h"
#include "engine/model_files/sentencepiece.h"
#include "support/seeds.h"
#include "unit/engine/model_files/hf_folder.h"

namespace {

using base::Code;
using engine::GgufFile;

constexpr engine::FileType kF32{engine::TensorType::f32, false};

std::vector<float> values_of(const GgufFile& file, std::string_view name) {
    const engine::TensorView* tensor = file.find_tensor(name);
    if (tensor == nullptr) return {};
    EXPECT_EQ(tensor->type, engine::TensorType::f32) << name;
    std::vector<float> values(tensor->elements());
    std::memcpy(values.data(), tensor->data, tensor->bytes());
    return values;
}

/// The first value of every row.
std::vector<float> row_starts(const GgufFile& file, std::string_view name) {
    const engine::TensorView* tensor = file.find_tensor(name);
    const std::vector<float> values = values_of(file, name);
    std::vector<float> starts;
    for (std::size_t i = 0; tensor && i < values.size(); i += tensor->dims[0]) {
        starts.push_back(values[i]);
    }
    return starts;
}

base::Result<GgufFile> convert(const test::TempDir& dir) {
    const std::string path = dir.file("out.gguf");
    const auto report = engine::convert_model(dir.path(), path, kF32);
    if (!report) return std::unexpected(report.error());
    return GgufFile::open(path);
}

TEST(ConvertModel, RenamesATinyQwen2WithItsKeysAndVocabulary) {
    const test::TempDir dir;
    auto tensors = test::tiny_decoder();
    tensors["model.layers.0.self_attn.q_proj.bias"] = test::counted({8}, 1200);
    test::write_model_folder(dir, test::tiny_config("qwen2"), tensors);
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->architecture().value(), "qwen2");
    EXPECT_EQ(file->get_u32("qwen2.block_count").value(), 1u);
    EXPECT_EQ(file->get_u32("qwen2.attention.head_count_kv").value(), 1u);
    EXPECT_EQ(file->get_u32("qwen2.attention.key_length").value(), 4u);
    EXPECT_EQ(file->get_f32("qwen2.rope.freq_base").value(), 5000.f);
    EXPECT_EQ(file->get_f32("qwen2.attention.layer_norm_rms_epsilon").value(), 1e-5f);
    EXPECT_EQ(values_of(*file, "token_embd.weight"), tensors["model.embed_tokens.weight"].values);
    EXPECT_EQ(values_of(*file, "output.weight"), tensors["lm_head.weight"].values);
    EXPECT_EQ(values_of(*file, "output_norm.weight"), tensors["model.norm.weight"].values);
    const std::pair<const char*, const char*> parts[] = {
        {"attn_norm", "input_layernorm"}, {"ffn_norm", "post_attention_layernorm"},
        {"attn_q", "self_attn.q_proj"},   {"attn_k", "self_attn.k_proj"},
        {"attn_v", "self_attn.v_proj"},   {"attn_output", "self_attn.o_proj"},
        {"ffn_gate", "mlp.gate_proj"},    {"ffn_up", "mlp.up_proj"},
        {"ffn_down", "mlp.down_proj"}};
    for (const auto& [ours, theirs] : parts) {
        EXPECT_EQ(values_of(*file, fmt::format("blk.0.{}.weight", ours)),
                  tensors[fmt::format("model.layers.0.{}.weight", theirs)].values)
            << ours;
    }
    EXPECT_EQ(values_of(*file, "blk.0.attn_q.bias"),
              tensors["model.layers.0.self_attn.q_proj.bias"].values);
    EXPECT_EQ(file->tensors().size(), tensors.size());
    EXPECT_EQ(file->tensor("blk.0.ffn_down.weight")->dims[0], 12u);

    const auto vocabulary = engine::load_vocabulary(*file);
    ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
    EXPECT_EQ(vocabulary->model, "gpt2");
    EXPECT_EQ(vocabulary->pre, "qwen2");
    ASSERT_EQ(vocabulary->tokens.size(), 6u);  // padded to the embedding's rows
    EXPECT_EQ(vocabulary->tokens[3], "ab");
    EXPECT_EQ(vocabulary->kinds[4], engine::TokenKind::control);
    EXPECT_EQ(vocabulary->kinds[5], engine::TokenKind::unused);
    EXPECT_EQ(vocabulary->merges, std::vector<std::string>{"a b"});
    EXPECT_EQ(vocabulary->eos, 4);
    EXPECT_EQ(vocabulary->add_bos, false);
    EXPECT_EQ(engine::read_model_info(*file)->chat_template, "{{ messages }}");
}

TEST(ConvertModel, PairsTheRotaryHalvesOfALlama) {
    const test::TempDir dir;
    const auto tensors = test::tiny_decoder();
    test::write_model_folder(dir, test::tiny_config("llama"), tensors);
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    // Head size 4: rows 0 1 | 2 3 of a head become 0 2 1 3. Rows start 8 apart from 500 and 600.
    EXPECT_EQ(row_starts(*file, "blk.0.attn_q.weight"),
              (std::vector<float>{500, 516, 508, 524, 532, 548, 540, 556}));
    EXPECT_EQ(row_starts(*file, "blk.0.attn_k.weight"), (std::vector<float>{600, 616, 608, 624}));
    EXPECT_EQ(row_starts(*file, "blk.0.attn_v.weight"), (std::vector<float>{700, 708, 716, 724}));
}

TEST(ConvertModel, LeavesOutATiedOutput) {
    const test::TempDir dir;
    auto config = test::tiny_config("qwen3");
    config["tie_word_embeddings"] = true;
    auto tensors = test::tiny_decoder();
    tensors["model.layers.0.self_attn.q_norm.weight"] = test::counted({4}, 1300);
    test::write_model_folder(dir, config, tensors);
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->find_tensor("output.weight"), nullptr);
    EXPECT_EQ(values_of(*file, "blk.0.attn_q_norm.weight"), test::counted({4}, 1300).values);
}

TEST(ConvertModel, AddsOneToGemmaNormsAndTellsThemApart) {
    const test::TempDir dir;
    auto tensors = test::tiny_decoder();
    tensors.erase("lm_head.weight");
    const std::string layer = "model.layers.0.";
    tensors[layer + "pre_feedforward_layernorm.weight"] = test::counted({8}, 1400);
    tensors[layer + "post_feedforward_layernorm.weight"] = test::counted({8}, 1500);
    auto config = test::tiny_config("gemma3_text");
    config["tie_word_embeddings"] = nullptr;
    config["sliding_window"] = 16;
    config["query_pre_attn_scalar"] = 16;
    config["rope_local_base_freq"] = 10000.0;
    test::write_model_folder(dir, config, tensors);
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(values_of(*file, "output_norm.weight").front(), 101.f);
    EXPECT_EQ(values_of(*file, "blk.0.attn_norm.weight").front(), 301.f);
    EXPECT_EQ(values_of(*file, "blk.0.post_attention_norm.weight").front(), 401.f);
    EXPECT_EQ(values_of(*file, "blk.0.ffn_norm.weight").front(), 1401.f);
    EXPECT_EQ(values_of(*file, "blk.0.post_ffw_norm.weight").front(), 1501.f);
    EXPECT_EQ(values_of(*file, "blk.0.attn_q.weight").front(), 500.f);
    EXPECT_EQ(file->get_u32("gemma3.attention.sliding_window").value(), 16u);
    EXPECT_EQ(file->get_f32("gemma3.attention.scale").value(), 0.25f);
}

TEST(ConvertModel, KeepsFusedProjectionsOfPhi3AndItsLongRope) {
    const test::TempDir dir;
    auto tensors = test::tiny_decoder();
    for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                             "mlp.gate_proj", "mlp.up_proj"}) {
        tensors.erase(fmt::format("model.layers.0.{}.weight", name));
    }
    tensors["model.layers.0.self_attn.qkv_proj.weight"] = test::counted({16, 8}, 1600);
    tensors["model.layers.0.mlp.gate_up_proj.weight"] = test::counted({24, 8}, 1700);
    auto config = test::tiny_config("phi3");
    config["original_max_position_embeddings"] = 16;
    config["rope_scaling"] = base::json::object{{"type", "longrope"},
                                                {"long_factor", base::json::array{1.5, 2.5}},
                                                {"short_factor", base::json::array{1.0, 1.25}}};
    test::write_model_folder(dir, config, tensors);
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(values_of(*file, "blk.0.attn_qkv.weight"), test::counted({16, 8}, 1600).values);
    EXPECT_EQ(values_of(*file, "blk.0.ffn_up.weight"), test::counted({24, 8}, 1700).values);
    EXPECT_EQ(values_of(*file, "rope_factors_long.weight"), (std::vector<float>{1.5f, 2.5f}));
    EXPECT_EQ(values_of(*file, "rope_factors_short.weight"), (std::vector<float>{1.f, 1.25f}));
    // sqrt(1 + ln(64 / 16) / ln(16)) = sqrt(1.5)
    EXPECT_NEAR(file->get_f32("phi3.rope.scaling.attn_factor").value(), 1.2247449f, 1e-6f);
}

TEST(ConvertModel, FoldsLlama3RopeScalingIntoDivisors) {
    const test::TempDir dir;
    auto config = test::tiny_config("llama");
    config["head_dim"] = 4;
    config["rope_theta"] = 1e6;
    config["rope_scaling"] = base::json::object{{"rope_type", "llama3"},
                                                {"factor", 8.0},
                                                {"low_freq_factor", 1.0},
                                                {"high_freq_factor", 4.0},
                                                {"original_max_position_embeddings", 64}};
    test::write_model_folder(dir, config, test::tiny_decoder());
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    // Wave lengths 2 pi (kept: below 64 / 4) and 2 pi * 1000 (slowed: over 64).
    EXPECT_EQ(values_of(*file, "rope_freqs.weight"), (std::vector<float>{1.f, 8.f}));
}

TEST(ConvertModel, ReadsShardedWeights) {
    const test::TempDir dir;
    const auto tensors = test::tiny_decoder();
    test::write_model_folder(dir, test::tiny_config("qwen2"), tensors);
    std::filesystem::remove(dir.file("model.safetensors"));
    std::map<std::string, test::SafeEntry> first, second;
    base::json::object weight_map;
    for (const auto& [name, tensor] : tensors) {
        const bool early = first.size() < 5;
        (early ? first : second)[name] = tensor;
        weight_map[name] = early ? "model-1.safetensors" : "model-2.safetensors";
    }
    test::write_text(dir.file("model-1.safetensors"), test::safetensors_bytes(first));
    test::write_text(dir.file("model-2.safetensors"), test::safetensors_bytes(second));
    const std::string index = dir.file("model.safetensors.index.json");
    test::write_json(index, base::json::object{{"weight_map", weight_map}});
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->tensors().size(), tensors.size());
    weight_map["model.norm.weight"] = "../elsewhere.safetensors";
    test::write_json(index, base::json::object{{"weight_map", weight_map}});
    EXPECT_EQ(convert(dir).error().code, Code::data_loss);
    weight_map["model.norm.weight"] = "model-3.safetensors";
    test::write_json(index, base::json::object{{"weight_map", weight_map}});
    EXPECT_EQ(convert(dir).error().code, Code::not_found);
}

TEST(ConvertModel, ConvertsABertEncoder) {
    const test::TempDir dir;
    std::map<std::string, test::SafeEntry> tensors = {
        {"embeddings.word_embeddings.weight", test::counted({6, 8}, 0)},
        {"embeddings.position_embeddings.weight", test::counted({64, 8}, 100)},
        {"embeddings.token_type_embeddings.weight", test::counted({2, 8}, 200)},
        {"embeddings.LayerNorm.weight", test::counted({8}, 300)},
        {"embeddings.LayerNorm.bias", test::counted({8}, 400)},
        {"pooler.dense.weight", test::counted({8, 8}, 500)}};
    const std::string layer = "encoder.layer.0.";
    for (const char* name : {"attention.self.query", "attention.self.key", "attention.self.value",
                             "attention.output.dense"}) {
        tensors[layer + name + ".weight"] = test::counted({8, 8}, 600);
        tensors[layer + name + ".bias"] = test::counted({8}, 700);
    }
    tensors[layer + "output.LayerNorm.weight"] = test::counted({8}, 800);
    test::write_model_folder(dir, test::tiny_config("bert"), tensors);
    test::write_json(
        dir.file("tokenizer.json"),
        base::json::object{
            {"model", base::json::object{{"type", "WordPiece"},
                                         {"vocab", base::json::object{{"[PAD]", 0},
                                                                      {"[CLS]", 1},
                                                                      {"[SEP]", 2},
                                                                      {"[UNK]", 3},
                                                                      {"word", 4},
                                                                      {"##s", 5}}}}}});
    test::write_json(dir.file("tokenizer_config.json"), base::json::object{{"cls_token", "[CLS]"},
                                                                           {"sep_token", "[SEP]"},
                                                                           {"unk_token", "[UNK]"},
                                                                           {"pad_token", "[PAD]"}});
    std::filesystem::create_directory(dir.file("1_Pooling"));
    test::write_json(
        dir.file("1_Pooling/config.json"),
        base::json::object{{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}});
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->get_u32("bert.pooling_type").value(), 2u);
    EXPECT_FALSE(file->get_bool("bert.attention.causal").value());
    EXPECT_NE(file->find_tensor("token_embd_norm.bias"), nullptr);
    EXPECT_NE(file->find_tensor("position_embd.weight"), nullptr);
    EXPECT_NE(file->find_tensor("token_types.weight"), nullptr);
    EXPECT_NE(file->find_tensor("blk.0.attn_q.bias"), nullptr);
    EXPECT_NE(file->find_tensor("blk.0.layer_output_norm.weight"), nullptr);
    EXPECT_EQ(file->find_tensor("pooler.dense.weight"), nullptr);
    const auto vocabulary = engine::load_vocabulary(*file);
    ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
    EXPECT_EQ(vocabulary->tokens,
              (std::vector<std::string>{"[PAD]", "[CLS]", "[SEP]", "[UNK]", "\u2581word", "s"}));
    EXPECT_EQ(vocabulary->cls, 1);
    EXPECT_EQ(vocabulary->sep, 2);
    EXPECT_EQ(vocabulary->unk, 3);
}

TEST(ConvertModel, ReadsASentencePieceModel) {
    const test::TempDir dir;
    test::write_model_folder(dir, test::tiny_config("llama"), test::tiny_decoder());
    std::filesystem::copy(
        std::string(DG_SOURCE_DIR) + "/tests/unit/engine/model_files/data/tok105.model",
        dir.file("tokenizer.model"));
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const auto vocabulary = engine::load_vocabulary(*file);
    ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
    EXPECT_EQ(vocabulary->model, "llama");
    EXPECT_EQ(vocabulary->tokens.size(), 105u);
    EXPECT_EQ(vocabulary->unk, 0);
    EXPECT_EQ(vocabulary->bos, 1);
    EXPECT_EQ(vocabulary->tokens[2], "</s>");
    EXPECT_EQ(vocabulary->kinds[0], engine::TokenKind::unknown);
    EXPECT_EQ(vocabulary->kinds[1], engine::TokenKind::control);
}

TEST(ParseSentencePiece, SurvivesRandomDamage) {
    const std::string whole = test::read_text(std::string(DG_SOURCE_DIR) +
                                              "/tests/unit/engine/model_files/data/tok105.model");
    test::for_each_seed(2000, [&](base::Rng& rng) {
        std::string bytes = whole;
        for (std::uint64_t n = 1 + rng.below(6); n > 0; --n) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
        }
        if (rng.below(3) == 0) bytes.resize(rng.below(bytes.size()));
        const auto model = engine::parse_sentencepiece(std::as_bytes(std::span(bytes)));
        if (model) {
            EXPECT_EQ(model->pieces.size(), model->scores.size());
            EXPECT_EQ(model->pieces.size(), model->kinds.size());
        }
    });
}

TEST(ConvertModel, OrdersSentencePieceMergesByScore) {
    const test::TempDir dir;
    test::write_model_folder(dir, test::tiny_config("llama"), test::tiny_decoder());
    test::write_json(
        dir.file("tokenizer.json"),
        base::json::object{
            {"model",
             base::json::object{
                 {"type", "BPE"},
                 {"byte_fallback", true},
                 {"vocab",
                  base::json::object{{"<0x0A>", 0}, {"a", 1}, {"b", 2}, {"ab", 3}, {"abb", 4}}},
                 {"merges",
                  base::json::array{base::json::array{"a", "b"}, base::json::array{"ab", "b"}}}}}});
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const auto vocabulary = engine::load_vocabulary(*file);
    ASSERT_TRUE(vocabulary.has_value());
    EXPECT_EQ(vocabulary->model, "llama");
    EXPECT_EQ(vocabulary->kinds[0], engine::TokenKind::byte);
    EXPECT_GT(vocabulary->scores[3], vocabulary->scores[4]);
}

TEST(ConvertModel, RecognisesPreSplitRules) {
    const std::pair<std::string, const char*> rules[] = {
        {"(?i:'s)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?x", "llama-bpe"},
        {std::string(test::kQwenPattern), "qwen2"}};
    for (const auto& [pattern, expected] : rules) {
        const test::TempDir dir;
        test::write_model_folder(dir, test::tiny_config("qwen2"), test::tiny_decoder());
        test::write_json(dir.file("tokenizer.json"), test::bpe_tokenizer(pattern));
        const auto file = convert(dir);
        ASSERT_TRUE(file.has_value()) << file.error().message;
        EXPECT_EQ(file->get_string("tokenizer.ggml.pre").value(), expected);
    }
    const test::TempDir dir;
    test::write_model_folder(dir, test::tiny_config("qwen2"), test::tiny_decoder());
    test::write_json(dir.file("tokenizer.json"), test::bpe_tokenizer("[a-z]+"));
    const auto unknown = convert(dir);
    ASSERT_FALSE(unknown.has_value());
    EXPECT_EQ(unknown.error().code, Code::unimplemented);
    EXPECT_NE(unknown.error().message.find("[a-z]+"), std::string::npos);
}

TEST(ConvertModel, NamesWhatIsWrongAndLeavesNothing) {
    const auto error_of = [](auto change) {
        const test::TempDir dir;
        auto config = test::tiny_config("llama");
        auto tensors = test::tiny_decoder();
        change(config, tensors);
        test::write_model_folder(dir, config, tensors);
        const std::size_t before = dir.entries();
        const auto report = engine::convert_model(dir.path(), dir.file("out.gguf"), kF32);
        EXPECT_EQ(dir.entries(), before);
        return report ? base::Error{} : report.error();
    };
    base::Error error = error_of([](auto& config, auto&) { config["model_type"] = "mamba"; });
    EXPECT_EQ(error.code, Code::unimplemented);
    EXPECT_NE(error.message.find("mamba"), std::string::npos);
    error = error_of([](auto& config, auto&) { config.erase("hidden_size"); });
    EXPECT_EQ(error.code, Code::not_found);
    EXPECT_NE(error.message.find("hidden_size"), std::string::npos);
    error = error_of([](auto& config, auto&) { config["num_hidden_layers"] = 2; });
    EXPECT_EQ(error.code, Code::data_loss);
    error = error_of([](auto&, auto& tensors) {
        tensors["model.layers.0.mlp.experts.weight"] = test::counted({2, 2}, 0);
    });
    EXPECT_EQ(error.code, Code::unimplemented);
    EXPECT_NE(error.message.find("mlp.experts"), std::string::npos);
    error = error_of([](auto&, auto& tensors) {
        tensors["model.layers.0.self_attn.q_proj.weight"] = test::counted({6, 8}, 0);
    });
    EXPECT_EQ(error.code, Code::data_loss);
    for (const std::vector<std::uint64_t>& shape :
         {std::vector<std::uint64_t>{}, std::vector<std::uint64_t>{4, 2, 8}}) {
        error = error_of([&](auto&, auto& tensors) {
            tensors["model.layers.0.self_attn.q_proj.weight"] = test::counted(shape, 0);
        });
        EXPECT_EQ(error.code, Code::data_loss) << shape.size();
    }
    const test::TempDir empty;
    EXPECT_EQ(engine::convert_model(empty.path(), empty.file("o"), kF32).error().code,
              Code::not_found);
    EXPECT_EQ(engine::convert_model(empty.file("absent"), empty.file("o"), kF32).error().code,
              Code::not_found);
}

/// Replaces a few bytes of JSON by others that keep much of it readable.
std::string damage(std::string text, base::Rng& rng) {
    constexpr std::string_view kBytes = "0123456789-.,:{}[]\"aeN \\";
    for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) {
        text[rng.below(text.size())] = kBytes[rng.below(kBytes.size())];
    }
    return text;
}

TEST(ConvertModel, SurvivesDamagedConfigurationAndTokenizer) {
    const test::TempDir dir;
    auto config = test::tiny_config("phi3");
    config["partial_rotary_factor"] = 0.5;
    config["rope_scaling"] = base::json::object{{"type", "linear"}, {"factor", 2.0}};
    test::write_model_folder(dir, config, test::tiny_decoder());
    const std::string files[] = {"config.json", "tokenizer.json", "tokenizer_config.json"};
    std::uint64_t converted = 0;
    test::for_each_seed(150, [&](base::Rng& rng) {
        const std::string path = dir.file(files[rng.below(3)]);
        const std::string whole = test::read_text(path);
        test::write_text(path, damage(whole, rng));
        const auto file = convert(dir);
        converted += file ? 1 : 0;
        if (!file) {
            EXPECT_NE(file.error().code, Code::internal) << file.error().message;
        }
        test::write_text(path, whole);
    });
    EXPECT_GT(converted, 0u);
}

TEST(ConvertModel, TurnsTheUseLiteEncoderIntoItsOwnArchitecture) {
    const test::TempDir dir;
    std::map<std::string, test::SafeEntry> tensors = {
        {"tok_embeddings.weight", test::counted({10, 4}, 0)},
        {"timing.inv_timescales", test::counted({2}, 100)},
        {"layers.0.attn_qkv.weight", test::counted({12, 4}, 200)},
        {"layers.0.attn_out.weight", test::counted({8, 4}, 300)},
        {"layers.0.ffn_up.weight", test::counted({16, 8}, 400)},
        {"layers.0.ln1.bias", test::counted({4}, 500)},
        {"layers.0.residual_proj.weight", test::counted({8, 4}, 600)},
        {"pool.weight", test::counted({8, 8}, 700)},
        {"pool.bias", test::counted({8}, 800)}};
    test::write_text(dir.file("encoder.safetensors"), test::safetensors_bytes(tensors));
    base::json::array vocabulary;
    for (int i = 0; i < 8; ++i) {
        vocabulary.push_back(
            base::json::array{fmt::format("p{}", i),
                              i < 6 ? base::json::value(nullptr) : base::json::value(-1.5 * i)});
    }
    test::write_json(dir.file("vocab.json"), vocabulary);
    const auto file = convert(dir);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->architecture().value(), "use-lite");
    EXPECT_EQ(file->get_u32("use-lite.block_count").value(), 1u);
    EXPECT_EQ(file->get_u32("use-lite.embedding_length").value(), 4u);
    EXPECT_EQ(file->get_u32("use-lite.hidden_length").value(), 8u);
    EXPECT_EQ(file->get_u32("use-lite.feed_forward_length").value(), 16u);
    EXPECT_EQ(values_of(*file, "blk.0.attn_qkv.weight"), test::counted({12, 4}, 200).values);
    EXPECT_EQ(values_of(*file, "blk.0.attn_norm.bias"), test::counted({4}, 500).values);
    EXPECT_EQ(values_of(*file, "position_inv_timescales.weight"), test::counted({2}, 100).values);
    EXPECT_EQ(values_of(*file, "pooler.bias"), test::counted({8}, 800).values);
    const auto loaded = engine::load_vocabulary(*file);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ(loaded->model, "unigram");
    EXPECT_EQ(loaded->pre, "use-lite");
    EXPECT_EQ(loaded->scores[7], -10.5f);
    EXPECT_EQ(loaded->scores[3], 0.f);
    EXPECT_EQ(engine::read_model_info(*file)->kind, engine::ModelKind::encoder);
    EXPECT_EQ(engine::read_model_info(*file)->embedding_dim, 8u);
}

}  // namespace
