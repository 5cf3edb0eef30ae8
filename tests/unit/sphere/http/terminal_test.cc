// Terminals over WebSockets, and the logs of what ran: real boxes, our own client.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "base/http/web_socket_client.h"
#include "unit/sphere/http/api_fixture.h"

namespace {

namespace json = base::json;
using base::http::MessageKind;
using base::http::WebSocketClient;
using sphere::read_until;
using test::RawClient;
using ::testing::HasSubstr;

/// What the terminal showed and said.
class Screen : public base::http::WebSocketEvents {
public:
    void on_open(const base::http::WebSocketPtr& socket) override {
        const std::lock_guard lock(mutex_);
        socket_ = socket;
        changed_.notify_all();
    }
    void on_message(MessageKind kind, std::string_view message) override {
        const std::lock_guard lock(mutex_);
        (kind == MessageKind::binary ? shown_ : said_) += message;
        changed_.notify_all();
    }
    void on_close(std::uint16_t code, std::string_view) override {
        const std::lock_guard lock(mutex_);
        socket_.reset();
        closed_ = code;
        changed_.notify_all();
    }
    bool type(std::string_view keys) { return send(MessageKind::binary, keys); }
    bool send(MessageKind kind, std::string_view message) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kPatience, [this] { return socket_ || closed_ != 0; });
        return socket_ && socket_->send(kind, message);
    }
    bool shows(std::string_view text) {
        return wait([&] { return shown_.find(text) != std::string::npos; });
    }
    bool says(std::string_view text) {
        return wait([&] { return said_.find(text) != std::string::npos; });
    }
    std::uint16_t closed() {
        wait([] { return false; });
        return closed_;
    }
    std::string shown() {
        const std::lock_guard lock(mutex_);
        return shown_;
    }

private:
    static constexpr std::chrono::seconds kPatience{60};
    template <class Ready>
    bool wait(Ready ready) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kPatience, [&] { return ready() || closed_ != 0; });
        return ready();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    base::http::WebSocketPtr socket_;
    std::string shown_, said_;
    std::uint16_t closed_ = 0;
};

class TerminalRoute : public sphere::ApiTest {
protected:
    auto open(const std::shared_ptr<Screen>& screen, const std::string& box,
              const std::string& query) {
        return WebSocketClient::connect(
            {.url = fmt::format("{}/v1/sandboxes/{}/terminal?{}", server_->url(), box, query)},
            screen);
    }
    int running(const std::string& box) {
        return object(call("GET", "/v1/sandboxes/" + box))
            .at("usage")
            .at("running")
            .to_number<int>();
    }
};

TEST_F(TerminalRoute, AShellTakesKeysAndSizesAndTellsItsEnd) {
    const std::string box = create();
    const auto screen = std::make_shared<Screen>();
    const auto client = open(screen, box, "columns=100&rows=30");
    ASSERT_TRUE(client) << client.error().message;
    ASSERT_TRUE(screen->type("stty size\n"));
    EXPECT_TRUE(screen->shows("30 100")) << screen->shown();
    screen->send(MessageKind::text, R"({"type":"resize","columns":55,"rows":11})");
    screen->type("stty size\n");
    EXPECT_TRUE(screen->shows("11 55")) << screen->shown();
    // Ctrl-C throws away what the shell has not read yet, so it waits for what it is to end.
    screen->type("sh -c 'echo up$((1 + 1)); exec sleep 1000'\n");
    EXPECT_TRUE(screen->shows("up2")) << screen->shown();
    screen->type("\x03");
    EXPECT_TRUE(screen->shows("^C")) << screen->shown();
    screen->type("echo after=$?; exit 7\n");
    EXPECT_TRUE(screen->shows("after=130")) << screen->shown();
    EXPECT_TRUE(screen->says(R"("reason":"exited","exit_code":7)"));
    EXPECT_EQ(screen->closed(), base::http::close_code::kNormal);
}

