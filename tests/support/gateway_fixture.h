#pragma once
// The gateway over real sockets with a scripted backend in the same process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/server.h"
#include "base/json/json.h"
#include "base/log/log.h"
#include "base/metrics/metrics.h"
#include "base/trace/trace.h"
#include "gate/gate.h"
#include "support/raw_client.h"
#include "support/scripted_backend.h"

namespace test {

namespace json = base::json;

class SpanList : public base::trace::SpanSink {
public:
    void record(base::trace::Span span) override {
        const std::lock_guard lock(mutex_);
        spans_.push_back(std::move(span));
        changed_.notify_all();
    }
    std::vector<base::trace::Span> wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60),
                                      [&] { return spans_.size() >= count; }));
        return spans_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<base::trace::Span> spans_;
};

class GatewayTest : public ::testing::Test {
protected:
    void start(gate::GatewayOptions options = {}, base::http::ServerOptions server_options = {}) {
        options.version = "1.2.3";
        gateway_ = std::make_unique<gate::Gateway>(
            gate::GatewayDeps{backend_, clock_, base::log::Logger::none(), metrics_, &spans_},
            options);
        server_ = std::move(*base::http::Server::listen(server_options, clock_));
        gateway_->register_routes(*server_);
        server_->start();
    }
    void TearDown() override {
        if (!server_) return;
        server_->stop(std::chrono::milliseconds(0));
        gateway_->stop();
    }

    RawResponse post(std::string_view path, std::string_view body, std::string_view headers = {}) {
        RawClient client(server_->port());
        return client.request("POST", path, body, headers);
    }
    RawResponse get(std::string_view path) {
        RawClient client(server_->port());
        return client.request("GET", path);
    }
    static std::string chat(std::string_view content, std::string_view more = {}) {
        return R"({"model":"fake/chat","messages":[{"role":"user","content":")" +
               std::string(content) + "\"}]" + std::string(more) + "}";
    }
    static json::value parsed(const std::string& body) {
        auto value = base::parse_json(body);
        EXPECT_TRUE(value) << body;
        return value ? std::move(*value) : json::value{};
    }
    /// The events of a whole stream; [DONE] must be the last.
    static std::vector<json::value> events(const RawResponse& response) {
        EXPECT_EQ(response.header("Content-Type"), "text/event-stream; charset=utf-8");
        EXPECT_TRUE(response.complete);
        EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n")) << response.body;
        std::vector<json::value> all;
        std::string_view rest = response.body;
        while (!rest.empty()) {
            const std::string_view event = rest.substr(0, rest.find("\n\n"));
            rest.remove_prefix(std::min(rest.size(), event.size() + 2));
            if (event != "data: [DONE]") all.push_back(parsed(std::string(event.substr(6))));
        }
        return all;
    }
    json::object newest_record() {
        const auto list = parsed(get("/admin/v1/requests?limit=1").body);
        const auto id = std::string(list.at("requests").at(0).at("id").as_string());
        return parsed(get("/admin/v1/requests/" + id).body).as_object();
    }
    static std::string error_code(const RawResponse& response) {
        const auto body = parsed(response.body);
        const auto& error = body.at("error").as_object();
        EXPECT_TRUE(error.at("message").is_string() && error.at("type").is_string());
        EXPECT_TRUE(error.contains("param"));
        return std::string(error.at("code").as_string());
    }

    const base::SystemClock clock_;
    ScriptedBackend backend_{clock_};
    base::metrics::Registry metrics_;
    SpanList spans_;
    std::unique_ptr<gate::Gateway> gateway_;
    std::unique_ptr<base::http::Server> server_;
};

}  // namespace test
