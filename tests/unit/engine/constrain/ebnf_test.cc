#include "engine/constrain/ebnf.h"

#include <gtest/gtest.h>

#include "base/core/rng.h"
#include "engine/constrain/matcher.h"

namespace engine::constrain {
namespace {

using base::Code;

bool takes(std::string_view grammar, std::string_view text) {
    const auto built = compile_ebnf(grammar);
    EXPECT_TRUE(built) << grammar << ": " << (built ? "" : built.error().message);
    return built && matches(*built, text);
}

base::Error refused(std::string_view grammar) {
    const auto built = compile_ebnf(grammar);
    EXPECT_FALSE(built) << grammar;
    return built ? base::Error{} : built.error();
}

constexpr std::string_view kJson = R"(
# JSON, as such grammars have it
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws
string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
)";

TEST(Ebnf, ReadsTheUsualJsonGrammar) {
    EXPECT_TRUE(takes(kJson, R"({"a": [1, 2.5e-1, "x\né\u00e9"], "b": {}})"));
    EXPECT_FALSE(takes(kJson, R"({"a": [1,, 2]})"));
    EXPECT_FALSE(takes(kJson, R"(["a"])"));
    EXPECT_TRUE(takes(kJson, "{\n  \"a\": true}\n"));
}

TEST(Ebnf, PartsAndCounts) {
    EXPECT_TRUE(takes("root ::= \"a\"{2,3} x?\nx ::= [x-z]", "aay"));
    EXPECT_FALSE(takes("root ::= \"a\"{2,3} x?\nx ::= [x-z]", "a"));
    EXPECT_TRUE(takes("root ::= \"a\"{2}", "aa"));
    EXPECT_TRUE(takes("root ::= .{,2}", "中é"));
    EXPECT_FALSE(takes("root ::= .{,2}", "中éx"));
    EXPECT_TRUE(takes("root ::= [^a]+ \"\\u4e2d\\U0001F600\\x41\"", "bc中😀A"));
    EXPECT_TRUE(takes("root ::= [a\\-\\]]+", "a-]"));
    EXPECT_TRUE(takes("root ::= [a-]+", "a-"));
    // A rule goes on until the next one begins, wherever the lines end.
    EXPECT_TRUE(takes("root ::=\n  one\n  | two\none ::= \"1\"\ntwo ::= \"2\" \"3\"", "23"));
    EXPECT_TRUE(takes("root ::= \"\"", ""));
}

TEST(Ebnf, ErrorsSayLineAndColumn) {
    const std::pair<std::string_view, std::string_view> kCases[] = {
        {"root ::= \"a", "1:10"},
        {"root ::= \"a\"\nx = \"b\"", "2:3"},
        {"root ::= missing", "1:10"},
        {"root ::= \"é\" (\"b\"\n", "1:14"},
        {"root ::= [a", "1:10"},
        {"root ::= [z-a]", "1:11"},
        {"root ::= \"\\q\"", "1:11"},
        {"root ::= \"\\xg1\"", "1:13"},
        {"root ::= \"\\uD800\"", "1:13"},
        {"root ::= \"a\"{3,1}", "1:13"},
        {"root ::= \"a\"{}", "1:13"},
        {"a ::= \"a\"\n  a ::= \"b\"", "2:3"},
        {"a ::= \"a\"", "1:1"},
        {"", "1:1"},
        {"root ::= a\na ::= b? a \"x\"\nb ::= \"b\"", "2:1"},
        {"root ::= \"a\")", "1:13"},
        {"root ::= *", "1:10"},
    };
    for (const auto& [grammar, place] : kCases) {
        const base::Error error = refused(grammar);
        EXPECT_EQ(error.subject, place) << grammar << ": " << error.message;
        EXPECT_EQ(error.code, Code::invalid_argument) << grammar;
    }
}

TEST(Ebnf, LimitsAreRefusedNotReached) {
    EXPECT_EQ(refused("root ::= \"a\"{100001}").code, Code::payload_too_large);
    EXPECT_EQ(refused("root ::= " + std::string(300, '(') + "\"a\"" + std::string(300, ')')).code,
              Code::payload_too_large);
    EXPECT_EQ(refused("root ::= " + std::string(2u << 20, ' ')).code, Code::payload_too_large);
    std::string many = "root ::= \"a\"\n";
    for (int i = 0; i < 20'001; ++i) many += fmt::format("r{} ::= \"a\"\n", i);
    EXPECT_EQ(refused(many).code, Code::payload_too_large);
}

TEST(Ebnf, NothingFiniteIsRefused) {
    EXPECT_EQ(refused("root ::= \"a\" root").code, Code::invalid_argument);
}

TEST(Ebnf, DamagedGrammarsGiveAnErrorOrAGrammar) {
    std::size_t built_count = 0;
    for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
        base::Rng rng(seed);
        std::string text(kJson);
        for (std::uint64_t i = 0, n = 1 + rng.below(4); i < n; ++i) {
            const std::size_t at = rng.below(text.size()), from = rng.below(text.size());
            text.replace(at, rng.below(6), text.substr(from, rng.below(8)));
            if (rng.below(4) == 0) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
        }
        const auto built = compile_ebnf(text);
        if (!built) {
            EXPECT_FALSE(built.error().message.empty());
            continue;
        }
        ++built_count;
        Matcher matcher(*built);
        matcher.accept(R"({"a": [1, "x"]})");
    }
    EXPECT_GT(built_count, 50u);
}

TEST(RegexGrammar, IsAboutTheWholeText) {
    for (const char* pattern : {"[0-9]{3}-[a-z]+", "^[0-9]{3}-[a-z]+$"}) {
        const auto grammar = compile_regex(pattern);
        ASSERT_TRUE(grammar) << grammar.error().message;
        EXPECT_TRUE(matches(*grammar, "123-ab"));
        EXPECT_FALSE(matches(*grammar, "x123-ab"));
        EXPECT_FALSE(matches(*grammar, "123-abX"));
    }
    EXPECT_EQ(compile_regex("a(?=b)").error().code, Code::unimplemented);
    EXPECT_EQ(compile_regex("a(").error().code, Code::invalid_argument);
}

TEST(RegexGrammar, DamagedPatternsGiveAnErrorOrAGrammar) {
    constexpr std::string_view kPattern =
        R"(^(?:[a-z_][\w-]{2,4}|\d+(\.\d{1,3})?|[^"\\]*?|\u00e9\x41)[.$]\/(?<n>x|y)+$)";
    std::size_t built_count = 0;
    for (std::uint64_t seed = 0; seed < 4'000; ++seed) {
        base::Rng rng(seed);
        std::string text(kPattern);
        for (std::uint64_t i = 0, n = 1 + rng.below(4); i < n; ++i) {
            const std::size_t at = rng.below(text.size()), from = rng.below(text.size());
            text.replace(at, rng.below(6), text.substr(from, rng.below(8)));
            if (rng.below(4) == 0) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
        }
        const auto built = compile_regex(text);
        if (!built) {
            EXPECT_FALSE(built.error().message.empty());
            continue;
        }
        ++built_count;
        Matcher matcher(*built);
        matcher.accept("abc-12.5/xyx");
    }
    EXPECT_GT(built_count, 50u);
}

}  // namespace
}  // namespace engine::constrain
