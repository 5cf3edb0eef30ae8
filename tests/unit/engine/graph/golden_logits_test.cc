// Greedy text and logits against what others compute from the same weights.

#include "unit/engine/graph/golden_logits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/files/files.h"
#include "engine/model_files/quantize.h"
#include "support/models_dir.h"
#include "unit/engine/graph/graph_runner.h"

namespace test {

namespace {

class Bytes {
public:
    explicit Bytes(const std::string& bytes) : bytes_(bytes) {}
    template <class T>
    T get() {
        T value{};
        if (at_ + sizeof(T) > bytes_.size()) {
            ok_ = false;
            return value;
        }
        std::memcpy(&value, bytes_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }
    bool whole() const { return ok_ && at_ == bytes_.size(); }
    bool ok() const { return ok_; }

private:
    const std::string& bytes_;
    std::size_t at_ = 0;
    bool ok_ = true;
};

double log_total(std::span<const float> logits) {
    const double max = static_cast<double>(*std::ranges::max_element(logits));
    double sum = 0.;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
    return max + std::log(sum);
}

}  // namespace

std::vector<GoldenSequence> parse_golden_top(const std::string& bytes) {
    Bytes in(bytes);
    std::vector<GoldenSequence> sequences(in.get<std::uint32_t>());
    for (GoldenSequence& sequence : sequences) {
        const auto tokens = in.get<std::uint32_t>();
        sequence.k = in.get<std::uint32_t>();
        for (std::uint32_t i = 0; i < tokens && in.ok(); ++i) {
            sequence.ids.push_back(in.get<std::int32_t>());
        }
        for (std::uint32_t i = 0; i < tokens * sequence.k && in.ok(); ++i) {
            sequence.top_ids.push_back(in.get<std::uint16_t>());
            sequence.top_logprobs.push_back(-static_cast<float>(in.get<std::uint16_t>()) / 4096.f);
        }
    }
    EXPECT_TRUE(in.whole()) << "golden file of " << bytes.size() << " bytes is damaged";
    return sequences;
}

void compare(const GoldenSequence& reference, std::span<const float> logits, std::uint32_t vocab,
             Agreement& agreement) {
    for (std::size_t p = 0; p < reference.ids.size(); ++p) {
        const auto ours = logits.subspan(p * vocab, vocab);
        const double total = log_total(ours);
        double kl = 0., rest_reference = 1., rest_ours = 1.;
        for (std::size_t i = p * reference.k; i < (p + 1) * reference.k; ++i) {
            const double log_p = static_cast<double>(reference.top_logprobs[i]);
            const double log_q = static_cast<double>(ours[reference.top_ids[i]]) - total;
            kl += std::exp(log_p) * (log_p - log_q);
            rest_reference -= std::exp(log_p);
            rest_ours -= std::exp(log_q);
        }
        if (rest_reference > 1e-6) {
            kl += rest_reference * std::log(rest_reference / std::max(rest_ours, 1e-12));
        }
        const auto best = std::ranges::max_element(ours) - ours.begin();
        ++agreement.positions;
        const std::size_t first = p * reference.k;
        agreement.top1_same += best == reference.top_ids[first];
        for (std::size_t i = first + 1; i < first + reference.k; ++i) {
            agreement.top1_tied +=
                best == reference.top_ids[i] &&
                reference.top_logprobs[first] - reference.top_logprobs[i] < 0.01f;
        }
        agreement.kl_sum += kl;
        agreement.kl_max = std::max(agreement.kl_max, kl);
    }
}

}  // namespace test

namespace {

using test::Agreement;
using test::GraphRunner;

engine::GgufFile open_asset() {
    auto file = engine::GgufFile::open(test::source_path("assets/stories260K-f16.gguf"));
    EXPECT_TRUE(file.has_value());
    return *std::move(file);
}

Agreement measure(GraphRunner& runner, const std::string& golden,
                  std::uint64_t positions_wanted = 1'000'000) {
    Agreement agreement;
    for (const auto& sequence : test::parse_golden_top(test::read_golden(golden))) {
        if (agreement.positions >= positions_wanted) break;
        const std::vector<float> logits = runner.all_logits(sequence.ids, 64);
        test::compare(sequence, logits, runner.vocab(), agreement);
    }
    std::printf("%s: %zu positions, top-1 agreement %.3f %%, KL mean %.2e max %.2e\n",
                golden.c_str(), static_cast<std::size_t>(agreement.positions),
                100. * agreement.top1_share(), agreement.kl_mean(), agreement.kl_max);
    return agreement;
}

std::string text_of(const engine::Vocabulary& vocabulary, std::span<const std::int32_t> ids) {
    std::string text;
    for (const std::int32_t id : ids) {
        const std::string& token = vocabulary.tokens[static_cast<std::size_t>(id)];
        text += token == "<0x0A>" ? "\n" : token;
    }
    for (std::size_t at; (at = text.find("▁")) != std::string::npos;) text.replace(at, 3, " ");
    return text;
}

TEST(GoldenLogits, SmokeModelAgreesWithLlamaCpp) {
    GraphRunner runner(open_asset());
    ASSERT_TRUE(runner.ok());
    const Agreement agreement = measure(runner, "stories260k-f16.top8.gz");
    EXPECT_GE(agreement.positions, 90u);
    // Rounding a cache to F16 may decide between two tokens as good as equal.
    EXPECT_EQ(agreement.top1_same + agreement.top1_tied, agreement.positions);
    EXPECT_LE(agreement.top1_tied, 1u);
    EXPECT_LT(agreement.kl_mean(), 1e-4);
}

constexpr const char* kDefaultModel = "SmolLM2-135M-Instruct.Q4_1.gguf";

// The reference is llama.cpp on the default model with its Q4_1 weights written out as F32: then
// nobody quantises activations, and what differs is the graph. On the Q4_1 file llama.cpp is no
// reference at this precision: it rounds activations to 8 bits, and agrees with itself only to
// 96.6 % and KL 2.4e-3 between batch sizes, 95.5 % and 2.8e-3 between its two attention kernels.
/// A path to the default model with its weights written out as F32, or none when the model is not
/// in the cache.
std::optional<std::string> default_model_as_f32(const base::TemporaryDir& folder) {
    const auto path = test::cached_model(kDefaultModel);
    if (!path) return std::nullopt;
    const std::string f32_path = folder.path() + "/f32.gguf";
    const auto written = engine::quantize_model(*path, f32_path, {engine::TensorType::f32});
    EXPECT_TRUE(written.has_value()) << written.error().message;
    return f32_path;
}

TEST(GoldenLogits, DefaultModelAgreesWithLlamaCpp) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "golden");
    ASSERT_TRUE(folder.has_value());
    const auto path = default_model_as_f32(*folder);
    if (!path) GTEST_SKIP() << "the default model is not in the cache";
    auto file = engine::GgufFile::open(*path);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    GraphRunner runner(*std::move(file));
    ASSERT_TRUE(runner.ok());
    const Agreement agreement = measure(runner, "smollm2-135m-f32.top32.gz");
    EXPECT_GE(agreement.positions, 2000u);
    EXPECT_GE(agreement.top1_share(), 0.995);
    EXPECT_LT(agreement.kl_mean(), 1e-4);
}

