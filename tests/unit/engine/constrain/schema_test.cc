#include "engine/constrain/schema.h"

#include <gtest/gtest.h>

#include "base/core/rng.h"
#include "engine/constrain/matcher.h"

namespace engine::constrain {
namespace {

namespace json = base::json;

std::shared_ptr<const Grammar> compiled(std::string_view schema, SchemaOptions options = {}) {
    const auto grammar = compile_schema(*base::parse_json(schema), options);
    EXPECT_TRUE(grammar) << schema << ": " << (grammar ? "" : grammar.error().message);
    return grammar ? *grammar : nullptr;
}

bool takes(std::string_view schema, std::string_view text, SchemaOptions options = {}) {
    const auto grammar = compiled(schema, options);
    return grammar && matches(grammar, text);
}

std::string refused_at(std::string_view schema) {
    const auto grammar = compile_schema(*base::parse_json(schema));
    if (grammar) return "compiled";
    EXPECT_EQ(grammar.error().code, base::Code::unimplemented) << grammar.error().message;
    return grammar.error().subject;
}

constexpr std::string_view kPerson = R"({"type":"object","properties":{
    "name":{"type":"string","maxLength":5},"age":{"type":"integer","minimum":0,"maximum":150},
    "tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":2}},
    "required":["name"],"additionalProperties":false})";

TEST(Schema, ObjectsKeepOrderRequiredAndClosedKeys) {
    EXPECT_TRUE(takes(kPerson, R"({"name":"Bob"})"));
    EXPECT_TRUE(takes(kPerson, "{\n  \"name\": \"Bob\",\n  \"age\": 150\n}"));
    EXPECT_TRUE(takes(kPerson, R"({"name":"Bob","tags":["a","b"]})"));
    EXPECT_FALSE(takes(kPerson, R"({})"));
    EXPECT_FALSE(takes(kPerson, R"({"age":1})"));
    EXPECT_FALSE(takes(kPerson, R"({"name":"Bob","name":"Bob"})"));
    EXPECT_FALSE(takes(kPerson, R"({"name":"Robert"})"));
    EXPECT_FALSE(takes(kPerson, R"({"name":"Bob","age":151})"));
    EXPECT_FALSE(takes(kPerson, R"({"name":"Bob","tags":["a","b","a"]})"));
    EXPECT_FALSE(takes(kPerson, R"({"name":"Bob","x":1})"));
    EXPECT_FALSE(takes(kPerson, R"({"age":1,"name":"Bob"})"));
    EXPECT_TRUE(takes(kPerson, R"({"age":1,"name":"Bob"})", {.any_order = true}));
    EXPECT_FALSE(takes(kPerson, R"({"age":1,"age":1,"name":"Bob"})", {.any_order = true}));
}

TEST(Schema, FurtherKeysCannotPassForKnownOnes) {
    constexpr auto schema = R"({"properties":{"ab":{"type":"integer"}},"type":"object",
                               "additionalProperties":{"type":"string"}})";
    EXPECT_TRUE(takes(schema, R"({"ab":1,"abc":"x","a":"y","":"z"})"));
    EXPECT_FALSE(takes(schema, R"({"ab":"x"})"));
    EXPECT_FALSE(takes(schema, R"({"\u0061b":"x"})"));
    EXPECT_FALSE(takes(schema, R"({"abc":1})"));
}

TEST(Schema, EmptyObjectAndBooleanSchemas) {
    EXPECT_TRUE(takes(R"({"type":"object","properties":{},"additionalProperties":false})", "{}"));
    EXPECT_FALSE(
        takes(R"({"type":"object","properties":{},"additionalProperties":false})", R"({"a":1})"));
    EXPECT_TRUE(takes("true", R"({"a":[1,null,{"b":"\ud83d\ude00"}]})"));
    EXPECT_FALSE(takes("true", R"("\ud83d")"));
    EXPECT_FALSE(compile_schema(json::value(false)));
}

