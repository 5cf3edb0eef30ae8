#include "engine/constrain/constraint.h"

#include <gtest/gtest.h>

#include <set>

#include "base/core/rng.h"
#include "base/json/json.h"
#include "engine/constrain/ebnf.h"
#include "engine/constrain/schema.h"
#include "engine/model_files/gguf.h"

namespace engine::constrain {
namespace {

struct Fixture {
    std::shared_ptr<const Tokenizer> tokenizer;
    std::shared_ptr<const TokenTrie> trie;

    static const Fixture& get() {
        static const Fixture fixture = [] {
            const auto file = GgufFile::open(DG_SOURCE_DIR "/assets/stories260K-f16.gguf");
            auto tokenizer = Tokenizer::create(*load_vocabulary(*file));
            return Fixture{*tokenizer, std::make_shared<const TokenTrie>(**tokenizer)};
        }();
        return fixture;
    }
};

/// Thousands of words, so that the short ways through the trie are taken: many with a common start,
/// of several scripts, some with what ends or escapes a string, and all single bytes.
const Fixture& many_words() {
    static const Fixture fixture = [] {
        Vocabulary v;
        v.model = "llama";
        v.tokens = {"<unk>", "</s>"};
        v.kinds = {TokenKind::unknown, TokenKind::control};
        for (int byte = 0; byte < 256; ++byte) {
            v.tokens.push_back(fmt::format("<0x{:02X}>", byte));
            v.kinds.push_back(TokenKind::byte);
        }
        static constexpr std::string_view kParts[] = {
            "a",  "e",  "n",   "s",  "t",  "x", "A", "\u2581", "1",  "0",  "\u00e9", "\u4e2d",
            "\"", "\\", "{\"", ": ", "\n", ",", "}", "na",     "me", "ab", "\u2028", "\U0001f600"};
        base::Rng rng(1);
        std::set<std::string> known(v.tokens.begin(), v.tokens.end());
        while (v.tokens.size() < 4'000) {
            std::string word;
            // Most words are of the plain parts in front.
            const std::uint64_t parts = rng.below(6) == 0 ? std::size(kParts) : 12;
            for (std::uint64_t i = 0, n = 1 + rng.below(rng.below(20) == 0 ? 40 : 6); i < n; ++i) {
                word += kParts[rng.below(parts)];
            }
            if (!known.insert(word).second) continue;
            v.tokens.push_back(word);
            v.kinds.push_back(TokenKind::normal);
        }
        v.scores.assign(v.tokens.size(), 0.f);
        v.unk = 0;
        v.eos = 1;
        auto tokenizer = *Tokenizer::create(std::move(v));
        return Fixture{tokenizer, std::make_shared<const TokenTrie>(*tokenizer)};
    }();
    return fixture;
}

constexpr std::string_view kPerson =
    R"({"type":"object","properties":{"name":{"type":"string","maxLength":40},
        "n":{"type":"integer","minimum":-5,"maximum":1200}},"required":["name","n"],
        "additionalProperties":false})";

constexpr std::string_view kSchemas[] = {
    R"({"type":"object","properties":{"name":{"type":"string","maxLength":10},
        "tax":{"type":"string","minLength":2,"maxLength":30}}})",
    R"({"type":"array","items":{"type":"string","pattern":"^a.*$"}})",
    R"({"type":"object"})",
    kPerson,
    R"({"type":"array","items":{"type":"string","minLength":300,"maxLength":320},"minItems":2})",
    R"({"type":"string","pattern":"^[a-f]{2,300}x$"})",
    R"({"enum":["one","two \"quoted\"",3]})",
};

std::shared_ptr<const Grammar> grammar_of(std::string_view schema) {
    return *compile_schema(*base::parse_json(schema));
}

/// The mask by definition: every token tried alone.
void mask_equals_trying_each_token(const Fixture& f) {
    for (const auto schema : kSchemas) {
        const auto grammar = grammar_of(schema);
        Constraint constraint(grammar, f.trie);
        base::Rng rng(7);
        for (int step = 0; step < 120 && !constraint.ended(); ++step) {
            const auto mask = constraint.mask();
            std::vector<TokenId> allowed;
            const StateId here = constraint.save();
            for (std::uint32_t i = 0; i < f.tokenizer->size(); ++i) {
                const auto id = static_cast<TokenId>(i);
                bool fits = false;
                if (f.tokenizer->ends_generation(id)) {
                    fits = constraint.can_end();
                } else if (!f.trie->piece(id).empty()) {
                    fits = constraint.accept(id);
                    constraint.restore(here);
                }
                ASSERT_EQ(has_token(mask, id), fits)
                    << schema << " token " << id << " step " << step;
                if (fits) allowed.push_back(id);
            }
            ASSERT_FALSE(allowed.empty());
            ASSERT_TRUE(constraint.accept(allowed[rng.below(allowed.size())]));
        }
    }
}

TEST(Constraint, MaskEqualsTryingEachToken) {
    mask_equals_trying_each_token(Fixture::get());
}

TEST(Constraint, MaskEqualsTryingEachTokenOfManyWords) {
    mask_equals_trying_each_token(many_words());
}