TEST_F(TerminalRoute, AGivenCommandRunsAndItsEveryByteArrives) {
    const std::string box = create();
    const auto screen = std::make_shared<Screen>();
    const auto client =
        open(screen, box,
             "argv=python3&argv=-c&argv=import%20sys%0Asys.stdout.write('x'*100000%2B'end')");
    ASSERT_TRUE(client) << client.error().message;
    EXPECT_EQ(screen->closed(), base::http::close_code::kNormal);
    EXPECT_EQ(screen->shown().size(), 100'003u);
}

TEST_F(TerminalRoute, WrongControlsAreToldAndChangeNothing) {
    const std::string box = create();
    const auto screen = std::make_shared<Screen>();
    const auto client = open(screen, box, "argv=cat");
    ASSERT_TRUE(client);
    for (const char* wrong : {"{", "[]", R"({"type":"dance"})", R"({"type":"resize","columns":0})",
                              R"({"type":"signal","signal":"STOPIT"})"}) {
        screen->send(MessageKind::text, wrong);
    }
    EXPECT_TRUE(screen->says("STOPIT"));
    screen->type("still here\n");
    EXPECT_TRUE(screen->shows("still here\r\nstill here"));
    screen->send(MessageKind::text, R"({"type":"signal","signal":"TERM"})");
    EXPECT_TRUE(screen->says(R"("signal":15)"));
}

TEST_F(TerminalRoute, AFloodReadSlowlyIsBoundedAndTold) {
    const std::string box = create();
    // A client that does not read until the command has long printed more than anybody keeps.
    RawClient slow(server_->port(), 4096);
    slow.send(fmt::format(
        "GET /v1/sandboxes/{}/terminal?argv=sh&argv=-c&argv=head+-c+8000000+/dev/zero HTTP/1.1\r\n"
        "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        box));
    EXPECT_EQ(slow.read_head().status, 101);
    const base::Instant patience = clock_.now() + std::chrono::seconds(60);
    while (running(box) > 0 && clock_.now() < patience) std::this_thread::yield();
    ASSERT_EQ(running(box), 0);
    std::string all;
    while (all.find(R"("type":"end")") == std::string::npos &&
           all.find(R"("end")") == std::string::npos) {
        const auto got = slow.read_some();
        ASSERT_TRUE(got);
        all += *got;
    }
    EXPECT_LT(all.size(), 8'000'000u);
    EXPECT_THAT(all.substr(all.size() - std::min<std::size_t>(all.size(), 600)),
                HasSubstr("\"dropped\""));
}

TEST_F(TerminalRoute, AClientThatLeavesEndsTheCommand) {
    const std::string box = create();
    {
        const auto screen = std::make_shared<Screen>();
        const auto client = open(screen, box, "argv=sleep&argv=1000");
        ASSERT_TRUE(client);
        ASSERT_TRUE(screen->says("\"start\""));
    }
    const base::Instant patience = clock_.now() + std::chrono::seconds(60);
    while (running(box) > 0 && clock_.now() < patience) std::this_thread::yield();
    EXPECT_EQ(running(box), 0);
}

TEST_F(TerminalRoute, WhatCannotBeStartedIsAnHttpError) {
    const std::string box = create("", "blue");
    const auto screen = std::make_shared<Screen>();
    EXPECT_EQ(open(screen, box, "").error().code, base::Code::not_found);
    const std::string mine = create();
    EXPECT_EQ(open(screen, mine, "argv=no-such-program").error().code, base::Code::not_found);
    EXPECT_EQ(open(screen, mine, "columns=0").error().code, base::Code::invalid_argument);
    EXPECT_EQ(call("GET", "/v1/sandboxes/" + mine + "/terminal").status, 426);
    EXPECT_EQ(running(mine), 0);
}

/// By whoever ends it, and whether or not a command runs.
TEST_F(TerminalRoute, LogsThatAreFollowedEndWithTheSandbox) {
    for (const bool runs : {false, true}) {
        const std::string box = create();
        exec(box, R"({"argv":["echo","said"]})");
        RawClient follower(server_->port());
        follower.send(request("GET", "/v1/sandboxes/" + box + "/logs?follow=1", "", ""));
        ASSERT_EQ(follower.read_head().status, 200);
        EXPECT_THAT(read_until(follower, "event: end"), HasSubstr("said"));
        const auto screen = std::make_shared<Screen>();
        const auto client =
            runs ? open(screen, box, "argv=cat") : base::fail(base::Code::cancelled, "none");
        if (runs) read_until(follower, "event: start");
        ASSERT_TRUE(sphere_->destroy(box));
        const std::string rest = read_until(follower, "event: gone");
        EXPECT_EQ(rest.find("event: end") != std::string::npos, runs) << rest;
        const auto last = follower.read_chunk();
        ASSERT_TRUE(last);
        EXPECT_EQ(*last, "");
    }
}

TEST_F(TerminalRoute, LogsHaveEveryCommandAndGoOnWithWhatComes) {
    const std::string box = create("", "blue");
    const auto run = [&](std::string_view line) {
        call("POST", "/v1/sandboxes/" + box + "/exec",
             base::to_text(json::object{{"code", line}, {"language", "bash"}}), "blue");
    };
    run("echo one; echo bad >&2; exit 4");
    const auto kept = call("GET", "/v1/sandboxes/" + box + "/logs", "", "blue");
    ASSERT_EQ(kept.status, 200);
    const json::object entry = object(kept).at("data").at(0).as_object();
    EXPECT_EQ(entry.at("argv").at(0).as_string(), "bash");
    EXPECT_EQ(entry.at("result").at("exit_code").to_number<int>(), 4);
    // Two pipes: which of them is read first is nobody's promise.
    std::map<std::string, std::string> said;
    for (const auto& piece : entry.at("output").as_array()) {
        said[std::string(piece.at("stream").as_string())] += piece.at("text").as_string();
    }
    EXPECT_EQ(said, (std::map<std::string, std::string>{{"out", "one\n"}, {"err", "bad\n"}}));

    RawClient follower(server_->port());
    follower.send(request("GET", "/v1/sandboxes/" + box + "/logs?follow=1", "", "blue"));
    EXPECT_EQ(follower.read_head().status, 200);
    EXPECT_THAT(read_until(follower, "event: end"), HasSubstr("\"text\":\"one\\n\""));
    run("echo two");
    EXPECT_THAT(read_until(follower, "two\\n"), HasSubstr("event: start"));
    EXPECT_EQ(call("GET", "/v1/sandboxes/" + box + "/logs?follow=1&after=x", "", "blue").status,
              400);
}

}  // namespace