TEST(Schema, WithoutFreeSpaceThereIsOneSpelling) {
    const SchemaOptions compact{.whitespace_max = 0};
    const SchemaOptions spaced{.whitespace_max = 0, .compact = false};
    constexpr auto schema = R"({"type":"object","properties":{"a":{"type":"array",
        "items":{"type":"integer"}},"b":{"type":"null"}},"additionalProperties":false})";
    EXPECT_TRUE(takes(schema, R"({"a":[1,2],"b":null})", compact));
    EXPECT_FALSE(takes(schema, R"({"a": [1, 2], "b": null})", compact));
    EXPECT_TRUE(takes(schema, R"({"a": [1, 2], "b": null})", spaced));
    EXPECT_FALSE(takes(schema, R"({"a":[1,2],"b":null})", spaced));
}

TEST(Schema, LongStringBoundsCostNoNodes) {
    constexpr auto schema = R"({"type":"string","minLength":2000,"maxLength":100000})";
    const auto grammar = compiled(schema);
    EXPECT_LT(grammar->size(), 200u);
    EXPECT_FALSE(matches(grammar, '"' + std::string(1'999, 'x') + '"'));
    EXPECT_TRUE(matches(grammar, '"' + std::string(2'000, 'x') + '"'));
}

TEST(Schema, RecursionThroughReferences) {
    constexpr auto schema = R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object",
        "properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},
        {"type":"null"}]}},"required":["value","next"],"additionalProperties":false}}})";
    EXPECT_TRUE(takes(schema, R"({"value":1,"next":{"value":2,"next":null}})"));
    EXPECT_FALSE(takes(schema, R"({"value":1,"next":{"value":2}})"));
}

TEST(Schema, NoDeadEnds) {
    // After each text some byte must be able to follow: a trailing comma, a digit that no bound
    // lets continue, or a branch that recurs for ever would leave a generation stuck.
    const auto last = compiled(R"({"properties":{"a":{"const":1}},"type":"object",
                                   "additionalProperties":false})");
    Matcher matcher(last);
    ASSERT_TRUE(matcher.accept(R"({"a":1)"));
    EXPECT_FALSE(matcher.accept(","));
    const auto bounded =
        compiled(R"({"type":"number","exclusiveMinimum":0.1,"exclusiveMaximum":0.2})");
    Matcher number(bounded);
    ASSERT_TRUE(number.accept("0."));
    EXPECT_FALSE(number.accept("2"));
    EXPECT_FALSE(compile_schema(*base::parse_json(R"({"type":"object","required":["next"],
        "properties":{"next":{"$ref":"#"}}})")));
    EXPECT_FALSE(takes(R"({"properties":{"x":{"$ref":"#/$defs/endless"}},"type":"object",
        "$defs":{"endless":{"type":"array","items":{"$ref":"#/$defs/endless"},"minItems":1}}})",
                       R"({"x":[)"));
}

TEST(Schema, AllOfJoinsAndOneOfNeedsAProof) {
    constexpr auto both = R"({"type":"object","properties":{"a":{"minimum":3}},"required":["a"],
        "allOf":[{"properties":{"a":{"type":"integer","maximum":7}},"required":["b"]}]})";
    EXPECT_TRUE(takes(both, R"({"a":5,"b":0})"));
    EXPECT_FALSE(takes(both, R"({"a":8,"b":0})"));
    EXPECT_FALSE(takes(both, R"({"a":5})"));
    EXPECT_TRUE(takes(R"({"oneOf":[{"type":"string"},{"type":"integer"}]})", "3"));
    EXPECT_TRUE(
        takes(R"({"oneOf":[{"properties":{"k":{"const":1}},"required":["k"],"type":"object"},
        {"properties":{"k":{"const":2}},"required":["k"],"type":"object"}]})",
              R"({"k":2})"));
    EXPECT_EQ(refused_at(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})"), "$.oneOf");
}

TEST(Schema, TuplesOfBothDrafts) {
    for (const auto schema :
         {R"({"type":"array","items":[{"type":"integer"},{"type":"string"}],
                                  "additionalItems":false,"minItems":1})",
          R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],
                                  "items":false,"minItems":1})"}) {
        EXPECT_TRUE(takes(schema, R"([1])"));
        EXPECT_TRUE(takes(schema, R"([1, "a"])"));
        EXPECT_FALSE(takes(schema, R"([])"));
        EXPECT_FALSE(takes(schema, R"(["a"])"));
        EXPECT_FALSE(takes(schema, R"([1,"a",2])"));
    }
}

