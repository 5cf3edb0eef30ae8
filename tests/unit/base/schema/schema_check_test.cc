#include "base/schema/schema_check.h"

#include <gtest/gtest.h>

#include "base/json/canonical.h"
#include "support/seeds.h"

namespace base {
namespace {

SchemaCheck compiled(std::string_view schema) {
    auto check = SchemaCheck::compile(parse_json(schema).value());
    EXPECT_TRUE(check.has_value()) << schema << ": " << check.error().message;
    return check ? *check : SchemaCheck();
}

bool fits(std::string_view schema, std::string_view value) {
    return compiled(schema).check(parse_json(value).value()).has_value();
}

/// Where the value is wrong; "fits" when it is not.
std::string fault_at(std::string_view schema, std::string_view value) {
    const auto checked = compiled(schema).check(parse_json(value).value());
    return checked ? "fits" : checked.error().subject;
}

std::string compile_fault(std::string_view schema) {
    const auto check = SchemaCheck::compile(parse_json(schema).value());
    return check ? "none" : check.error().subject;
}

TEST(SchemaCheck, TypesAreThoseOfJsonSchema) {
    EXPECT_TRUE(fits(R"({"type":"integer"})", "1.0"));
    EXPECT_FALSE(fits(R"({"type":"integer"})", "1.5"));
    EXPECT_TRUE(fits(R"({"type":["string","null"]})", "null"));
    EXPECT_FALSE(fits(R"({"type":"number"})", "true"));
    EXPECT_TRUE(fits("true", "[]"));
    EXPECT_FALSE(fits("false", "[]"));
}

TEST(SchemaCheck, ComparesNumbersAndObjectsByValue) {
    EXPECT_TRUE(fits(R"({"const":{"a":1,"b":[2.0]}})", R"({"b":[2],"a":1.0})"));
    EXPECT_FALSE(fits(R"({"enum":[0]})", "false"));
    EXPECT_FALSE(fits(R"({"uniqueItems":true})", "[1, 2, 1.0]"));
    EXPECT_TRUE(fits(R"({"uniqueItems":true})", "[1, true, \"1\"]"));
}

TEST(SchemaCheck, BoundsNumbers) {
    EXPECT_TRUE(fits(R"({"multipleOf":0.01})", "19.99"));
    EXPECT_TRUE(fits(R"({"multipleOf":1e-8})", "12391239123"));
    EXPECT_FALSE(fits(R"({"multipleOf":3})", "10"));
    EXPECT_FALSE(fits(R"({"exclusiveMinimum":1})", "1"));
    EXPECT_TRUE(fits(R"({"minimum":1})", "1"));
}

TEST(SchemaCheck, CountsCharactersAndSearchesPatterns) {
    EXPECT_TRUE(fits(R"({"maxLength":2})", "\"\\u00e9\\u6597\""));
    EXPECT_TRUE(fits(R"({"pattern":"b+"})", "\"abc\""));
    EXPECT_FALSE(fits(R"({"pattern":"^b+$"})", "\"abc\""));
    EXPECT_FALSE(fits(R"({"format":"date"})", "\"2026-02-30\""));
    EXPECT_TRUE(fits(R"({"format":"date-time"})", "\"2026-02-28T10:00:00Z\""));
    EXPECT_TRUE(fits(R"({"format":"nobody-knows"})", "\"x\""));
}

TEST(SchemaCheck, APatternThatTakesForeverIsAFaultAndNotAHang) {
    const std::string value = "\"" + std::string(5000, 'a') + "!\"";
    EXPECT_FALSE(fits(R"({"pattern":"^(a+)+$"})", value));
}

TEST(SchemaCheck, ReadsListsOfBothDrafts) {
    EXPECT_FALSE(fits(R"({"prefixItems":[{"type":"string"}],"items":false})", R"(["a", 1])"));
    EXPECT_FALSE(fits(R"({"items":[{"type":"string"}],"additionalItems":false})", R"(["a", 1])"));
    EXPECT_TRUE(fits(R"({"contains":{"const":1},"minContains":2,"maxContains":3})", "[1, 0, 1]"));
    EXPECT_FALSE(fits(R"({"contains":{"const":1},"minContains":2})", "[1, 0]"));
    EXPECT_FALSE(fits(R"({"dependencies":{"a":["b"]}})", R"({"a":1})"));
    EXPECT_TRUE(fits(R"({"$ref":"#/definitions/n","definitions":{"n":{"type":"null"}}})", "null"));
}

TEST(SchemaCheck, LooksAtMembersThatNobodyLookedAt) {
    const char* const schema = R"({"allOf":[{"properties":{"a":true}}],"if":{"required":["b"]},
        "then":{"properties":{"b":true}},"unevaluatedProperties":false})";
    EXPECT_TRUE(fits(schema, R"({"a":1,"b":2})"));
    EXPECT_FALSE(fits(schema, R"({"a":1,"c":2})"));
    EXPECT_FALSE(fits(R"({"prefixItems":[true],"unevaluatedItems":{"type":"string"}})", "[1, 2]"));
}

TEST(SchemaCheck, FollowsNamesWithinTheDocument) {
    const char* const tree = R"({"$id":"https://example.org/tree","type":"object",
        "properties":{"kids":{"type":"array","items":{"$ref":"tree"}},"v":{"$ref":"#num"}},
        "$defs":{"n":{"$anchor":"num","type":"number"}}})";
    EXPECT_TRUE(fits(tree, R"({"kids":[{"v":1},{"kids":[]}]})"));
    EXPECT_EQ(fault_at(tree, R"({"kids":[{"v":1},{"kids":[{"v":"x"}]}]})"), "/kids/1/kids/0/v");
    EXPECT_EQ(compile_fault(R"({"items":{"$ref":"#/$defs/no"}})"), "/items/$ref");
    const auto other = SchemaCheck::compile(parse_json(R"({"$ref":"https://a.b/c"})").value());
    ASSERT_FALSE(other.has_value());
    EXPECT_EQ(other.error().code, Code::unimplemented);
}

TEST(SchemaCheck, ASchemaThatOnlyMeansItselfEnds) {
    const auto checked = compiled(R"({"$ref":"#"})").check(1);
    ASSERT_FALSE(checked.has_value());
    EXPECT_EQ(checked.error().code, Code::resource_exhausted);
    const auto wide =
        compiled(R"({"anyOf":[{"$ref":"#"},{"$ref":"#"}],"type":"string"})").check("x");
    ASSERT_FALSE(wide.has_value());
    EXPECT_EQ(wide.error().code, Code::resource_exhausted);
}

TEST(SchemaCheck, PointsAtWhatIsWrong) {
    const char* const schema = R"({"properties":{"a/b":{"items":{"required":["id"]}}}})";
    EXPECT_EQ(fault_at(schema, R"({"a/b":[{"id":1},{}]})"), "/a~1b/1");
    EXPECT_EQ(fault_at(R"({"oneOf":[{"properties":{"t":{"const":1},"x":{"type":"string"}}},
                                    {"properties":{"t":{"const":2}}}]})",
                       R"({"t":1,"x":2})"),
              "/x");  // the choice that its constant says was meant
}

TEST(SchemaCheck, RefusesWhatIsNoSchema) {
    EXPECT_EQ(compile_fault("5"), "");
    EXPECT_EQ(compile_fault(R"({"type":"text"})"), "/type");
    EXPECT_EQ(compile_fault(R"({"properties":{"a":{"minimum":"1"}}})"), "/properties/a/minimum");
    EXPECT_EQ(compile_fault(R"({"pattern":"("})"), "/pattern");
    EXPECT_EQ(compile_fault(R"({"anyOf":[]})"), "/anyOf");
    EXPECT_EQ(compile_fault(R"({"minLength":-1})"), "/minLength");
    EXPECT_EQ(compile_fault(R"({"required":[1]})"), "/required");
    EXPECT_EQ(compile_fault(R"({"multipleOf":0})"), "/multipleOf");
}

constexpr const char* kNames[] = {
    "type",    "items",       "prefixItems", "anyOf", "oneOf",    "not",
    "$ref",    "properties",  "required",    "if",    "contains", "additionalProperties",
    "$defs",   "const",       "enum",        "allOf", "$id",      "unevaluatedProperties",
    "$anchor", "dependencies"};
constexpr const char* kTexts[] = {"string", "#", "#/$defs/a", "object", "a", "http://x/y"};

TEST(SchemaCheck, SurvivesRandomSchemas) {
    test::for_each_seed(3000, [](Rng& rng) {
        const auto make = [&](auto&& self, int depth) -> json::value {
            switch (rng.below(depth > 4 ? 4 : 7)) {
                case 0:
                    return kTexts[rng.below(std::size(kTexts))];
                case 1:
                    return rng.below(2) == 0;
                case 2:
                    return static_cast<std::int64_t>(rng.below(5));
                case 3:
                    return nullptr;
                case 4: {
                    json::array list;
                    for (std::uint64_t n = rng.below(3); n > 0; --n) {
                        list.push_back(self(self, depth + 1));
                    }
                    return list;
                }
                default: {
                    json::object object;
                    for (std::uint64_t n = rng.below(4); n > 0; --n) {
                        object[kNames[rng.below(std::size(kNames))]] = self(self, depth + 1);
                    }
                    return object;
                }
            }
        };
        const auto check = SchemaCheck::compile(make(make, 0));
        if (check) static_cast<void>(check->check(make(make, 0)));
    });
}

TEST(CanonicalText, IsOnePerValue) {
    const auto text = [](std::string_view json) {
        return canonical_text(parse_json(json).value());
    };
    EXPECT_EQ(text(R"({"b": [1.0, -0.0], "a": "\u0041"})"), R"({"a":"A","b":[1,0]})");
    EXPECT_EQ(text("1e300"), text("1.0e+300"));
    EXPECT_NE(text("0.1"), text("0.10000000000000002"));
    EXPECT_NE(text("1"), text("\"1\""));
}

}  // namespace
}  // namespace base
