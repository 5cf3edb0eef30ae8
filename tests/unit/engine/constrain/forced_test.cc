#include <gtest/gtest.h>

#include "base/core/rng.h"
#include "base/json/json.h"
#include "engine/constrain/guide.h"
#include "engine/constrain/schema.h"

namespace engine::constrain {
namespace {

/// A byte-level vocabulary of single characters and a few words.
std::shared_ptr<const Tokenizer> words() {
    Vocabulary v;
    v.model = "gpt2";
    v.pre = "gpt-2";
    for (int c = 33; c < 127; ++c) v.tokens.push_back(std::string(1, static_cast<char>(c)));
    const auto add = [&](const char* left, const char* right) {
        v.merges.push_back(std::string(left) + " " + right);
        v.tokens.push_back(std::string(left) + right);
    };
    v.tokens.push_back("Ġ");
    add("a", "b");
    add("ab", "c");
    add("c", "d");
    add("{", "\"");
    v.tokens.push_back("<end>");
    v.tokens.push_back("<call>");
    v.kinds.assign(v.tokens.size(), TokenKind::normal);
    v.kinds[v.tokens.size() - 1] = v.kinds[v.tokens.size() - 2] = TokenKind::control;
    v.eos = static_cast<TokenId>(v.tokens.size() - 2);
    return *Tokenizer::create(v);
}

struct Case {
    std::shared_ptr<const Tokenizer> tokenizer = words();
    std::shared_ptr<const TokenTrie> trie = std::make_shared<const TokenTrie>(*tokenizer);
    GrammarBuilder builder;

    Constraint constraint(NodeId root) { return {*builder.build(root), trie}; }
    std::shared_ptr<Masks> masks(NodeId root) {
        return std::make_shared<Masks>(*builder.build(root), trie);
    }
    std::vector<std::string> pieces(const std::vector<TokenId>& ids) const {
        std::vector<std::string> out;
        for (const TokenId id : ids) out.push_back(tokenizer->piece(id, true));
        return out;
    }
    TokenId id(std::string_view text) const { return *tokenizer->find(text); }
};

using Pieces = std::vector<std::string>;

TEST(ForcedTokens, AreTheTokenizersOwn) {
    Case c;
    const auto constraint = c.constraint(c.builder.literal("abc{\"x"));
    EXPECT_EQ(c.pieces(constraint.forced_tokens(*c.tokenizer, {}, 9)), (Pieces{"abc", "{\"", "x"}));
    EXPECT_EQ(c.pieces(constraint.forced_tokens(*c.tokenizer, {}, 2)), (Pieces{"abc", "{\""}));
}

TEST(ForcedTokens, EndWhereALongerTokenCouldGoOn) {
    Case c;
    GrammarBuilder& b = c.builder;
    // "ab" must come, but "abc" is a token and may come as well.
    const NodeId root = b.sequence({b.literal("xab"), b.choice({b.literal("c"), b.literal("d")})});
    EXPECT_EQ(c.pieces(c.constraint(root).forced_tokens(*c.tokenizer, {}, 9)), Pieces{"x"});
    Case d;
    const NodeId other =
        d.builder.sequence({d.builder.literal("xab"),
                            d.builder.choice({d.builder.literal("e"), d.builder.literal("f")})});
    EXPECT_EQ(d.pieces(d.constraint(other).forced_tokens(*d.tokenizer, {}, 9)),
              (Pieces{"x", "ab"}));
}

TEST(ForcedTokens, ContinueTheTokensBefore) {
    Case c;
    Constraint constraint = c.constraint(c.builder.literal("abcd"));
    ASSERT_TRUE(constraint.accept(c.id("a")));
    // The tokenizer would not have written "a" alone: what follows is the model's own choice.
    EXPECT_TRUE(constraint.forced_tokens(*c.tokenizer, std::vector{c.id("a")}, 9).empty());
    ASSERT_TRUE(constraint.accept_bytes("bc"));
    EXPECT_EQ(c.pieces(constraint.forced_tokens(*c.tokenizer, std::vector{c.id("abc")}, 9)),
              Pieces{"d"});
}

TEST(ForcedTokens, TakeControlTokensInBetween) {
    Case c;
    const NodeId root =
        c.builder.sequence({marker(c.builder, *c.tokenizer, "<call>"), c.builder.literal("ab"),
                            marker(c.builder, *c.tokenizer, "<call>")});
    EXPECT_EQ(c.pieces(c.constraint(root).forced_tokens(*c.tokenizer, {}, 9)),
              (Pieces{"<call>", "ab", "<call>"}));
}

/// Forcing never leaves the grammar, whatever was said before.
TEST(ForcedTokens, AreAlwaysAccepted) {
    Case c;
    const NodeId root = *add_schema(c.builder, *base::parse_json(R"({"type":"object","properties":{
        "abcd":{"enum":["abcab","abd","{\"a"]},"abx":{"type":"integer","maximum":120,"minimum":100},
        "cd":{"const":"abc"}},"required":["abx"],"additionalProperties":false})"),
                                    {.whitespace_max = 0, .compact = false});
    const auto masks = c.masks(root);
    std::size_t forced_total = 0, ended = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        base::Rng rng(seed);
        Constraint constraint(masks);
        std::vector<TokenId> text;
        for (int step = 0; step < 200 && !constraint.finished(); ++step) {
            for (const TokenId id : constraint.forced_tokens(*c.tokenizer, text, 99)) {
                ASSERT_TRUE(constraint.accept(id)) << c.tokenizer->decode(text);
                text.push_back(id);
                ++forced_total;
            }
            if (constraint.finished()) break;
            const auto mask = constraint.mask();
            std::vector<TokenId> allowed;
            for (std::uint32_t i = 0; i < c.tokenizer->size(); ++i) {
                if (has_token(mask, static_cast<TokenId>(i))) {
                    allowed.push_back(static_cast<TokenId>(i));
                }
            }
            ASSERT_FALSE(allowed.empty());
            text.push_back(allowed[rng.below(allowed.size())]);
            ASSERT_TRUE(constraint.accept(text.back()));
        }
        ended += constraint.finished();
        EXPECT_TRUE(base::parse_json(c.tokenizer->decode(text))) << c.tokenizer->decode(text);
    }
    EXPECT_EQ(ended, 200u);
    EXPECT_GT(forced_total, 1'000u);
}

