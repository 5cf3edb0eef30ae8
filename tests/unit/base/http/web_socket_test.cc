// WebSockets: our server against frames written by hand, damaged ones too, and against our client.
#include "base/http/web_socket.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <optional>

#include "base/http/server.h"
#include "base/http/web_socket_client.h"
#include "support/raw_client.h"
#include "support/seeds.h"

namespace {

using namespace base::http;
using namespace std::chrono_literals;
using test::RawClient;

/// Keeps what happens, for a test to wait for.
class Heard : public WebSocketEvents {
public:
    void on_open(const WebSocketPtr& socket) override {
        const std::lock_guard lock(mutex_);
        socket_ = socket;
        changed_.notify_all();
    }
    void on_message(MessageKind kind, std::string_view message) override {
        if (echo && !socket()->send(kind, message)) refused_ = true;
        const std::lock_guard lock(mutex_);
        messages_.emplace_back(kind, std::string(message));
        changed_.notify_all();
    }
    void on_drained() override {
        const std::lock_guard lock(mutex_);
        drained_ = true;
        changed_.notify_all();
    }
    void on_close(std::uint16_t code, std::string_view reason) override {
        const std::lock_guard lock(mutex_);
        socket_.reset();
        closed_ = std::pair(code, std::string(reason));
        changed_.notify_all();
    }

    WebSocketPtr socket() {
        return wait([this] { return socket_ != nullptr || closed_; }) ? socket_ : nullptr;
    }
    std::string message() {
        if (!wait([this] { return !messages_.empty() || closed_; }) || messages_.empty()) return "";
        const std::lock_guard lock(mutex_);
        auto [kind, text] = std::move(messages_.front());
        messages_.pop_front();
        return (kind == MessageKind::text ? "t:" : "b:") + text;
    }
    std::uint16_t close_code() {
        return wait([this] { return closed_.has_value(); }) ? closed_->first : 0;
    }
    bool drained() {
        return wait([this] { return drained_; });
    }
    std::string reason() const { return closed_->second; }

    bool echo = false;

private:
    bool wait(const std::function<bool()>& ready) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 60s, ready);
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    WebSocketPtr socket_;
    std::deque<std::pair<MessageKind, std::string>> messages_;
    std::optional<std::pair<std::uint16_t, std::string>> closed_;
    bool drained_ = false;
    std::atomic<bool> refused_ = false;
};

/// A client's frame, masked as it must be.
std::string frame(std::uint8_t opcode, std::string_view payload, bool last = true) {
    std::string out;
    out += static_cast<char>((last ? 0x80 : 0) | opcode);
    if (payload.size() < 126) {
        out += static_cast<char>(0x80 | payload.size());
    } else {
        out += static_cast<char>(0x80 | 126);
        out += static_cast<char>(payload.size() >> 8);
        out += static_cast<char>(payload.size() & 0xff);
    }
    const std::string mask = "\x01\x7f\xa5\x33";
    out += mask;
    for (std::size_t i = 0; i < payload.size(); ++i) {
        out += static_cast<char>(payload[i] ^ mask[i % 4]);
    }
    return out;
}

constexpr std::string_view kHandshake =
    "GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

class WebSocketTest : public testing::Test {
protected:
    void SetUp() override {
        server_ = std::move(*Server::listen({}, clock_));
        server_->router().add("GET", "/socket", [this](const Request&, const ResponderPtr& to) {
            to->accept_web_socket(options_, heard_);
        });
        server_->router().add("GET", "/no", [](const Request&, const ResponderPtr& to) {
            to->send(
                text_response(404, "application/json", R"({"error":{"message":"no such thing"}})"));
        });
        heard_->echo = true;
        server_->start();
    }
    void TearDown() override { server_->stop(0ms); }

