// Models people use, when they are on this machine.

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <future>

#include "base/files/files.h"
#include "base/json/json.h"
#include "engine/engine.h"
#include "engine/model_files/convert.h"
#include "support/models_dir.h"

namespace {

using engine::Engine;

const base::SystemClock kClock;

std::string unzip(const std::string& path) {
    std::string bytes;
    gzFile file = gzopen(path.c_str(), "rb");
    EXPECT_NE(file, nullptr) << path;
    char buffer[1 << 16];
    for (int got = 0; file != nullptr && (got = gzread(file, buffer, sizeof(buffer))) > 0;) {
        bytes.append(buffer, static_cast<std::size_t>(got));
    }
    if (file != nullptr) gzclose(file);
    return bytes;
}

double cosine(std::span<const float> a, const base::json::array& b) {
    double dot = 0., aa = 0., bb = 0.;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double x = static_cast<double>(a[i]);
        const double y = b[i].to_number<double>();
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    return dot / std::sqrt(aa * bb);
}

// The 14 texts and vectors are what the published package itself returns.
TEST(UseLite, ConvertsAndEmbedsAsThePublishedModelDoes) {
    const auto source = test::shared_model("use-lite-en");
    if (!source) GTEST_SKIP() << "the published use-lite-en files are not on this machine";
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "use-lite");
    ASSERT_TRUE(folder.has_value());
    const std::string path = folder->path() + "/use-lite-en-f16.gguf";
    const auto written =
        engine::convert_model(*source, path, engine::file_type_from_name("F16").value());
    ASSERT_TRUE(written.has_value()) << written.error().message;
    const auto engine = Engine::open(path, {.threads = 2}, kClock);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    EXPECT_EQ((*engine)->info().embedding_dim, 512u);
    const auto golden = base::parse_json(
        unzip(std::string(DG_SOURCE_DIR) + "/tests/golden/engine/use-lite-en-embeddings.json.gz"));
    ASSERT_TRUE(golden.has_value());
    ASSERT_EQ(golden->as_array().size(), 14u);
    double worst = 1.;
    for (const auto& item : golden->as_array()) {
        const std::vector<std::string> text = {std::string(item.at("text").as_string())};
        std::vector<std::int64_t> ids;
        for (const auto& id : item.at("ids").as_array())
            ids.push_back(id.to_number<std::int64_t>());
        const auto ours = (*engine)->tokenizer().encode(text[0]);
        EXPECT_EQ(std::vector<std::int64_t>(ours.begin(), ours.end()), ids) << text[0];
        if (ids.empty() || ids.size() > (*engine)->info().context_tokens) continue;
        const auto vectors = (*engine)->embed(text);
        ASSERT_TRUE(vectors.has_value()) << vectors.error().message;
        worst = std::min(worst, cosine((*vectors)[0], item.at("embedding").as_array()));
    }
    std::printf("use-lite: worst cosine %.7f\n", worst);
    EXPECT_GE(worst, 0.9999);
}

/// A pulled encoder against golden/engine/NAME-embeddings.json.gz.
void compare_with_onnxruntime(const std::string& name, double cosine_min) {
    const auto path = test::cached_model(name + ".gguf");
    if (!path) GTEST_SKIP() << "dougong models pull " << name << " brings it";
    const auto engine = Engine::open(*path, {.threads = 2}, kClock);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    const auto golden = base::parse_json(
        unzip(std::string(DG_SOURCE_DIR) + "/tests/golden/engine/" + name + "-embeddings.json.gz"));
    ASSERT_TRUE(golden.has_value());
    ASSERT_EQ(golden->as_array().size(), 9u);
    double worst = 1.;
    for (const auto& item : golden->as_array()) {
        const std::vector<std::string> text = {std::string(item.at("text").as_string())};
        const auto ours = (*engine)->tokenizer().encode(text[0]);
        const auto& ids = item.at("ids").as_array();
        ASSERT_EQ(ours.size(), ids.size()) << text[0];
        for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ours[i], ids[i].as_int64());
        const auto vectors = (*engine)->embed(text);
        ASSERT_TRUE(vectors.has_value()) << vectors.error().message;
        worst = std::min(worst, cosine((*vectors)[0], item.at("embedding").as_array()));
    }
    std::printf("%s: worst cosine %.7f\n", name.c_str(), worst);
    EXPECT_GE(worst, cosine_min);
}

TEST(PulledEncoder, MiniLmEmbedsAsOnnxruntimeDoes) {
    compare_with_onnxruntime("all-minilm-l6-v2", .9999);
}

// onnxruntime rounds what flows between 8-bit weights to 8 bits too.
TEST(PulledEncoder, ChineseBgeEmbedsNearlyAsOnnxruntimeInEightBits) {
    compare_with_onnxruntime("bge-small-zh-v1.5", .98);
}

TEST(DefaultModel, RendersItsChatTemplateAndAnswersAsLlamaCppDoes) {
    const auto path = test::cached_model("SmolLM2-135M-Instruct.Q4_1.gguf");
    if (!path) GTEST_SKIP() << "the default model is not in the cache";
    const auto opened = Engine::open(*path, {.threads = 2, .context_tokens_max = 512}, kClock);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    Engine& engine = **opened;
    const base::json::array messages = {
        {{"role", "user"}, {"content", "What is the capital of France?"}}};
    const auto prompt = engine.render_chat(messages, nullptr, true, {});
    ASSERT_TRUE(prompt.has_value()) << prompt.error().message;
    EXPECT_TRUE(prompt->ends_with(
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"))
        << *prompt;

    struct Sink final : engine::GenerationSink {
        std::string text;
        std::promise<engine::Completion> end;
        void on_token(const engine::TokenEvent& event) override { text += event.text; }
        void on_finish(const engine::Completion& completion) override {
            text += completion.text;
            end.set_value(completion);
        }
    };
    auto sink = std::make_shared<Sink>();
    engine::GenerateRequest request;
    request.prompt =
        engine.tokenizer().encode(*prompt, {.add_special = false, .parse_special = true});
    request.sampling.temperature = 0.f;
    request.max_tokens = 20;
    ASSERT_TRUE(engine.submit(request, sink).has_value());
    const auto completion = sink->end.get_future().get();
    EXPECT_EQ(completion.reason, engine::FinishReason::length);
    // A 135M model at 4 bits: with AVX-512 the words are llama.cpp's; with AVX2, which sums in
    // another order, the fourth one is the other side of a near tie.
    EXPECT_TRUE(sink->text.starts_with("L'Étoile, la Marseillaise, la femme") ||
                sink->text.starts_with("L'Étoile, la Cité, la Nation"))
        << sink->text;
}

}  // namespace