TEST(Guide, TriggersBeginTheGrammarAndItsEndFreesTheText) {
    Case c;
    const NodeId opener = c.builder.choice({c.builder.literal("x<call>"), c.builder.literal("!!")});
    const NodeId root = c.builder.sequence(
        {opener, c.builder.literal("{"), c.builder.literal("ab"), c.builder.literal("}")});
    Guide guide(c.masks(root), c.tokenizer, {"", "x<call>", "!!"});
    std::vector<float> logits(c.tokenizer->size());
    const auto allowed = [&] {
        std::fill(logits.begin(), logits.end(), 0.f);
        EXPECT_TRUE(guide.restrict(logits));
        return std::count(logits.begin(), logits.end(), 0.f);
    };
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(allowed(), static_cast<std::ptrdiff_t>(logits.size()));
        EXPECT_TRUE(guide.forced({}, 9).empty());
        for (const char* text : {"x", "<call>"}) ASSERT_TRUE(guide.accept(c.id(text)));
        EXPECT_EQ(allowed(), 1);
        EXPECT_FALSE(guide.accept(c.id("a")));
        for (const char* text : {"{", "ab", "}"}) ASSERT_TRUE(guide.accept(c.id(text)));
        EXPECT_FALSE(guide.finished());
    }
    ASSERT_TRUE(guide.accept(c.id("!")));
    ASSERT_TRUE(guide.accept(c.id("!")));
    EXPECT_EQ(allowed(), 1);
}

TEST(Guide, TriggersDoNotCountInReasoning) {
    for (const bool begun : {false, true}) {
        Case c;
        Guide guide(c.masks(c.builder.literal("<call>{")), c.tokenizer, {"<call>"},
                    {"x", "}", begun});
        std::vector<float> logits(c.tokenizer->size());
        const auto allowed = [&] {
            std::fill(logits.begin(), logits.end(), 0.f);
            EXPECT_TRUE(guide.restrict(logits));
            return std::count(logits.begin(), logits.end(), 0.f);
        };
        const auto all = static_cast<std::ptrdiff_t>(logits.size());
        if (!begun) {
            ASSERT_TRUE(guide.accept(c.id("x")));
        }
        for (const char* text : {"ab", "<call>", "a", "}"}) {
            ASSERT_TRUE(guide.accept(c.id(text)));
            EXPECT_EQ(allowed(), all);
        }
        ASSERT_TRUE(guide.accept(c.id("x")));  // behind the reasoning it is a letter like others
        EXPECT_EQ(allowed(), all);
        ASSERT_TRUE(guide.accept(c.id("<call>")));
        EXPECT_EQ(allowed(), 1);
    }
}

TEST(Guide, TriggersCountAtOnceWithoutReasoning) {
    Case c;
    Guide guide(c.masks(c.builder.literal("<call>{")), c.tokenizer, {"<call>"}, {"xx", "}", false});
    ASSERT_TRUE(guide.accept(c.id("x")));  // may become reasoning
    ASSERT_TRUE(guide.accept(c.id("<call>")));
    EXPECT_EQ(c.pieces(guide.forced({}, 9)), Pieces{"{"});
}

TEST(Guide, ATriggerInsideATokenNeedsTheRestToFit) {
    Case c;
    Guide guide(c.masks(c.builder.literal("abcd")), c.tokenizer, {"ab"});
    EXPECT_TRUE(guide.accept(c.id("abc")));  // with "c" the grammar goes on
    EXPECT_EQ(c.pieces(guide.forced({}, 9)), Pieces{"d"});
    Case d;
    Guide other(d.masks(d.builder.literal("abx")), d.tokenizer, {"ab"});
    EXPECT_FALSE(other.accept(d.id("abc")));
    EXPECT_TRUE(other.accept(d.id("ab")));
}

TEST(Guide, NoTokenLeftIsAnError) {
    Case c;
    Guide guide(c.masks(c.builder.literal("\n")), c.tokenizer, {});  // not in this vocabulary
    std::vector<float> logits(c.tokenizer->size(), 1.f);
    const auto restricted = guide.restrict(logits);
    ASSERT_FALSE(restricted);
    EXPECT_EQ(restricted.error().code, base::Code::failed_precondition);
}

}  // namespace
}  // namespace engine::constrain
