// Live events over a WebSocket, through the real server: our client, and frames written by hand.
#include "flow/http/watch_socket.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <optional>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/http/web_socket_client.h"
#include "base/journal/journal.h"
#include "flow/http/flow_routes.h"
#include "flow/log/journal_run_log.h"
#include "support/raw_client.h"
#include "support/seeds.h"

namespace {

namespace json = base::json;
using base::http::close_code::kNormal;
using base::http::close_code::kNotAccepted;
using base::http::close_code::kTryLater;
using namespace std::chrono_literals;
using test::RawClient;

class Echo final : public flow::StepRunner {
public:
    void run(flow::Call call, Done done) override {
        done(flow::StepOutput{std::move(call.request), 0, 0});
    }
    void cancel(flow::RunId, std::string_view) override {}
};

/// Keeps what is told, for a test to wait for.
class Watcher final : public base::http::WebSocketEvents {
public:
    void on_open(const base::http::WebSocketPtr& socket) override {
        const std::lock_guard lock(mutex_);
        socket_ = socket;
        changed_.notify_all();
    }
    void on_message(base::http::MessageKind, std::string_view message) override {
        const std::lock_guard lock(mutex_);
        messages_.push_back(base::parse_json(message)->as_object());
        changed_.notify_all();
    }
    void on_close(std::uint16_t code, std::string_view reason) override {
        const std::lock_guard lock(mutex_);
        socket_.reset();
        code_ = code;
        reason_ = reason;
        changed_.notify_all();
    }
    std::optional<json::object> next() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, 60s, [&] { return !messages_.empty() || code_ != 0; });
        if (messages_.empty()) return std::nullopt;
        json::object out = std::move(messages_.front());
        messages_.pop_front();
        return out;
    }
    std::uint16_t code() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, 60s, [&] { return code_ != 0; });
        return code_;
    }
    void say(std::string_view text) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, 60s, [&] { return socket_ != nullptr; });
        socket_->send(base::http::MessageKind::text, text);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<json::object> messages_;
    base::http::WebSocketPtr socket_;
    std::uint16_t code_ = 0;
    std::string reason_;
};

constexpr std::string_view kWaits = R"(
name: waits
steps:
  - {id: a, call: {function: f}}
  - {id: go, wait: {signal: go}}
)";

class WatchSockets : public testing::Test {
protected:
    WatchSockets() : dir_(*base::TemporaryDir::create("/tmp", "dougong-watch-")) {
        journal_ = *base::journal::Journal::open(disk_, dir_.path() + "/journal", {});
        log_ = *flow::JournalRunLog::open(*journal_, dir_.path() + "/runs.db");
        definitions_ = *flow::DefinitionStore::open(dir_.path() + "/workflows.db", clock_);
        runtime_ = *flow::Runtime::open(*log_, *definitions_, echo_, clock_, {});
        api_ = std::make_unique<flow::FlowApi>(*runtime_, *log_, *definitions_, clock_);
        server_ = std::move(*base::http::Server::listen({}, clock_));
        api_->register_routes(server_->router());
        server_->start();
        EXPECT_TRUE(definitions_->deploy("default", kWaits, "w.yaml").has_value());
    }
    ~WatchSockets() override {
        server_->stop(0ms);
        api_.reset();
        runtime_.reset();
    }

    flow::RunId start() { return *runtime_->start({.tenant = "default", .workflow = "waits"}); }
    std::string path(flow::RunId run, std::uint64_t after = 0) const {
        return fmt::format("/v1/runs/{}/watch?after={}", flow::to_text(run), after);
    }
    std::unique_ptr<base::http::WebSocketClient> watch(const std::shared_ptr<Watcher>& watcher,
                                                       flow::RunId run, std::uint64_t after = 0) {
        auto client = base::http::WebSocketClient::connect(
            {.url = server_->url() + path(run, after), .socket = {.message_bytes_max = 4u << 20}},
            watcher);
        EXPECT_TRUE(client.has_value()) << client.error().message;
        return *std::move(client);
    }
    /// All messages with an id until the end.
    std::vector<json::object> all(Watcher& watcher) {
        std::vector<json::object> out;
        while (auto message = watcher.next()) out.push_back(*std::move(message));
        return out;
    }
    std::string handshake(flow::RunId run, std::string_view more = "") const {
        return fmt::format(
            "GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
            path(run), more);
    }

    base::SystemClock clock_;
    base::LinuxDisk disk_;
    base::TemporaryDir dir_;
    Echo echo_;
    std::unique_ptr<base::journal::Journal> journal_;
    std::unique_ptr<flow::JournalRunLog> log_;
    std::unique_ptr<flow::DefinitionStore> definitions_;
    std::unique_ptr<flow::Runtime> runtime_;
    std::unique_ptr<flow::FlowApi> api_;
    std::unique_ptr<base::http::Server> server_;
};

TEST_F(WatchSockets, TellsThePastThenWhatHappensThenWhy) {
    const flow::RunId run = start();
    const auto watcher = std::make_shared<Watcher>();
    const auto client = watch(watcher, run);
    std::string seen;
    while (seen != "step_waiting") {
        const auto message = watcher->next();
        ASSERT_TRUE(message.has_value());
        seen = message->at("event").as_string();
    }
    ASSERT_TRUE(runtime_->signal(run, "go", json::object{{"n", 7}}).has_value());
    const auto rest = all(*watcher);
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest.back().at("event"), "run_completed");
    EXPECT_EQ(watcher->code(), kNormal);
    const auto events = *log_->history(run, 0, 100);
    EXPECT_EQ(rest.back().at("id"), events.size());
    EXPECT_EQ(rest.back().at("data"), flow::to_json(events.back()));
}