TEST(Schema, FormatsPatternsAndEnums) {
    EXPECT_TRUE(takes(R"({"type":"string","format":"date"})", R"("2024-12-31")"));
    EXPECT_FALSE(takes(R"({"type":"string","format":"date"})", R"("2024-13-31")"));
    EXPECT_TRUE(takes(R"({"type":"string","format":"ipv4"})", R"("10.0.0.255")"));
    EXPECT_FALSE(takes(R"({"type":"string","format":"ipv4"})", R"("10.0.0.256")"));
    EXPECT_TRUE(takes(R"({"type":"string","pattern":"^\"[a-z]+\\\\$"})", R"("\"ab\\")"));
    EXPECT_TRUE(takes(R"({"type":"string","enum":["a",1]})", R"("a")"));
    EXPECT_FALSE(takes(R"({"type":"string","enum":["a",1]})", "1"));
    EXPECT_TRUE(takes(R"({"const":{"a":[1,2]}})", R"({ "a": [1, 2] })"));
}

TEST(Schema, NotIsTakenApart) {
    EXPECT_TRUE(takes(R"({"not":{"type":"string"}})", "3"));
    EXPECT_FALSE(takes(R"({"not":{"type":"string"}})", R"("a")"));
    constexpr auto other = R"({"type":["string","number"],"not":{"enum":["ab",1,2.5,null]}})";
    for (const char* text : {R"("a")", R"("abc")", "0", "1.5", "3", "2.25"}) {
        EXPECT_TRUE(takes(other, text)) << text;
    }
    for (const char* text : {R"("ab")", R"("\u0061b")", "1", "1.0", "2.5", "2.50", "null"}) {
        EXPECT_FALSE(takes(other, text)) << text;
    }
    constexpr auto lacks = R"({"type":"object","not":{"required":["x"]}})";
    EXPECT_TRUE(takes(lacks, R"({"a":1})"));
    EXPECT_FALSE(takes(lacks, R"({"x":1})"));
    constexpr auto deep = R"({"type":"object","properties":{"a":{"type":"integer"}},
        "not":{"properties":{"a":{"minimum":3}},"required":["a"]}})";
    EXPECT_TRUE(takes(deep, R"({"a":2})"));
    EXPECT_TRUE(takes(deep, "{}"));
    EXPECT_FALSE(takes(deep, R"({"a":3})"));
    EXPECT_TRUE(takes(R"({"not":{"not":{"type":"integer","minimum":4}}})", "4"));
    EXPECT_FALSE(takes(R"({"not":{"not":{"type":"integer","minimum":4}}})", "3"));
    EXPECT_FALSE(takes(R"({"type":"string","not":{"minLength":2}})", R"("ab")"));
    EXPECT_TRUE(takes(R"({"type":"string","not":{"minLength":2}})", R"("é")"));
    EXPECT_FALSE(compile_schema(*base::parse_json(R"({"not":{}})")));
    // Draft 7 ignores the type here, so the opposite of it must not be offered.
    constexpr auto beside = R"({"$defs":{"n":{"minimum":3}},
        "not":{"$ref":"#/$defs/n","type":"string"}})";
    EXPECT_TRUE(takes(beside, "2"));
    EXPECT_FALSE(takes(beside, "3"));
    EXPECT_FALSE(takes(beside, "null"));
}

TEST(Schema, ConditionsAndDependencies) {
    constexpr auto condition = R"({"type":"object","properties":{"k":{"enum":["a","b"]},
        "v":{}},"required":["k","v"],"if":{"properties":{"k":{"const":"a"}}},
        "then":{"properties":{"v":{"type":"integer"}}},
        "else":{"properties":{"v":{"type":"string"}}}})";
    EXPECT_TRUE(takes(condition, R"({"k":"a","v":1})"));
    EXPECT_TRUE(takes(condition, R"({"k":"b","v":"x"})"));
    EXPECT_FALSE(takes(condition, R"({"k":"a","v":"x"})"));
    EXPECT_FALSE(takes(condition, R"({"k":"b","v":1})"));
    for (const char* keyword : {"dependencies", "dependentRequired"}) {
        const std::string schema = fmt::format(
            R"({{"type":"object","properties":{{"a":{{}},"b":{{}}}},"{}":{{"a":["b"]}}}})",
            keyword);
        EXPECT_TRUE(takes(schema, R"({"b":1})"));
        EXPECT_TRUE(takes(schema, R"({"a":1,"b":1})"));
        EXPECT_FALSE(takes(schema, R"({"a":1})"));
    }
    constexpr auto schemas = R"({"type":"object","properties":{"a":{},"b":{}},
        "dependentSchemas":{"a":{"properties":{"b":{"type":"null"}}}}})";
    EXPECT_TRUE(takes(schemas, R"({"a":1,"b":null})"));
    EXPECT_FALSE(takes(schemas, R"({"a":1,"b":2})"));
    EXPECT_TRUE(takes(schemas, R"({"b":2})"));
    EXPECT_TRUE(takes(R"({"if":{},"then":{"type":"string"}})", R"("x")"));
    EXPECT_FALSE(takes(R"({"if":{},"then":{"type":"string"}})", "1"));
}

