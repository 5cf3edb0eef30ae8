#include "agent/eval/judge.h"

#include <gtest/gtest.h>

namespace agent {
namespace {

namespace json = base::json;
using Kind = Pack::Eval::Kind;

bool passes(Kind kind, std::string_view expected, const json::value& answer) {
    Pack::Eval eval;
    eval.kind = kind;
    eval.expected = base::parse_json(expected).value();
    const Judged judged = judge(eval, answer);
    EXPECT_EQ(judged.passed, judged.why.empty());
    return judged.passed;
}

TEST(Judge, Exact) {
    EXPECT_TRUE(passes(Kind::exact, R"("four")", " four\n"));
    EXPECT_FALSE(passes(Kind::exact, R"("four")", "Four"));
    EXPECT_TRUE(passes(Kind::exact, R"({"n": 4})", json::object{{"n", 4}}));
    EXPECT_FALSE(passes(Kind::exact, R"({"n": 4})", json::object{{"n", 5}}));
}

TEST(Judge, Contains) {
    EXPECT_TRUE(passes(Kind::contains, R"(["four", "Hills"])", "FOUR hills"));
    EXPECT_FALSE(passes(Kind::contains, R"(["four", "rivers"])", "four hills"));
    EXPECT_TRUE(passes(Kind::contains, R"(["\"n\":4"])", json::object{{"n", 4}}));
}

TEST(Judge, Schema) {
    constexpr std::string_view kSchema = R"({"type": "object", "required": ["n"]})";
    EXPECT_TRUE(passes(Kind::schema, kSchema, json::object{{"n", 4}}));
    EXPECT_TRUE(passes(Kind::schema, kSchema, R"({"n": 4})"));
    EXPECT_FALSE(passes(Kind::schema, kSchema, json::object{{"m", 4}}));
    EXPECT_FALSE(passes(Kind::schema, kSchema, "n"));
}

}  // namespace
}  // namespace agent
