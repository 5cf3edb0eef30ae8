#include "sphere/net/http_head.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace sphere::net {
namespace {

std::optional<RequestHead> request(std::string_view bytes) {
    std::size_t used = 0;
    auto head = parse_request_head(bytes, used);
    return head ? std::move(*head) : std::nullopt;
}

bool refused(std::string_view bytes) {
    std::size_t used = 0;
    return !parse_request_head(bytes, used);
}

TEST(HttpHead, ReadsARequest) {
    const auto head = request("GET /a?b HTTP/1.1\r\nHost:  x \r\nContent-Length: 3\r\n\r\nabc");
    ASSERT_TRUE(head);
    EXPECT_EQ(head->method, "GET");
    EXPECT_EQ(head->target, "/a?b");
    EXPECT_EQ(head->headers.get("host"), "x");
    EXPECT_EQ(head->framing.kind, Framing::Kind::length);
    EXPECT_EQ(head->framing.length, 3u);
    EXPECT_TRUE(head->keep_alive);
    EXPECT_FALSE(request("GET / HTTP/1.0\r\n\r\n")->keep_alive);
    EXPECT_FALSE(request("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n")->keep_alive);
}

TEST(HttpHead, WhatTwoParsersCouldReadDifferentlyIsRefused) {
    for (const char* bytes :
         {"GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nHost: x\n\r\n\r\n",
          "GET / HTTP/1.1\r\nA: b\r c\r\n\r\n", "GET / HTTP/1.1\r\n A: b\r\n\r\n",
          "GET / HTTP/1.1\r\nA : b\r\n\r\n", "GET / HTTP/1.1\r\n: b\r\n\r\n",
          "GET  / HTTP/1.1\r\n\r\n", "GET / x HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
          "G@T / HTTP/1.1\r\n\r\n",
          "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
          "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
          "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
          "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
          "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
          "GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
          "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
          "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
          "GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n"}) {
        EXPECT_TRUE(refused(bytes)) << bytes;
    }
    EXPECT_TRUE(refused("GET / HTTP/1.1\r\nA: " + std::string(kHeadBytesMax, 'x')));
    EXPECT_TRUE(refused(std::string("GET / HTTP/1.1\r\nA: \0b\r\n\r\n", 26)));
}

TEST(HttpHead, KnowsWhichAnswersHaveABody) {
    const auto kind = [](std::string_view bytes, std::string_view method) {
        std::size_t used = 0;
        return (*parse_response_head(bytes, method, used))->framing.kind;
    };
    EXPECT_EQ(kind("HTTP/1.1 200 OK\r\n\r\n", "GET"), Framing::Kind::until_close);
    EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"), Framing::Kind::none);
    EXPECT_EQ(kind("HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n", "GET"), Framing::Kind::none);
    EXPECT_EQ(kind("HTTP/1.1 100 Continue\r\n\r\n", "POST"), Framing::Kind::none);
    EXPECT_EQ(kind("HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", "GET"),
              Framing::Kind::chunked);
}

/// However a body is cut into pieces, it is the same body and ends at the same byte.
TEST(HttpBody, PiecesDoNotMatter) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::string wire, expected;
        const std::uint64_t chunks = rng.below(6);
        for (std::uint64_t i = 0; i < chunks; ++i) {
            const std::string data(1 + rng.below(40), static_cast<char>('a' + i));
            wire += fmt::format("{:x}{}\r\n{}\r\n", data.size(), rng.below(2) ? ";x=y" : "", data);
            expected += data;
        }
        wire += "0\r\n";
        if (rng.below(2) != 0) wire += "Trailer: x\r\n";
        wire += "\r\n";
        const std::string stream = wire + "NEXT";
        BodyReader body({Framing::Kind::chunked, 0});
        std::string payload;
        std::size_t at = 0;
        while (!body.done() && at < stream.size()) {
            const std::size_t piece = 1 + rng.below(7);
            const auto took = body.take(std::string_view(stream).substr(at, piece), &payload);
            ASSERT_TRUE(took);
            at += *took;
        }
        EXPECT_TRUE(body.done());
        EXPECT_EQ(at, wire.size());
        EXPECT_EQ(payload, expected);
    });
}

TEST(HttpBody, DamagedChunksAreRefused) {
    for (const char* wire : {"\r\n", "g\r\n", "1\nx\r\n", "1\r\nxy", "1\r\nx\n", "-1\r\n",
                             "1111111111111111\r\n", "1;\n\r\n", "0\r\n\n"}) {
        BodyReader body({Framing::Kind::chunked, 0});
        EXPECT_FALSE(body.take(wire, nullptr)) << wire;
    }
}

TEST(HttpFuzz, DamagedMessagesNeverReadBeyondTheirEnd) {
    const std::string good =
        "POST http://example.org/x HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n"
        "Connection: keep-alive\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n";
    test::for_each_seed(20'000, [&](base::Rng& rng) {
        std::string bytes = good.substr(0, rng.below(good.size() + 1));
        for (std::uint64_t i = rng.below(6); i > 0 && !bytes.empty(); --i) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
        }
        std::size_t used = 0;
        const auto head = parse_request_head(bytes, used);
        if (head && *head) {
            ASSERT_LE(used, bytes.size());
            BodyReader body((*head)->framing);
            const auto took = body.take(std::string_view(bytes).substr(used), nullptr);
            ASSERT_LE(took.value_or(0), bytes.size() - used);
        }
        (void)parse_response_head(bytes, "GET", used);
    });
}

}  // namespace
}  // namespace sphere::net
