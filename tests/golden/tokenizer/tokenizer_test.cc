// Published vocabularies against the ids other implementations give; see SOURCES.md.

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "base/json/json.h"
#include "engine/model_files/gguf.h"
#include "engine/tokenizer/tokenizer.h"
#include "support/seeds.h"

namespace {

namespace fs = std::filesystem;
using engine::TokenId;
using TokenizerPtr = std::shared_ptr<const engine::Tokenizer>;

const fs::path kFolder = fs::path(DG_SOURCE_DIR) / "tests/golden/tokenizer";

std::string environment(const char* name, const std::string& fallback) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : fallback;
}

std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string unzipped(const fs::path& path) {
    std::string out;
    gzFile file = gzopen(path.c_str(), "rb");
    EXPECT_NE(file, nullptr) << path;
    char buffer[1 << 16];
    for (int bytes = 0; file != nullptr && (bytes = gzread(file, buffer, sizeof(buffer))) > 0;) {
        out.append(buffer, static_cast<std::size_t>(bytes));
    }
    if (file != nullptr) gzclose(file);
    return out;
}

base::Result<TokenizerPtr> load(const engine::GgufFile& file) {
    return engine::Tokenizer::create(DG_TRY(engine::load_vocabulary(file)));
}

/// The named vocabulary, from the repository or from the folder of shared models; nullptr: absent.
TokenizerPtr vocabulary_named(const std::string& name) {
    fs::path packed = kFolder / "vocabularies" / (name + ".gguf.gz");
    const fs::path shared = environment("DG_SHARED_MODELS", DG_SOURCE_DIR "/../shared/models");
    if (!fs::exists(packed)) {
        packed = shared / "../data/tokenizer" / ("ggml-vocab-" + name + ".gguf.gz");
    }
    fs::path plain = shared / "tokenizers" / ("ggml-vocab-" + name + ".gguf");
    if (name == "stories260K") plain = fs::path(DG_SOURCE_DIR) / "assets/stories260K-f16.gguf";
    if (name == "smollm2") {
        plain = environment(
            "DG_DEFAULT_MODEL",
            environment("HOME", "") + "/.cache/dougong/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    }
    base::Result<TokenizerPtr> loaded = TokenizerPtr();
    if (fs::exists(packed)) {
        const std::string bytes = unzipped(packed);
        const auto file = engine::GgufFile::from_memory(
            std::as_bytes(std::span(bytes.data(), bytes.size())), name);
        EXPECT_TRUE(file.has_value()) << file.error().message;
        if (file) loaded = load(*file);
    } else if (fs::exists(plain)) {
        const auto file = engine::GgufFile::open(plain.string());
        EXPECT_TRUE(file.has_value()) << file.error().message;
        if (file) loaded = load(*file);
    } else {
        std::cerr << "SKIPPED: no vocabulary " << plain << "; set DG_SHARED_MODELS\n";
    }
    EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
    return loaded.value_or(nullptr);
}

struct Case {
    std::string text;
    std::vector<TokenId> ids;
};

/// Texts separated by a marker line, and one line of ids for each.
std::vector<Case> read_cases(const std::string& name) {
    constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
    const std::string texts = read_text(kFolder / "cases" / (name + ".inp"));
    std::istringstream lines(read_text(kFolder / "cases" / (name + ".out")));
    std::vector<Case> cases;
    std::size_t at = 0;
    for (std::string line; at <= texts.size() && std::getline(lines, line);) {
        const std::size_t end = std::min(texts.find(kSeparator, at), texts.size());
        Case one{texts.substr(at, end - at), {}};
        std::istringstream ids(line);
        for (TokenId id = 0; ids >> id;) one.ids.push_back(id);
        cases.push_back(std::move(one));
        at = end + kSeparator.size();
    }
    return cases;
}

class PublishedVocabulary : public ::testing::TestWithParam<std::string> {};

TEST_P(PublishedVocabulary, GivesThePublishedIds) {
    const TokenizerPtr tokenizer = vocabulary_named(GetParam());
    if (tokenizer == nullptr) GTEST_SKIP() << "vocabulary " << GetParam() << " is not here";
    const std::vector<Case> cases = read_cases(GetParam());
    EXPECT_GE(cases.size(), 46u);
    for (const Case& one : cases) {
        EXPECT_EQ(tokenizer->encode(one.text, {.add_special = false}), one.ids) << one.text;
    }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, PublishedVocabulary,
                         ::testing::Values("gpt-2", "bert-bge", "llama-bpe", "llama-spm", "qwen2",
                                           "qwen35", "deepseek-llm", "phi-3", "smollm2"),
                         [](const auto& entry) {
                             std::string name = entry.param;
                             std::erase(name, '-');
                             return name;
                         });

// As the model's own configuration has it: white space behind a chat token belongs to the token.
TEST(Phi3Vocabulary, ChatTokensTakeTheSpaceBehindThem) {
    const TokenizerPtr tokenizer = vocabulary_named("phi-3");
    if (tokenizer == nullptr) GTEST_SKIP() << "vocabulary phi-3 is not here";
    const auto ids = [&](std::string_view text) {
        return tokenizer->encode(text, {.add_special = false, .parse_special = true});
    };
    EXPECT_EQ(ids("<|user|>\nHi<|end|>\n<|assistant|>\n"), ids("<|user|>Hi<|end|><|assistant|>"));
    EXPECT_NE(ids("<|endoftext|>\nHi"), ids("<|endoftext|>Hi"));
    EXPECT_NE(ids("Hi\n<|end|>"), ids("Hi<|end|>"));
}

TEST(SentenceEncoderVocabulary, GivesThePackagesIds) {
    const auto pieces =
        base::parse_json(unzipped(kFolder / "vocabularies/use-lite.json.gz")).value();
    engine::Vocabulary vocabulary;
    vocabulary.model = "unigram";
    for (const auto& piece : pieces.as_array()) {
        vocabulary.tokens.emplace_back(piece.at(0).as_string());
        vocabulary.scores.push_back(piece.at(1).is_null() ? 0.0f : piece.at(1).to_number<float>());
    }
    const auto tokenizer = engine::Tokenizer::create(std::move(vocabulary)).value();
    const auto cases = base::parse_json(read_text(kFolder / "cases/use-lite.json")).value();
    ASSERT_EQ(cases.as_array().size(), 14u);
    for (const auto& one : cases.as_array()) {
        const auto expected = base::json::value_to<std::vector<TokenId>>(one.at("ids"));
        auto ids = tokenizer->encode(std::string_view(one.at("text").as_string()));
        ids.resize(std::min<std::size_t>(ids.size(), expected.size()));  // the package caps at 512
        EXPECT_EQ(ids, expected) << one.at("text");
    }
}

std::string random_text(base::Rng& rng) {
    constexpr std::string_view kPieces[] = {"the ",
                                            " Hello",
                                            "don't",
                                            "123",
                                            "4567.89",
                                            "\n",
                                            "\n\n",
                                            "\t",
                                            "  ",
                                            "      ",
                                            "é",
                                            "ß",
                                            "你好",
                                            "日本語",
                                            "한국",
                                            "مرحبا",
                                            "\xF0\x9F\x98\x80",
                                            "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7",
                                            "e\xCC\x81",
                                            "<|im_start|>",
                                            "</s>",
                                            "<0x0A>",
                                            "==",
                                            "()",
                                            "'ll",
                                            "\xC2\xA0",
                                            "\xE3\x80\x80",
                                            "\xC2\x85",
                                            "\xE1\xA0\x8E",
                                            "\r\n"};
    std::string text;
    const std::uint64_t pieces = rng.below(40);
    for (std::uint64_t i = 0; i < pieces; ++i) {
        if (rng.below(4) == 0) {
            text.push_back(static_cast<char>(rng.below(256)));
        } else {
            text.append(kPieces[rng.below(std::size(kPieces))]);
        }
    }
    return text;
}

class AnyBytes : public ::testing::TestWithParam<std::string> {};

TEST_P(AnyBytes, SurviveTheRoundTripAndStreamAsTheyDecode) {
    const TokenizerPtr tokenizer = vocabulary_named(GetParam());
    if (tokenizer == nullptr) GTEST_SKIP() << "vocabulary " << GetParam() << " is not here";
    test::for_each_seed(500, [&](base::Rng& rng) {
        const std::string text = random_text(rng);
        const auto ids = tokenizer->encode(text, {.add_special = false});
        ASSERT_EQ(tokenizer->decode(ids), text);
        std::string streamed;
        for (const TokenId id : ids) streamed.append(tokenizer->piece(id));
        // SentencePiece puts one space before the text; streaming shows it, decoding takes it away.
        if (streamed.size() == text.size() + 1 && streamed.front() == ' ') streamed.erase(0, 1);
        ASSERT_EQ(streamed, text);
    });
}

TEST_P(AnyBytes, LongRunsOfOneCharacterEncode) {
    const TokenizerPtr tokenizer = vocabulary_named(GetParam());
    if (tokenizer == nullptr) GTEST_SKIP() << "vocabulary " << GetParam() << " is not here";
    for (const std::string_view unit : {"a", "A", " ", "\n", "9", "\xFF", "你", "= ", "\xCC\x81"}) {
        std::string text;
        while (text.size() < 200'000) text.append(unit);
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {.add_special = false})), text);
    }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, AnyBytes,
                         ::testing::Values("stories260K", "gpt-2", "llama-spm", "llama-bpe",
                                           "qwen2"),
                         [](const auto& entry) {
                             std::string name = entry.param;
                             std::erase(name, '-');
                             return name;
                         });

}  // namespace
