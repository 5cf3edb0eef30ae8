#include "base/http/static_files.h"

#include <gtest/gtest.h>

#include <array>

namespace {

using namespace base::http;

constexpr std::array<StaticFile, 3> kFiles = {{
    {"/index.html", "text/html; charset=utf-8", "<html>", "zipped", "e1"},
    {"/assets/app-1f.js", "text/javascript", "code", "", "e2"},
    {"/icon.svg", "image/svg+xml", "<svg>", "", ""},
}};
constexpr std::array<std::string_view, 1> kApi = {"/v1/"};

Response get(std::string_view path, Headers headers = {}, std::string_view method = "GET") {
    Request request;
    request.method = std::string(method);
    request.path = std::string(path);
    request.headers = std::move(headers);
    return StaticFiles(kFiles, {.api_prefixes = kApi}).respond(request);
}

TEST(StaticFiles, ServesBytesWithSafeHeaders) {
    const Response response = get("/index.html");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.static_body, "<html>");
    EXPECT_EQ(response.headers.get("ETag"), "\"e1\"");
    EXPECT_EQ(response.headers.get("Cache-Control"), "no-cache");
    EXPECT_EQ(response.headers.get("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(response.headers.get("X-Frame-Options"), "DENY");
    const auto policy = response.headers.get("Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'self'"), std::string_view::npos);
    EXPECT_EQ(policy.find("http"), std::string_view::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string_view::npos);
}

TEST(StaticFiles, SendsGzipOnlyWhenAccepted) {
    const Response zipped = get("/index.html", {{"Accept-Encoding", "gzip, br"}});
    EXPECT_EQ(zipped.static_body, "zipped");
    EXPECT_EQ(zipped.headers.get("Content-Encoding"), "gzip");
    EXPECT_EQ(zipped.headers.get("Vary"), "Accept-Encoding");
    EXPECT_EQ(get("/index.html", {{"Accept-Encoding", "gzip;q=0"}}).static_body, "<html>");
}

TEST(StaticFiles, AnswersNotModified) {
    const Response response = get("/index.html", {{"If-None-Match", "W/\"e1\", \"x\""}});
    EXPECT_EQ(response.status, 304);
    EXPECT_FALSE(response.static_body.has_value());
}

TEST(StaticFiles, HashedAssetsAreImmutable) {
    EXPECT_NE(get("/assets/app-1f.js").headers.get("Cache-Control").find("immutable"),
              std::string_view::npos);
}

TEST(StaticFiles, UnknownPagesGetTheAppButUnknownApiPathsDoNot) {
    const Headers browser{{"Accept", "text/html,*/*"}};
    EXPECT_EQ(get("/chat/7", browser).static_body, "<html>");
    EXPECT_EQ(get("/", browser).static_body, "<html>");
    EXPECT_EQ(get("/chat/7", {{"Accept", "application/json"}}).status, 404);
    EXPECT_EQ(get("/v1/typo", browser).status, 404);
    EXPECT_EQ(get("/", {}, "POST").status, 405);
}

}  // namespace
