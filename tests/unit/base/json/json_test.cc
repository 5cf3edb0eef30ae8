#include "base/json/json.h"

#include <gtest/gtest.h>

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

}  // namespace
