// Bodies that a handler takes in pieces.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "base/http/server.h"
#include "support/raw_client.h"

namespace {

using namespace base::http;
using namespace std::chrono_literals;
using test::RawClient;

constexpr std::uint64_t kBytesMax = 64 << 20;

class UploadTest : public testing::Test {
protected:
    void SetUp() override {
        ServerOptions options;
        options.limits.body_bytes_max = 1000;  // does not bind uploads
        server_ = std::move(*Server::listen(options, clock_));
        Router& router = server_->router();
        router.add_upload(
            "PUT", "/sum", kBytesMax,
            [this](const Request& request, RequestBodyPtr body, const ResponderPtr& to) {
                EXPECT_TRUE(request.body.empty());
                threads_.emplace_back([body, to] { sum(*body, *to); });
            });
        router.add_upload("PUT", "/refuse", kBytesMax,
                          [](const Request&, RequestBodyPtr, const ResponderPtr& to) {
                              to->send(text_response(403, "text/plain", "not here"));
                          });
        router.add_upload("PUT", "/hold", kBytesMax,
                          [this](const Request&, RequestBodyPtr body, const ResponderPtr& to) {
                              held_.set_value({body, to});
                          });
        router.add("GET", "/sum", [](const Request&, const ResponderPtr& to) {
            to->send(text_response(200, "text/plain", "get"));
        });
        server_->start();
    }
    void TearDown() override {
        server_->stop(0ms);
        for (std::thread& thread : threads_) thread.join();
    }
    static void sum(RequestBody& body, Responder& to) {
        std::uint64_t bytes = 0, sum = 0;
        for (;;) {
            const auto piece = body.next();
            if (!piece) {
                to.send(text_response(base::http_status(piece.error().code), "text/plain",
                                      piece.error().message));
                return;
            }
            if (piece->empty()) break;
            bytes += piece->size();
            for (const char c : *piece) sum += static_cast<unsigned char>(c);
        }
        to.send(text_response(200, "text/plain", fmt::format("{} {}", bytes, sum)));
    }

    const base::SystemClock clock_;
    std::unique_ptr<Server> server_;
    std::vector<std::thread> threads_;
    std::promise<std::pair<RequestBodyPtr, ResponderPtr>> held_;
};

TEST_F(UploadTest, ALargeBodyComesWholeAndTheConnectionStays) {
    RawClient client(server_->port());
    const std::string large(10'000'000, '\x02');
    EXPECT_EQ(client.request("PUT", "/sum", large).body, "10000000 20000000");
    EXPECT_EQ(client.request("PUT", "/sum", "\x01\x02").body, "2 3");
    EXPECT_EQ(client.request("PUT", "/sum", "", "Content-Length: 0\r\n").body, "0 0");
    EXPECT_EQ(client.request("GET", "/sum").body, "get");
    EXPECT_EQ(server_->stats().connections_total, 1u);
}

TEST_F(UploadTest, ChunksComeAsOneBody) {
    RawClient client(server_->port());
    client.send(
        "PUT /sum HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\n\x01\x01\x01\r\n");
    client.send("2\r\n\x05\x05\r\n0\r\n\r\n");
    EXPECT_EQ(client.read_response().body, "5 13");
}

TEST_F(UploadTest, TheRoutesLimitHoldsAnnouncedAndNot) {
    RawClient client(server_->port());
    client.send(fmt::format("PUT /sum HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                            kBytesMax + 1));
    EXPECT_EQ(client.read_response().status, 413);
    RawClient chunked(server_->port());
    chunked.send(
        "PUT /sum HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "fffffff\r\n");
    const std::string megabyte(1 << 20, 'x');
    for (int i = 0; i <= 64 && chunked.send(megabyte); ++i) {
    }
    EXPECT_EQ(chunked.read_response().status, 413);
}

TEST_F(UploadTest, OtherRoutesKeepTheServersLimit) {
    RawClient client(server_->port());
    EXPECT_EQ(client.request("POST", "/sum", std::string(1001, 'x')).status, 413);
}

TEST_F(UploadTest, AnAnswerBeforeTheEndStopsTheReading) {
    RawClient client(server_->port());
    client.send("PUT /refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000000\r\n\r\nabc");
    const auto answer = client.read_response();
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(answer.body, "not here");
    EXPECT_EQ(answer.header("Connection"), "keep-alive");
    client.finish_sending();
    EXPECT_TRUE(client.wait_closed());
}

TEST_F(UploadTest, AClientThatLeavesFailsTheHandler) {
    auto held = held_.get_future();
    {
        RawClient client(server_->port());
        client.send("PUT /hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
        held.wait();
    }
    const auto [body, responder] = held.get();
    base::Result<std::string> piece = body->next();
    while (piece && !piece->empty()) piece = body->next();
    ASSERT_FALSE(piece);
    EXPECT_EQ(piece.error().code, base::Code::cancelled);
}

TEST_F(UploadTest, AHandlerThatIsSlowHoldsTheClientUp) {
    auto held = held_.get_future();
    RawClient client(server_->port());
    std::thread sender([&] { client.request("PUT", "/hold", std::string(8 << 20, 'x')); });
    const auto [body, responder] = held.get();
    // However much was sent: one piece holds no more than the bound of what waits.
    std::uint64_t bytes = 0;
    for (;;) {
        const auto piece = body->next();
        ASSERT_TRUE(piece);
        if (piece->empty()) break;
        EXPECT_LE(piece->size(), 600u * 1024);
        bytes += piece->size();
    }
    EXPECT_EQ(bytes, 8u << 20);
    responder->send(text_response(200, "text/plain", ""));
    sender.join();
}

}  // namespace
