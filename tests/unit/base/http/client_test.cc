#include "base/http/client.h"

#include <gtest/gtest.h>

#include <atomic>

#include "support/http_stub.h"

namespace {

using base::Code;
using base::HttpClient;
using test::HttpStub;
using test::StubRequest;
using test::StubResponse;

HttpClient::Request get(std::string url) {
    HttpClient::Request request;
    request.url = std::move(url);
    return request;
}

StubResponse text(std::string body) {
    StubResponse response;
    response.body = std::move(body);
    return response;
}

TEST(HttpClient, ReturnsStatusHeadersAndBody) {
    const HttpStub server([](const StubRequest& request) {
        StubResponse response = text("hello " + request.target);
        response.status = 404;
        response.headers = {{"X-Answer", "42"}};
        return response;
    });
    const auto response = HttpClient().send(get(server.url() + "/path?q=1"));
    ASSERT_TRUE(response.has_value()) << response.error().message;
    EXPECT_EQ(response->status, 404);
    EXPECT_EQ(response->body, "hello /path?q=1");
    EXPECT_EQ(response->header("x-answer"), "42");
    EXPECT_FALSE(response->header("x-absent").has_value());
}

TEST(HttpClient, SendsMethodHeadersAndBody) {
    const HttpStub server([](const StubRequest& request) {
        return text(request.method + " " + request.headers.at("x-key") + " " + request.body);
    });
    HttpClient::Request request = get(server.url());
    request.headers = {{"X-Key", "secret"}};
    for (const char* method : {"POST", "PUT", "DELETE"}) {
        request.method = method;
        request.body = "payload";
        const auto response = HttpClient().send(request);
        ASSERT_TRUE(response.has_value()) << response.error().message;
        EXPECT_EQ(response->body, std::string(method) + " secret payload");
    }
}

TEST(HttpClient, HeadReadsNoBody) {
    const HttpStub server([](const StubRequest&) { return text("1234567"); });
    HttpClient::Request request = get(server.url());
    request.method = "HEAD";
    const auto response = HttpClient().send(request);
    ASSERT_TRUE(response.has_value()) << response.error().message;
    EXPECT_EQ(response->header("Content-Length"), "7");
    EXPECT_EQ(response->body, "");
}

TEST(HttpClient, FollowsRedirectsOnlyWhenAsked) {
    const HttpStub server([](const StubRequest& request) {
        if (request.target == "/end") return text("arrived");
        StubResponse response;
        response.status = 302;
        response.headers = {{"Location", "/end"}, {"X-Hop", "first"}};
        return response;
    });
    HttpClient::Request request = get(server.url() + "/start");
    const auto followed = HttpClient().send(request);
    ASSERT_TRUE(followed.has_value()) << followed.error().message;
    EXPECT_EQ(followed->body, "arrived");
    EXPECT_EQ(followed->url, server.url() + "/end");
    EXPECT_FALSE(followed->header("X-Hop").has_value());
    request.follow_redirects = false;
    const auto first = HttpClient().send(request);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->status, 302);
    EXPECT_EQ(first->header("X-Hop"), "first");
}

TEST(HttpClient, KeepsCredentialsWithTheFirstHost) {
    const HttpStub other([](const StubRequest& request) {
        return text(request.headers.contains("authorization") ? "leaked" : "clean");
    });
    const HttpStub first([&](const StubRequest&) {
        StubResponse response;
        response.status = 302;
        response.headers = {{"Location", other.url() + "/file"}};
        return response;
    });
    HttpClient::Request request = get(first.url());
    request.headers = {{"Authorization", "Bearer token"}};
    const auto response = HttpClient().send(request);
    ASSERT_TRUE(response.has_value()) << response.error().message;
    EXPECT_EQ(response->body, "clean");
}

TEST(HttpClient, AsksForARange) {
    const HttpStub server(
        [](const StubRequest& request) { return test::serve_content(request, "0123456789"); });
    HttpClient::Request request = get(server.url());
    request.range = {2, 4};
    const auto response = HttpClient().send(request);
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status, 206);
    EXPECT_EQ(response->body, "234");
}

