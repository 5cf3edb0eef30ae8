#include <gtest/gtest.h>

#include "engine/constrain/matcher.h"
#include "engine/constrain/number_range.h"
#include "engine/constrain/regex.h"

namespace engine::constrain {
namespace {

bool regex_takes(std::string_view pattern, std::string_view text) {
    const auto regex = parse_regex(pattern);
    EXPECT_TRUE(regex) << pattern;
    return regex && regex_matches(*regex, text);
}

TEST(Grammar, RefusesLeftRecursion) {
    GrammarBuilder builder;
    const NodeId rule = builder.declare_rule();
    builder.define_rule(rule, builder.choice({builder.sequence({rule, builder.literal("a")}),
                                              builder.literal("a")}));
    EXPECT_FALSE(builder.build(rule));
}

TEST(Grammar, RefusesARuleThatWasNeverDefined) {
    GrammarBuilder builder;
    EXPECT_FALSE(builder.build(builder.declare_rule()));
}

TEST(Matcher, NestedBracketsNeedTheirPartners) {
    GrammarBuilder builder;
    const NodeId rule = builder.declare_rule();
    builder.define_rule(rule, builder.sequence({builder.literal("("), builder.repeat(rule, 0),
                                                builder.literal(")")}));
    const auto grammar = builder.build(rule);
    ASSERT_TRUE(grammar);
    EXPECT_TRUE(matches(*grammar, "(()(()))"));
    EXPECT_FALSE(matches(*grammar, "(()"));
    EXPECT_FALSE(matches(*grammar, "())"));
    EXPECT_TRUE(matches(*grammar, std::string(5'000, '(') + std::string(5'000, ')')));
}

TEST(Matcher, CopiesGoTheirOwnWays) {
    GrammarBuilder builder;
    const NodeId root = builder.choice({builder.literal("abc"), builder.literal("abd")});
    const auto grammar = builder.build(root);
    ASSERT_TRUE(grammar);
    Matcher first(*grammar);
    ASSERT_TRUE(first.accept("a"));
    Matcher second = first;
    ASSERT_TRUE(second.accept("bd"));
    EXPECT_TRUE(second.can_end());
    EXPECT_FALSE(first.can_end());
    EXPECT_EQ(first.forced(), "b");
    EXPECT_FALSE(first.accept("x"));
    EXPECT_TRUE(first.accept("bc"));
}

TEST(Matcher, AmbiguousRepetitionStaysBounded) {
    // Exponentially many ways to read the text; the stacks merge.
    const auto regex = parse_regex("^(?:(?:a|aa)+)+$");
    ASSERT_TRUE(regex);
    EXPECT_TRUE(regex_matches(*regex, std::string(3'000, 'a')));
    EXPECT_FALSE(regex_matches(*regex, std::string(3'000, 'a') + "b"));
}

TEST(Matcher, AnotherTableTakesThePositionOver) {
    const auto regex = parse_regex("^[a-c]{3,9}x$");
    ASSERT_TRUE(regex);
    GrammarBuilder builder;
    const NodeId root = regex_node(builder, *regex, Spelling::utf8);
    const auto grammar = builder.build(root);
    ASSERT_TRUE(grammar);
    StateTable table(*grammar);
    StateId state = table.start();
    for (const char c : std::string_view("abcab"))
        state = table.step(state, static_cast<std::uint8_t>(c));
    StateTable other(*grammar);
    state = other.adopt(table, state);
    EXPECT_LT(other.states(), table.states());
    EXPECT_NE(other.step(state, 'x'), kDead);
    for (int i = 0; i < 4; ++i) state = other.step(state, 'a');
    EXPECT_EQ(other.step(state, 'a'), kDead);
    EXPECT_TRUE(other.can_end(other.step(state, 'x')));
}

TEST(Regex, ClassesCountsAndAnchors) {
    EXPECT_TRUE(regex_takes("^[a-z_][\\w-]{2,4}$", "ab-9"));
    EXPECT_FALSE(regex_takes("^[a-z_][\\w-]{2,4}$", "abcdef"));
    EXPECT_TRUE(regex_takes("b", "abc"));
    EXPECT_FALSE(regex_takes("^b", "abc"));
    EXPECT_TRUE(regex_takes("^a|c$", "xxc"));
    EXPECT_TRUE(regex_takes("^.$", "é"));
    EXPECT_TRUE(regex_takes("^[^a]$", "中"));
    EXPECT_FALSE(regex_takes("^.$", "\n"));
    EXPECT_TRUE(regex_takes("^\\u00e9\\x41$", "éA"));
}

TEST(Regex, RefusesWhatIsNotRegular) {
    for (const char* pattern : {"(?=a)b", "(a)\\1", "\\bword", "(?<!x)y", "\\p{L}", "(^a)"}) {
        const auto regex = parse_regex(pattern);
        ASSERT_FALSE(regex) << pattern;
        EXPECT_EQ(regex.error().code, base::Code::unimplemented) << pattern;
    }
    for (const char* pattern : {"(", "a)", "[a", "*", "a{3,1}", "\\", "[z-a]"}) {
        const auto regex = parse_regex(pattern);
        ASSERT_FALSE(regex) << pattern;
        EXPECT_EQ(regex.error().code, base::Code::invalid_argument) << pattern;
    }
}

TEST(Regex, LengthBoundsAreExact) {
    auto bounded = bound_length(*parse_regex("^[a-z][a-z0-9]*$"), 3, 5);
    ASSERT_TRUE(bounded);
    EXPECT_FALSE(regex_matches(*bounded, "ab"));
    EXPECT_TRUE(regex_matches(*bounded, "abc"));
    EXPECT_TRUE(regex_matches(*bounded, "abcde"));
    EXPECT_FALSE(regex_matches(*bounded, "abcdef"));
    EXPECT_FALSE(bound_length(*parse_regex("^a*b*$"), 1, 3));
}

/// Decimals with two digits behind the point, against arithmetic.
TEST(NumberRange, AgreesWithArithmetic) {
    const char* bounds[] = {"-12", "-10", "-1.5", "-0.25", "0",    "0.07",
                            "0.5", "1",   "9.9",  "10",    "12.34"};
    for (const char* low : bounds) {
        for (const char* high : bounds) {
            for (const int strict : {0, 1, 2, 3}) {
                NumberRange range;
                range.low = Bound{*parse_decimal(low), (strict & 1) != 0};
                range.high = Bound{*parse_decimal(high), (strict & 2) != 0};
                GrammarBuilder builder, integers;
                const NodeId root = number_node(builder, range);
                const NodeId whole = integer_node(integers, range);
                const auto grammar = builder.build(root), integer = integers.build(whole);
                const auto fits = [](const auto& built, const std::string& text) {
                    return built && matches(*built, text);  // an empty range does not build
                };
                for (int hundredths = -1'300; hundredths <= 1'300; hundredths += 7) {
                    const int size = std::abs(hundredths);
                    const std::string text = fmt::format("{}{}.{:02}", hundredths < 0 ? "-" : "",
                                                         size / 100, size % 100);
                    ASSERT_EQ(fits(grammar, text), in_range(*parse_decimal(text), range))
                        << text << " in " << low << ".." << high << " strict " << strict;
                    if (hundredths % 2 != 0) continue;
                    const std::string digits = fmt::format("{}", hundredths / 100);
                    ASSERT_EQ(fits(integer, digits), in_range(*parse_decimal(digits), range))
                        << digits << " in " << low << ".." << high << " strict " << strict;
                }
            }
        }
    }
}

}  // namespace
}  // namespace engine::constrain
