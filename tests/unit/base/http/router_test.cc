#include "base/http/router.h"

#include <gtest/gtest.h>

namespace {

using base::http::Router;

struct RouterTest : testing::Test {
    void add(std::string_view method, std::string_view pattern) {
        router.add(method, pattern, [](const auto&, const auto&) {});
    }
    Router router;
};

TEST_F(RouterTest, LiteralsWinOverParametersInAnyOrderOfAdding) {
    add("GET", "/v1/models/{id...}");
    add("GET", "/v1/{what}");
    add("GET", "/v1/models");
    add("GET", "/v1/models/mine");
    EXPECT_EQ(router.match("GET", "/v1/models").route, "/v1/models");
    EXPECT_EQ(router.match("GET", "/v1/models/mine").route, "/v1/models/mine");
    EXPECT_EQ(router.match("GET", "/v1/other").route, "/v1/{what}");
    EXPECT_EQ(router.match("GET", "/v1/models/owner/name").route, "/v1/models/{id...}");
}

TEST_F(RouterTest, ParametersCarryTheirText) {
    add("GET", "/a/{x}/b/{y...}");
    const auto match = router.match("GET", "/a/1/b/2/3");
    ASSERT_EQ(match.params.size(), 2U);
    EXPECT_EQ(match.params[0], (std::pair<std::string, std::string>{"x", "1"}));
    EXPECT_EQ(match.params[1], (std::pair<std::string, std::string>{"y", "2/3"}));
}

TEST_F(RouterTest, EmptyParametersDoNotMatch) {
    add("GET", "/a/{x}");
    add("GET", "/b/{y...}");
    EXPECT_EQ(router.match("GET", "/a/").handler, nullptr);
    EXPECT_EQ(router.match("GET", "/b/").handler, nullptr);
    EXPECT_EQ(router.match("GET", "/a").handler, nullptr);
    EXPECT_EQ(router.match("GET", "/a/1/2").handler, nullptr);
}

TEST_F(RouterTest, HeadIsServedByGet) {
    add("GET", "/a");
    EXPECT_NE(router.match("HEAD", "/a").handler, nullptr);
}

TEST_F(RouterTest, AWrongMethodNamesTheRightOnes) {
    add("GET", "/a");
    add("POST", "/a");
    const auto match = router.match("DELETE", "/a");
    EXPECT_EQ(match.handler, nullptr);
    EXPECT_EQ(match.allowed, "GET, POST, HEAD, OPTIONS");
    EXPECT_TRUE(router.match("DELETE", "/b").allowed.empty());
}

TEST_F(RouterTest, LiteralsMayFollowTheRest) {
    add("POST", "/m/{id...}/load");
    add("POST", "/m/{id...}/unload");
    const auto match = router.match("POST", "/m/owner/name/unload");
    EXPECT_EQ(match.route, "/m/{id...}/unload");
    ASSERT_EQ(match.params.size(), 1U);
    EXPECT_EQ(match.params[0].second, "owner/name");
    EXPECT_EQ(router.match("POST", "/m/load").handler, nullptr);
    EXPECT_EQ(router.match("POST", "/m//load").handler, nullptr);
    EXPECT_EQ(router.match("POST", "/m/a/b").handler, nullptr);
}

}  // namespace
