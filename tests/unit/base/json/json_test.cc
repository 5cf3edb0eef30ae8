#include "base/json/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>

namespace {

TEST(ParseJson, ReadsADocumentWithTrailingSpace) {
    const auto value = base::parse_json("{\"a\": [1, 2]}\n ");
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(value->at("a").as_array().size(), 2u);
}

TEST(ParseJsonFile, RefusesWhatIsNoFile) {
    const auto folder = base::parse_json_file(testing::TempDir());
    ASSERT_FALSE(folder.has_value());
    EXPECT_EQ(folder.error().code, base::Code::unavailable);
    const auto absent = base::parse_json_file(testing::TempDir() + "/absent.json");
    ASSERT_FALSE(absent.has_value());
    EXPECT_EQ(absent.error().code, base::Code::not_found);
}

TEST(ParseJson, NamesLineAndColumnOfAnError) {
    const auto value = base::parse_json("{\n  \"a\": tru\n}");
    ASSERT_FALSE(value.has_value());
    EXPECT_EQ(value.error().code, base::Code::invalid_argument);
    EXPECT_NE(value.error().message.find("line 2"), std::string::npos);
}

TEST(ParseJson, RefusesTruncatedAndTrailingText) {
    EXPECT_FALSE(base::parse_json("{\"a\":").has_value());
    EXPECT_FALSE(base::parse_json("").has_value());
    EXPECT_FALSE(base::parse_json("{} {}").has_value());
}

TEST(ParseJson, RefusesNestingOverTheLimit) {
    EXPECT_FALSE(base::parse_json(std::string(100, '['), {.depth_max = 32}).has_value());
}

TEST(JsonText, WritesNumbersAsPeopleDo) {
    const auto text = [](double value) { return base::to_text(value); };
    EXPECT_EQ(text(0.025), "0.025");
    EXPECT_EQ(text(210.370577), "210.370577");
    EXPECT_EQ(text(-1.5), "-1.5");
    EXPECT_EQ(text(0), "0.0");
    EXPECT_EQ(text(30), "30.0");
    EXPECT_EQ(text(1e20), "100000000000000000000.0");
    EXPECT_EQ(text(1e-6), "0.000001");
    EXPECT_EQ(text(std::numeric_limits<double>::infinity()), "null");
    EXPECT_EQ(text(std::numeric_limits<double>::quiet_NaN()), "null");
}

TEST(JsonText, EveryDoubleReadsBackTheSame) {
    std::mt19937_64 bits(7);
    for (int i = 0; i < 20'000; ++i) {
        const auto value = std::bit_cast<double>(bits());
        if (!std::isfinite(value)) continue;
        const std::string text = base::to_text(value);
        double back = 0;
        ASSERT_EQ(std::from_chars(text.data(), text.data() + text.size(), back).ec, std::errc());
        ASSERT_EQ(back, value) << text;
        ASSERT_TRUE(base::parse_json(text)->is_double()) << text;
    }
}

TEST(JsonText, IsUtf8WhateverTheStringsHold) {
    const base::json::object cut{{"a\xc3", "caf\xc3"}, {"b", "\xff ok"}};
    const std::string text = base::to_text(cut);
    EXPECT_EQ(text, "{\"a\uFFFD\":\"caf\uFFFD\",\"b\":\"\uFFFD ok\"}");
    EXPECT_TRUE(base::parse_json(text));
}

TEST(JsonText, WritesTheSameDocumentsAsBoost) {
    for (const char* text :
         {"null", "true", "[]", "{}", "-7", "18446744073709551615", "[1,[2,{}],\"x\"]",
          R"({"a":"\"\\\n\u0001é","b\"":[null,false],"":{"c":0}})"}) {
        const auto value = base::parse_json(text).value();
        EXPECT_EQ(base::to_text(value), base::json::serialize(value));
    }
}

}  // namespace