TEST(Schema, OverlappingBranchesExcludeEachOther) {
    constexpr auto one = R"({"type":"object","properties":{"a":{},"b":{}},
        "additionalProperties":false,"oneOf":[{"required":["a"]},{"required":["b"]}]})";
    EXPECT_TRUE(takes(one, R"({"a":1})"));
    EXPECT_TRUE(takes(one, R"({"b":1})"));
    EXPECT_FALSE(takes(one, R"({"a":1,"b":1})"));
    EXPECT_FALSE(takes(one, "{}"));
    constexpr auto number = R"({"type":"integer","oneOf":[{"minimum":0},{"maximum":10}]})";
    EXPECT_TRUE(takes(number, "-1"));
    EXPECT_TRUE(takes(number, "11"));
    EXPECT_FALSE(takes(number, "5"));
}

TEST(Schema, UniqueItemsOfAnEnum) {
    constexpr auto schema = R"({"type":"array","items":{"enum":["a","b","c","a"]},
        "uniqueItems":true,"minItems":1,"maxItems":2})";
    EXPECT_TRUE(takes(schema, R"(["c","a"])"));
    EXPECT_FALSE(takes(schema, R"(["a","a"])"));
    EXPECT_FALSE(takes(schema, R"(["a","b","c"])"));
    EXPECT_FALSE(takes(schema, "[]"));
    EXPECT_TRUE(
        takes(R"({"type":"array","items":{"type":"boolean"},"uniqueItems":true})", "[true,false]"));
    EXPECT_FALSE(
        takes(R"({"type":"array","items":{"type":"boolean"},"uniqueItems":true})", "[true,true]"));
}

TEST(Schema, ListedObjectsAreTestedAgainstTheOtherKeywords) {
    constexpr auto schema = R"({"enum":[{"a":1,"b":2},{"b":"x"},[1,2],[1],"s"],
        "properties":{"b":{"type":"integer"}},"required":["b"],"minItems":2})";
    EXPECT_TRUE(takes(schema, R"({"a":1,"b":2})"));
    EXPECT_FALSE(takes(schema, R"({"b":"x"})"));
    EXPECT_TRUE(takes(schema, "[1,2]"));
    EXPECT_FALSE(takes(schema, "[1]"));
    EXPECT_TRUE(takes(schema, R"("s")"));
    EXPECT_FALSE(
        compile_schema(*base::parse_json(R"({"const":{"a":1},"additionalProperties":false})")));
}

TEST(Schema, AlternativesThatMultiplyAreRefused) {
    json::array every;
    for (int i = 0; i < 40; ++i) {
        const std::string name = fmt::format("p{}", i);
        every.push_back(json::object{
            {"anyOf", json::array{json::object{{"required", json::array{json::string(name)}}},
                                  json::object{{"maxProperties", i + 50}}}}});
    }
    const json::value schema = json::object{{"type", "object"}, {"allOf", std::move(every)}};
    const auto grammar = compile_schema(schema);
    ASSERT_FALSE(grammar);
    EXPECT_EQ(grammar.error().code, base::Code::payload_too_large);
}