TEST(HttpClient, StreamsToASinkThatSeesTheHead) {
    const std::string content(300'000, 'x');
    const HttpStub server([&](const StubRequest&) { return text(content); });
    std::size_t bytes = 0;
    const auto response = HttpClient().send(get(server.url()), [&](const auto& head, auto piece) {
        EXPECT_EQ(head.status, 200);
        bytes += piece.size();
        return true;
    });
    ASSERT_TRUE(response.has_value()) << response.error().message;
    EXPECT_EQ(bytes, content.size());
    EXPECT_EQ(response->body, "");
}

TEST(HttpClient, StopsWhenTheSinkRefuses) {
    const HttpStub server([](const StubRequest&) { return text(std::string(100'000, 'x')); });
    const auto response =
        HttpClient().send(get(server.url()), [](const auto&, auto) { return false; });
    ASSERT_FALSE(response.has_value());
    EXPECT_EQ(response.error().code, Code::cancelled);
}

TEST(HttpClient, StopsAStalledExchangeWhenCancelled) {
    const HttpStub server([](const StubRequest&) {
        StubResponse response = text("never sent");
        response.stall = true;
        return response;
    });
    HttpClient::Request request = get(server.url());
    std::atomic<int> asked{0};
    request.cancelled = [&] { return ++asked > 2; };
    const auto response = HttpClient().send(request);
    ASSERT_FALSE(response.has_value());
    EXPECT_EQ(response.error().code, Code::cancelled);
}

TEST(HttpClient, ReportsATimeout) {
    const HttpStub server([](const StubRequest&) {
        StubResponse response = text("never sent");
        response.stall = true;
        return response;
    });
    HttpClient::Request request = get(server.url());
    request.timeout = std::chrono::milliseconds(50);
    const auto response = HttpClient().send(request);
    ASSERT_FALSE(response.has_value());
    EXPECT_EQ(response.error().code, Code::deadline_exceeded);
}

TEST(HttpClient, ReportsABodyCutShort) {
    const HttpStub server([](const StubRequest&) {
        StubResponse response = text(std::string(1000, 'x'));
        response.cut_after = 400;
        return response;
    });
    const auto response = HttpClient().send(get(server.url()));
    ASSERT_FALSE(response.has_value());
    EXPECT_EQ(response.error().code, Code::unavailable);
    EXPECT_NE(response.error().message.find("400"), std::string::npos);
}

TEST(HttpClient, RefusesABodyOverTheLimit) {
    const HttpStub server([](const StubRequest&) { return text(std::string(5000, 'x')); });
    HttpClient::Request request = get(server.url());
    request.body_bytes_max = 1000;
    EXPECT_EQ(HttpClient().send(request).error().code, Code::payload_too_large);
}

TEST(HttpClient, NeverShowsCredentialsInErrors) {
    const auto response =
        HttpClient().send(get("http://user:hunter2@127.0.0.1:1/path?token=hunter2"));
    ASSERT_FALSE(response.has_value());
    EXPECT_EQ(response.error().code, Code::unavailable);
    EXPECT_EQ(response.error().message.find("hunter2"), std::string::npos);
}

TEST(HttpClient, RefusesOtherSchemesAndBrokenHeaders) {
    EXPECT_EQ(HttpClient().send(get("file:///etc/passwd")).error().code, Code::invalid_argument);
    HttpClient::Request request = get("http://127.0.0.1:1/");
    request.headers = {{"X-Key", "a\r\nX-Other: b"}};
    EXPECT_EQ(HttpClient().send(request).error().code, Code::invalid_argument);
}

TEST(HttpClient, GoesThroughTheProxyItIsGiven) {
    const HttpStub proxy([](const StubRequest& request) { return text("via " + request.target); });
    HttpClient::Options options;
    options.proxy = proxy.url();
    const auto response = HttpClient(options).send(get("http://model.invalid/file"));
    ASSERT_TRUE(response.has_value()) << response.error().message;
    EXPECT_EQ(response->body, "via http://model.invalid/file");
}

}  // namespace