TEST_F(WatchSockets, GoesOnAfterWhatAClientHas) {
    const flow::RunId run = start();
    ASSERT_TRUE(runtime_->signal(run, "go", nullptr).has_value());
    ASSERT_TRUE(runtime_->wait(run, 60s).has_value());
    const std::size_t count = log_->history(run, 0, 100)->size();
    for (std::size_t after = 0; after <= count; ++after) {
        const auto watcher = std::make_shared<Watcher>();
        const auto client = watch(watcher, run, after);
        const auto told = all(*watcher);
        ASSERT_EQ(told.size(), count - after);
        for (std::size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i].at("id"), after + i + 1);
        EXPECT_EQ(watcher->code(), kNormal) << "also for who has all of it";
    }
}

TEST_F(WatchSockets, WhoSpeaksOrIsAStrangerIsSentAway) {
    const flow::RunId run = start();
    const auto watcher = std::make_shared<Watcher>();
    const auto client = watch(watcher, run);
    watcher->say("hello");
    EXPECT_EQ(watcher->code(), kNotAccepted);
    RawClient foreign(server_->port());
    foreign.send(handshake(run, "Origin: http://evil.example\r\n"));
    EXPECT_EQ(foreign.read_response().status, 403);
    RawClient other(server_->port());
    other.send(handshake(run, "X-Dougong-Tenant: other\r\n"));
    EXPECT_EQ(other.read_response().status, 404);
    RawClient wrong(server_->port());
    EXPECT_EQ(
        wrong.request("GET", fmt::format("/v1/runs/{}/watch?after=x", flow::to_text(run))).status,
        400);
}

TEST_F(WatchSockets, AReaderThatIsTooSlowIsToldWhereToGoOn) {
    const flow::RunId run = start();
    RawClient slow(server_->port());
    slow.send(handshake(run));
    ASSERT_EQ(slow.read_head().status, 101);
    const std::string payload(200'000, 'x');
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(runtime_->signal(run, "other", json::value(payload)).has_value());
    }
    std::string bytes;
    while (const auto more = slow.read_some()) {
        if (more->empty()) break;
        bytes += *more;
        if (bytes.size() > 300) bytes.erase(0, bytes.size() - 300);
    }
    const std::size_t reason = bytes.find("too slow a reader; go on with ?after=");
    ASSERT_NE(reason, std::string::npos);
    const std::uint16_t code =
        static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[reason - 2]) << 8 |
                                   static_cast<unsigned char>(bytes[reason - 1]));
    EXPECT_EQ(code, kTryLater);
    const std::uint64_t after = std::stoull(bytes.substr(bytes.find("after=", reason) + 6));
    // 20 MB of the past go through a buffer of 1 MiB: who reads gets all of it.
    ASSERT_TRUE(runtime_->signal(run, "go", nullptr).has_value());
    ASSERT_TRUE(runtime_->wait(run, 60s).has_value());
    for (const std::uint64_t from : {after, std::uint64_t{0}}) {
        const auto watcher = std::make_shared<Watcher>();
        const auto client = watch(watcher, run, from);
        const auto told = all(*watcher);
        ASSERT_FALSE(told.empty());
        EXPECT_EQ(told.front().at("id"), from + 1);
        EXPECT_EQ(told.size(), log_->history(run, from, 1'000)->size());
        EXPECT_EQ(watcher->code(), kNormal);
    }
}

TEST_F(WatchSockets, WhateverFramesComeOthersAreServed) {
    const flow::RunId run = start();
    test::for_each_seed(60, [&](base::Rng& rng) {
        RawClient client(server_->port());
        client.send(handshake(run));
        ASSERT_EQ(client.read_head().status, 101);
        std::string bytes;
        for (std::uint64_t i = rng.below(4'000) + 1; i > 0; --i) {
            bytes += static_cast<char>(rng.below(256));
        }
        if (rng.below(2) == 0) bytes[0] = static_cast<char>(0x80 | rng.below(16));
        client.send(bytes);
        if (rng.below(2) == 0) (void)client.read_some();
    });
    ASSERT_TRUE(runtime_->signal(run, "go", nullptr).has_value());
    const auto watcher = std::make_shared<Watcher>();
    const auto client = watch(watcher, run);
    EXPECT_EQ(all(*watcher).back().at("event"), "run_completed");
}

TEST(WatchMessage, IsTheEventAsJsonWhateverItSays) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::string text;
        for (std::uint64_t i = rng.below(40); i > 0; --i) {
            constexpr std::string_view kChars = "ab\"\\\n\r:{}[] \t";
            text += kChars[rng.below(kChars.size())];
        }
        const json::object data{{"text", text}, {"n", rng.below(1'000)}};
        std::string id, event;
        const std::string whole = flow::message_of(
            fmt::format("id: 12\nevent: token\ndata: {}", base::to_text(data)), id, event);
        const auto parsed = base::parse_json(whole);
        ASSERT_TRUE(parsed.has_value()) << whole;
        ASSERT_EQ(parsed->at("data"), json::value(data));
        ASSERT_EQ(parsed->at("id"), 12);
        ASSERT_EQ(event, "token");
    });
    std::string id, event;
    EXPECT_EQ(flow::message_of(": a comment", id, event), "");
    EXPECT_EQ(flow::message_of("event: token\ndata: {}", id, event),
              R"({"event":"token","data":{}})");
}

}  // namespace