// What narrower caches cost: KL 6.5e-5 with BF16 and 0.9e-3 with q8 when this was written.
TEST(GoldenLogits, NarrowCachesStayCloseToLlamaCpp) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "golden");
    ASSERT_TRUE(folder.has_value());
    const auto path = default_model_as_f32(*folder);
    if (!path) GTEST_SKIP() << "the default model is not in the cache";
    for (const engine::KvType type : {engine::KvType::bf16, engine::KvType::q8}) {
        auto file = engine::GgufFile::open(*path);
        ASSERT_TRUE(file.has_value()) << file.error().message;
        GraphRunner runner(*std::move(file), 0, 64, type);
        ASSERT_TRUE(runner.ok());
        const Agreement agreement = measure(runner, "smollm2-135m-f32.top32.gz", 300);
        EXPECT_GE(agreement.top1_share(), 0.98) << engine::kv_type_name(type);
        EXPECT_LT(agreement.kl_mean(), type == engine::KvType::bf16 ? 2e-4 : 2e-3)
            << engine::kv_type_name(type);
    }
}

// As people run it: activations in 8 bits. llama.cpp's own figures against the same reference are
// 96.64 % and KL 2.23e-3 (batch), 96.26 % and 2.31e-3 (one by one).
TEST(GoldenLogits, DefaultModelAsShippedErrsNoMoreThanLlamaCpp) {
    const auto path = test::cached_model(kDefaultModel);
    if (!path) GTEST_SKIP() << "the default model is not in the cache";
    auto file = engine::GgufFile::open(*path);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    GraphRunner runner(*std::move(file));
    ASSERT_TRUE(runner.ok());
    const Agreement agreement = measure(runner, "smollm2-135m-f32.top32.gz");
    EXPECT_GE(agreement.top1_share(), 0.96);
    EXPECT_LT(agreement.kl_mean(), 2.4e-3);
}