    bool open(RawClient& client) {
        client.send(std::string(kHandshake) + "\r\n");
        const auto head = client.read_head();
        EXPECT_EQ(head.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        return head.status == 101;
    }
    base::Result<std::unique_ptr<WebSocketClient>> connect(const std::shared_ptr<Heard>& events,
                                                           const std::string& path = "/socket") {
        return WebSocketClient::connect({.url = server_->url() + path}, events);
    }

    const base::SystemClock clock_;
    WebSocketOptions options_;
    std::shared_ptr<Heard> heard_ = std::make_shared<Heard>();
    std::unique_ptr<Server> server_;
};

TEST_F(WebSocketTest, EchoesTextAndBytesBothWays) {
    const auto mine = std::make_shared<Heard>();
    const auto client = connect(mine);
    ASSERT_TRUE(client) << client.error().message;
    ASSERT_TRUE(mine->socket()->send(MessageKind::text, "h\u00e9"));
    EXPECT_EQ(mine->message(), "t:h\u00e9");
    const std::string bytes("\0\xff\r\n", 4);
    ASSERT_TRUE(mine->socket()->send(MessageKind::binary, bytes));
    EXPECT_EQ(mine->message(), "b:" + bytes);
    const std::string large(500'000, 'x');
    ASSERT_TRUE(mine->socket()->send(MessageKind::binary, large));
    EXPECT_EQ(mine->message(), "b:" + large);
    mine->socket()->close(close_code::kNormal, "done");
    EXPECT_EQ(heard_->close_code(), close_code::kNormal);
    EXPECT_EQ(heard_->reason(), "done");
    EXPECT_EQ(mine->close_code(), close_code::kNormal);
}

TEST_F(WebSocketTest, FragmentsArriveAsOneMessageAndPingsInBetweenAreAnswered) {
    RawClient client(server_->port());
    ASSERT_TRUE(open(client));
    client.send(frame(1, "one ", false) + frame(9, "ping") + frame(0, "two", true));
    EXPECT_EQ(heard_->message(), "t:one two");
    std::string back;
    while (back.find("one two") == std::string::npos) {
        const auto got = client.read_some();
        ASSERT_TRUE(got) << back;
        back += *got;
    }
    EXPECT_NE(back.find("\x8a\x04ping"), std::string::npos);
}

TEST_F(WebSocketTest, WhatIsNoWebSocketIsToldSo) {
    RawClient client(server_->port());
    const auto plain = client.request("GET", "/socket");
    EXPECT_EQ(plain.status, 426);
    EXPECT_EQ(plain.header("Upgrade"), "websocket");
    EXPECT_EQ(heard_->close_code(), close_code::kLost);
    const auto refused = connect(std::make_shared<Heard>(), "/no");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::Code::not_found);
    EXPECT_EQ(refused.error().message, "no such thing");
    EXPECT_EQ(connect(std::make_shared<Heard>(), "/nowhere").error().code, base::Code::not_found);
}

TEST_F(WebSocketTest, APageOfAnotherSiteIsRefused) {
    for (const char* origin : {"Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n",
                               "Origin: null\r\n"}) {
        RawClient client(server_->port());
        client.send(std::string(kHandshake) + origin + "\r\n");
        EXPECT_EQ(client.read_response().status, 403) << origin;
    }
    RawClient own(server_->port());
    own.send(std::string(kHandshake) + "Origin: http://localhost\r\n\r\n");
    EXPECT_EQ(own.read_head().status, 101);
}

TEST_F(WebSocketTest, AMessageOverTheLimitClosesWith1009) {
    options_.message_bytes_max = 100;
    const auto mine = std::make_shared<Heard>();
    const auto client = connect(mine);
    ASSERT_TRUE(client);
    ASSERT_TRUE(mine->socket()->send(MessageKind::binary, std::string(101, 'x')));
    EXPECT_EQ(mine->close_code(), 1009);
}

TEST_F(WebSocketTest, TextThatIsNotUtf8ClosesWith1007) {
    RawClient client(server_->port());
    ASSERT_TRUE(open(client));
    client.send(frame(1, "\xff\xfe"));
    const auto close = client.read_some();
    ASSERT_TRUE(close);
    EXPECT_EQ(close->substr(0, 4), std::string("\x88\x02\x03\xef", 4));
}

TEST_F(WebSocketTest, ASlowReaderFillsTheBufferAndIsToldWhenItIsEmptyAgain) {
    heard_->echo = false;
    options_.buffer_bytes_max = 64 * 1024;
    RawClient client(server_->port(), 4096);
    ASSERT_TRUE(open(client));
    const WebSocketPtr socket = heard_->socket();
    const std::string piece(16 * 1024, 'x');
    std::size_t sent = 0;
    while (socket->send(MessageKind::binary, piece)) ASSERT_LT(++sent, 10'000u);
    for (std::size_t bytes = 0; bytes < sent * piece.size();) {
        const auto got = client.read_some();
        ASSERT_TRUE(got);
        bytes += got->size();
    }
    EXPECT_TRUE(heard_->drained());
    EXPECT_TRUE(socket->send(MessageKind::text, "again"));
}

TEST_F(WebSocketTest, WhileHeldNothingIsReadAndThenEverything) {
    const auto mine = std::make_shared<Heard>();
    const auto client = connect(mine);
    ASSERT_TRUE(client);
    const WebSocketPtr theirs = heard_->socket();
    theirs->hold();
    for (int i = 0; i < 10; ++i) mine->socket()->send(MessageKind::text, std::to_string(i));
    theirs->go_on();
    for (int i = 0; i < 10; ++i) EXPECT_EQ(mine->message(), fmt::format("t:{}", i));
}

TEST_F(WebSocketTest, AClientThatVanishesIsNoticed) {
    {
        RawClient client(server_->port());
        ASSERT_TRUE(open(client));
        ASSERT_NE(heard_->socket(), nullptr);
    }
    EXPECT_EQ(heard_->close_code(), close_code::kLost);
}

TEST_F(WebSocketTest, AStopOfTheServerClosesWith1001) {
    const auto mine = std::make_shared<Heard>();
    const auto client = connect(mine);
    ASSERT_TRUE(client);
    ASSERT_NE(heard_->socket(), nullptr);
    server_->stop(60s);
    EXPECT_EQ(mine->close_code(), close_code::kGoingAway);
    EXPECT_EQ(heard_->close_code(), close_code::kGoingAway);
}

TEST_F(WebSocketTest, DamagedFramesCloseTheConnectionAndNothingElse) {
    test::for_each_seed(300, [&](base::Rng& rng) {
        RawClient client(server_->port());
        client.send(std::string(kHandshake) + "\r\n");
        ASSERT_EQ(client.read_head().status, 101);
        std::string bytes = frame(1, "text") + frame(2, std::string(rng.below(300), 'x')) +
                            frame(9, "") + frame(1, "a", false) + frame(0, "b") + frame(8, "");
        for (int i = 0; i < 4; ++i) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
        }
        client.send(bytes + frame(8, std::string("\x03\xe8", 2)));
        client.finish_sending();
        ASSERT_TRUE(client.wait_closed());
    });
    RawClient client(server_->port());
    EXPECT_TRUE(open(client));
}

TEST(WebSocketClientTest, ABadUrlAndAClosedPortAreToldApart) {
    const auto events = std::make_shared<Heard>();
    const auto code = [&](std::string url) {
        return WebSocketClient::connect({.url = std::move(url)}, events).error().code;
    };
    EXPECT_EQ(code("nonsense"), base::Code::invalid_argument);
    EXPECT_EQ(code("ftp://127.0.0.1/"), base::Code::invalid_argument);
    EXPECT_EQ(code("https://127.0.0.1/"), base::Code::unimplemented);
    EXPECT_EQ(code("http://127.0.0.1:1/"), base::Code::unavailable);
}

}  // namespace