/// A model that picks at random still writes the text of the schema, as far as it gets.
TEST(Constraint, RandomTokensParseWhenTheyEnd) {
    const Fixture& f = Fixture::get();
    int ended = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        base::Rng rng(seed);
        // The small state limit makes compaction part of the test.
        Constraint constraint(grammar_of(kPerson), f.trie, {1u << 18, 8});
        std::string text;
        for (int step = 0; step < 1'000 && !constraint.ended(); ++step) {
            const auto mask = constraint.mask();
            std::vector<TokenId> allowed;
            for (std::uint32_t i = 0; i < f.tokenizer->size(); ++i) {
                if (has_token(mask, static_cast<TokenId>(i)))
                    allowed.push_back(static_cast<TokenId>(i));
            }
            ASSERT_FALSE(allowed.empty()) << text;
            const TokenId token = allowed[rng.below(allowed.size())];
            ASSERT_TRUE(constraint.accept(token));
            text += f.trie->piece(token);
        }
        if (!constraint.ended()) continue;
        ++ended;
        const auto value = base::parse_json(text);
        ASSERT_TRUE(value) << text;
        EXPECT_TRUE(value->at("name").is_string());
        const auto n = value->at("n").to_number<int>();
        EXPECT_TRUE(n >= -5 && n <= 1'200) << text;
    }
    EXPECT_GT(ended, 10);
}

TEST(Constraint, EndTokensOnlyWhenComplete) {
    const Fixture& f = Fixture::get();
    Constraint constraint(grammar_of(R"({"const":"ab"})"), f.trie);
    EXPECT_EQ(constraint.forced(), "\"ab\"");
    EXPECT_FALSE(has_token(constraint.mask(), f.tokenizer->eos()));
    EXPECT_FALSE(constraint.accept(f.tokenizer->eos()));
    ASSERT_TRUE(constraint.accept_bytes("\"ab\""));
    EXPECT_TRUE(has_token(constraint.mask(), f.tokenizer->eos()));
    EXPECT_TRUE(constraint.accept(f.tokenizer->eos()));
    EXPECT_TRUE(constraint.ended());
    EXPECT_FALSE(constraint.accept(f.tokenizer->eos()));
    EXPECT_FALSE(has_token(constraint.mask(), f.tokenizer->eos()));
}

/// A grammar made to be slow: the request fails, the engine's thread goes on.
TEST(Constraint, AnAmbiguousGrammarHasABudget) {
    const auto grammar = compile_ebnf(
        "root ::= a a a a a a a a a a a a\na ::= [a-z]{0,900} [a-z ]{0,900} [ -z]{0,900}");
    ASSERT_TRUE(grammar);
    Constraint constraint(*grammar, many_words().trie, {.work_max = 50'000});
    const auto count = [](std::span<const std::uint64_t> mask) {
        int bits = 0;
        for (const auto word : mask) bits += std::popcount(word);
        return bits;
    };
    int steps = 0;
    while (count(constraint.mask()) > 0 && constraint.accept_bytes("nanana")) ++steps;
    EXPECT_EQ(count(constraint.mask()), 0);
    EXPECT_LT(steps, 100);
    // What is cheap stays possible with the same limits.
    Constraint other(grammar_of(kPerson), many_words().trie, {.work_max = 50'000});
    EXPECT_GT(count(other.mask()), 0);
}

TEST(Constraint, MarkersAreControlTokensWhereTheTokenizerHasThem) {
    Vocabulary vocabulary;
    vocabulary.model = "llama";
    vocabulary.tokens = {"<unk>", "</s>", "<call>", "c", "a", "l", "<", ">", "{", "}", "\"", ":"};
    vocabulary.kinds.assign(vocabulary.tokens.size(), TokenKind::normal);
    vocabulary.kinds[0] = TokenKind::unknown;
    vocabulary.kinds[1] = vocabulary.kinds[2] = TokenKind::control;
    vocabulary.scores.assign(vocabulary.tokens.size(), 0.f);
    vocabulary.eos = 1;
    vocabulary.unk = 0;
    const auto tokenizer = Tokenizer::create(vocabulary);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const auto trie = std::make_shared<const TokenTrie>(**tokenizer);
    GrammarBuilder builder;
    const NodeId object = *add_schema(builder, *base::parse_json(R"({"type":"object"})"));
    const NodeId root = builder.sequence(
        {marker(builder, **tokenizer, "<call>"), object, marker(builder, **tokenizer, "<cal")});
    Constraint constraint(*builder.build(root), trie);
    const auto ids = [&] {
        std::vector<TokenId> allowed;
        for (TokenId id = 0; id < 12; ++id) {
            if (has_token(constraint.mask(), id)) allowed.push_back(id);
        }
        return allowed;
    };
    EXPECT_EQ(ids(), std::vector<TokenId>{2});  // not spelled out
    ASSERT_TRUE(constraint.accept(2));
    EXPECT_EQ(ids(), std::vector<TokenId>{8});
    ASSERT_TRUE(constraint.accept(8));
    ASSERT_TRUE(constraint.accept(10));
    EXPECT_FALSE(has_token(constraint.mask(), 2));  // in a string it is no text
    EXPECT_TRUE(has_token(constraint.mask(), 6));
    ASSERT_TRUE(constraint.accept_bytes("\":{}}"));
    EXPECT_EQ(constraint.forced(), "<cal");  // no control token has this text
}

TEST(Constraint, OneGrammarOfManySchemasSharesTheirNodes) {
    GrammarBuilder builder;
    std::vector<NodeId> tools;
    std::size_t first = 0;
    for (int i = 0; i < 40; ++i) {
        const std::string schema = fmt::format(
            R"({{"type":"object","properties":{{"t{}":{{"type":"string","maxLength":9}},"any":{{}}}},
                "additionalProperties":false}})",
            i);
        tools.push_back(*add_schema(builder, *base::parse_json(schema)));
        if (i == 0) first = builder.size();
    }
    EXPECT_LT(builder.size(), 40 * first / 2);
    const auto grammar = builder.build(builder.choice(std::move(tools)));
    ASSERT_TRUE(grammar);
    EXPECT_TRUE(matches(*grammar, R"({"t39":"x"})"));
    EXPECT_FALSE(matches(*grammar, R"({"t39":"0123456789"})"));
}

}  // namespace
}  // namespace engine::constrain