TEST(GoldenText, SmokeModelContinuesAsLlama2cDoes) {
    auto file = open_asset();
    const auto vocabulary = engine::load_vocabulary(file);
    ASSERT_TRUE(vocabulary.has_value());
    GraphRunner runner(std::move(file));
    ASSERT_TRUE(runner.ok());
    // "Once upon a time" after BOS; the golden text is llama2.c's own, 200 positions in all.
    const std::vector<std::int32_t> prompt = {1, 403, 407, 261, 378};
    const auto ids = runner.greedy(prompt, 190);
    const std::string golden = test::read_golden("stories260k-greedy-200.txt");
    const std::string text = "Once upon a time" + text_of(*vocabulary, ids);
    ASSERT_GT(golden.size(), 400u);
    EXPECT_EQ(text.substr(0, 440), golden.substr(0, 440));
}

/// What a model says greedily after BOS alone, `steps` tokens.
std::string greedy_text(const std::string& path, std::size_t steps) {
    auto file = engine::GgufFile::open(path);
    EXPECT_TRUE(file.has_value()) << path;
    if (!file) return {};
    const auto vocabulary = engine::load_vocabulary(*file);
    EXPECT_TRUE(vocabulary.has_value());
    GraphRunner runner(*std::move(file));
    EXPECT_TRUE(runner.ok());
    if (!runner.ok()) return {};
    const auto ids = runner.greedy(std::vector<std::int32_t>{1}, steps);
    // SentencePiece puts a space before a text; whoever prints it leaves that out.
    return text_of(*vocabulary, ids).substr(1);
}

// A model of single characters, in floats and in 8 bits. Both other engines leave the float text
// after the same words when they run the 8-bit file.
TEST(GoldenText, BabyLlamaContinuesAsLlama2cDoes) {
    const auto folder = test::shared_model("babyllama-105");
    if (!folder) GTEST_SKIP() << "babyllama-105 is not on this machine";
    const std::string golden = test::read_golden("babyllama-105-greedy-250.txt");
    ASSERT_GT(golden.size(), 240u);
    const std::string floats = greedy_text(*folder + "/babyllama105-f32.gguf", 249);
    EXPECT_EQ(floats.substr(0, 245), golden.substr(0, 245));
    const std::string common = golden.substr(0, golden.find("with her mommy") + 14);
    EXPECT_TRUE(greedy_text(*folder + "/babyllama105-q8_0.gguf", 249).starts_with(common));
}

}  // namespace