/// A megabyte of tools in one grammar: each call names its tool and brings its arguments.
TEST(Schema, FiveHundredTools) {
    GrammarBuilder builder;
    std::vector<NodeId> calls;
    std::size_t source_bytes = 0;
    for (int tool = 0; tool < 500; ++tool) {
        json::object properties;
        json::array required;
        for (int p = 0; p < 12; ++p) {
            const std::string name = fmt::format("field_{}_{}", tool % 50, p);
            json::object schema{{"description", std::string(120, 'd')}};
            schema["type"] = p % 3 == 0 ? "string" : p % 3 == 1 ? "integer" : "array";
            if (p % 3 == 0) schema["maxLength"] = 2'000 + p;
            if (p % 3 == 1) schema["maximum"] = 100 * tool + p;
            if (p % 3 == 2) schema["items"] = json::object{{"enum", json::array{"x", "y", p}}};
            if (p < 4) required.emplace_back(name);
            properties[name] = std::move(schema);
        }
        const json::value schema = json::object{{"type", "object"},
                                                {"properties", std::move(properties)},
                                                {"required", std::move(required)}};
        source_bytes += json::serialize(schema).size();
        const auto arguments = add_schema(builder, schema);
        ASSERT_TRUE(arguments) << arguments.error().message;
        calls.push_back(builder.sequence(
            {builder.literal(fmt::format(R"({{"name": "tool_{}", "arguments": )", tool)),
             *arguments, builder.literal("}")}));
    }
    EXPECT_GT(source_bytes, 1'000'000u);
    const auto grammar = builder.build(builder.choice(std::move(calls)));
    ASSERT_TRUE(grammar);
    EXPECT_LT((*grammar)->memory_bytes(), 32u << 20);
    const auto call = [&](int tool, int last) {
        return matches(*grammar,
                       fmt::format(R"({{"name": "tool_{}", "arguments": {{"field_{}_0":)"
                                   R"("a","field_{}_1":{},"field_{}_2":["x"],)"
                                   R"("field_{}_3":"b"}}}})",
                                   tool, tool % 50, tool % 50, last, tool % 50, tool % 50));
    };
    EXPECT_TRUE(call(499, 49'901));
    EXPECT_FALSE(call(499, 49'902));
    EXPECT_TRUE(call(123, 12'301));
    EXPECT_FALSE(call(500, 1));
}

TEST(Schema, RefusesWithThePathOfTheKeyword) {
    EXPECT_EQ(refused_at(R"({"properties":{"a":{"not":{"pattern":"x"}}}})"), "$.properties.a.not");
    EXPECT_EQ(refused_at(R"({"type":"number","multipleOf":0.5})"), "$.multipleOf");
    EXPECT_EQ(refused_at(R"({"type":"array","uniqueItems":true})"), "$.uniqueItems");
    EXPECT_EQ(refused_at(R"({"type":"array","contains":false})"), "$.contains");
    EXPECT_EQ(refused_at(R"({"type":"object","propertyNames":false})"), "$.propertyNames");
    EXPECT_EQ(refused_at(R"({"$ref":"http://elsewhere/x"})"), "$.$ref");
    EXPECT_EQ(refused_at(R"({"type":"string","format":"iri"})"), "$.format");
}

/// A random schema and, beside it, random values that satisfy it.
struct Maker {
    base::Rng& rng;

    json::value schema(int depth) {
        switch (rng.below(depth > 0 ? 7 : 5)) {
            case 0:
                return {{"type", "integer"},
                        {"minimum", -static_cast<int>(rng.below(300))},
                        {"maximum", rng.below(300)}};
            case 1:
                return {{"type", "string"},
                        {"minLength", rng.below(3)},
                        {"maxLength", 3 + rng.below(9)}};
            case 2:
                return {{"enum", {"red", "green", 7, nullptr}}};
            case 3:
                return {{"type", "boolean"}};
            case 4:
                return {{"type", "string"}, {"pattern", "^[a-z]{2,4}-[0-9]+$"}};
            case 5:
                return {{"type", "array"},
                        {"items", schema(depth - 1)},
                        {"minItems", rng.below(2)},
                        {"maxItems", 2 + rng.below(3)}};
            default:
                break;
        }
        json::object properties;
        json::array required;
        for (std::uint64_t i = 0, n = rng.below(6); i < n; ++i) {
            const std::string name = fmt::format("p{}", i);
            properties[name] = schema(depth - 1);
            if (rng.below(2) == 0) required.emplace_back(name);
        }
        return {{"type", "object"},
                {"properties", properties},
                {"required", required},
                {"additionalProperties", false}};
    }

    std::string letters(std::uint64_t n) {
        static constexpr std::string_view kPieces[] = {"a", "Z", "é", "\"", "\\", "\n", "中", "😀"};
        std::string text;
        for (std::uint64_t i = 0; i < n; ++i) text += kPieces[rng.below(std::size(kPieces))];
        return text;
    }

    json::value value(const json::value& of) {
        const json::object& s = of.as_object();
        if (s.contains("enum")) return s.at("enum").as_array()[rng.below(4)];
        const std::string_view type = s.at("type").as_string();
        if (type == "boolean") return rng.below(2) == 0;
        if (type == "integer") {
            const auto low = s.at("minimum").to_number<std::int64_t>();
            const auto high = s.at("maximum").to_number<std::int64_t>();
            return low +
                   static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
        }
        if (type == "string") {
            if (s.contains("pattern")) return json::string(fmt::format("ab-{}", rng.below(1'000)));
            const auto low = s.at("minLength").to_number<std::uint64_t>();
            const auto high = s.at("maxLength").to_number<std::uint64_t>();
            return json::string(letters(low + rng.below(high - low + 1)));
        }
        if (type == "array") {
            json::array items;
            const auto low = s.at("minItems").to_number<std::uint64_t>();
            const auto high = s.at("maxItems").to_number<std::uint64_t>();
            for (std::uint64_t i = 0, n = low + rng.below(high - low + 1); i < n; ++i) {
                items.push_back(value(s.at("items")));
            }
            return items;
        }
        json::object object;
        for (const auto& [name, child] : s.at("properties").as_object()) {
            bool required = false;
            for (const auto& r : s.at("required").as_array())
                required = required || r == json::value(name);
            if (required || rng.below(2) == 0) object[name] = value(child);
        }
        return object;
    }
};

TEST(SchemaProperty, ValidInstancesPassAndCorruptedOnesDoNot) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(seed);
        base::Rng rng(seed);
        Maker make{rng};
        const json::value schema = make.schema(3);
        const auto grammar = compile_schema(schema);
        ASSERT_TRUE(grammar) << json::serialize(schema);
        const json::value good = make.value(schema);
        const std::string text = json::serialize(good);
        ASSERT_TRUE(matches(*grammar, text)) << json::serialize(schema) << " " << text;
        EXPECT_FALSE(matches(*grammar, "[[" + text + "]]"));
        EXPECT_FALSE(matches(*grammar, text + ","));
        EXPECT_FALSE(matches(*grammar, text.substr(0, text.size() - 1) + "\x01"));
        if (const json::object* object = good.if_object()) {
            json::object more = *object;
            more["unknown"] = 1;
            EXPECT_FALSE(matches(*grammar, json::serialize(more)));
            for (const auto& name : schema.at("required").as_array()) {
                json::object less = *object;
                less.erase(std::string_view(name.as_string()));
                EXPECT_FALSE(matches(*grammar, json::serialize(less)));
            }
            for (const auto& [name, unused] : *object) {
                json::object wrong = *object;
                wrong[name] = 1.5;  // no schema of this test has fractions
                EXPECT_FALSE(matches(*grammar, json::serialize(wrong))) << json::serialize(wrong);
            }
        }
    }
}

TEST(SchemaFuzz, DamagedSchemasGiveAnErrorOrAGrammar) {
    const std::string good(kPerson);
    std::size_t compiled_count = 0;
    for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
        base::Rng rng(seed);
        std::string text = good;
        for (std::uint64_t i = 0, n = 1 + rng.below(4); i < n; ++i) {
            const std::size_t at = rng.below(text.size());
            const std::size_t from = rng.below(text.size());
            text.replace(at, rng.below(6), text.substr(from, rng.below(6)));
        }
        const auto schema = base::parse_json(text);
        if (!schema) continue;
        const auto grammar = compile_schema(*schema);
        if (!grammar) {
            EXPECT_FALSE(grammar.error().message.empty());
            continue;
        }
        ++compiled_count;
        Matcher matcher(*grammar);
        matcher.accept(R"({"name":"Bob","age":1})");
    }
    EXPECT_GT(compiled_count, 50u);
}

}  // namespace
}  // namespace engine::constrain
