#include "base/http/message.h"

#include <gtest/gtest.h>

namespace {

using namespace base::http;

TEST(Headers, NamesCompareWithoutCase) {
    Headers headers{{"Content-Type", "text/plain"}};
    EXPECT_EQ(headers.get("content-type"), "text/plain");
    headers.set("CONTENT-TYPE", "text/html");
    EXPECT_EQ(headers.fields().size(), 1U);
    EXPECT_EQ(headers.get("Content-Type"), "text/html");
    EXPECT_FALSE(headers.has("Content"));
}

TEST(PercentDecode, DecodesAndRefuses) {
    EXPECT_EQ(percent_decode("a%20b%2Fc").value(), "a b/c");
    EXPECT_EQ(percent_decode("a+b", true).value(), "a b");
    EXPECT_EQ(percent_decode("a+b").value(), "a+b");
    for (const char* wrong : {"%", "%2", "%zz", "%00", "a%2"}) {
        EXPECT_FALSE(percent_decode(wrong).has_value()) << wrong;
    }
}

TEST(QueryParam, FindsDecodedValues) {
    Request request;
    request.query = "limit=10&before=req%5F1&empty=&flag";
    EXPECT_EQ(request.query_param("limit"), "10");
    EXPECT_EQ(request.query_param("before"), "req_1");
    EXPECT_EQ(request.query_param("empty"), "");
    EXPECT_EQ(request.query_param("flag"), "");
    EXPECT_EQ(request.query_param("absent"), std::nullopt);
}

TEST(ListHasToken, HonoursWeights) {
    EXPECT_TRUE(list_has_token("br, GZIP;q=0.5", "gzip"));
    EXPECT_TRUE(list_has_token("gzip", "gzip"));
    EXPECT_FALSE(list_has_token("gzip;q=0, br", "gzip"));
    EXPECT_FALSE(list_has_token("gzip; q=0.0", "gzip"));
    EXPECT_FALSE(list_has_token("x-gzip", "gzip"));
    EXPECT_FALSE(list_has_token("", "gzip"));
}

}  // namespace
