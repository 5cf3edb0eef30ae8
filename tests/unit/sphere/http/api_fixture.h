#pragma once
// The sandbox API over real sockets and real boxes.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/core/clock.h"
#include "base/http/server.h"
#include "base/json/json.h"
#include "sphere/http/sandbox_routes.h"
#include "support/raw_client.h"
#include "support/temp_dir.h"

namespace sphere {

/// Reads chunks of a stream until what came ends with or holds `text`; all that came.
inline std::string read_until(test::RawClient& client, std::string_view text) {
    std::string all;
    while (all.find(text) == std::string::npos) {
        const auto chunk = client.read_chunk();
        if (!chunk || chunk->empty()) {
            ADD_FAILURE() << "no '" << text << "' in: " << all;
            break;
        }
        all += *chunk;
    }
    return all;
}

class ApiTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto opened = Sphere::open({.state_dir = state_.path(), .pool_size = 0}, clock_);
        if (!opened) GTEST_SKIP() << "this host cannot make sandboxes: " << opened.error().message;
        sphere_ = std::move(*opened);
        api_ = std::make_unique<SandboxApi>(*sphere_, clock_, options_);
        server_ = std::move(*base::http::Server::listen({}, clock_));
        api_->register_routes(server_->router());
        server_->start();
    }
    void TearDown() override {
        if (!server_) return;
        server_->stop(std::chrono::milliseconds(0));
        api_->stop();
    }

    test::RawResponse call(std::string_view method, std::string_view path,
                           std::string_view body = "", std::string_view tenant = "") {
        test::RawClient client(server_->port());
        client.send(request(method, path, body, tenant));
        return client.read_response();
    }
    static std::string request(std::string_view method, std::string_view path,
                               std::string_view body, std::string_view tenant) {
        const std::string who =
            tenant.empty() ? "" : fmt::format("X-Dougong-Tenant: {}\r\n", tenant);
        return fmt::format(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}"
            "Content-Length: {}\r\n\r\n{}",
            method, path, who, body.size(), body);
    }
    static base::json::object object(const test::RawResponse& response) {
        return base::parse_json(response.body)->as_object();
    }
    std::string create(std::string_view body = "", std::string_view tenant = "") {
        const test::RawResponse made = call("POST", "/v1/sandboxes", body, tenant);
        EXPECT_EQ(made.status, 201) << made.body;
        return std::string(object(made).at("id").as_string());
    }
    base::json::object exec(const std::string& box, std::string_view body) {
        const test::RawResponse answer = call("POST", "/v1/sandboxes/" + box + "/exec", body);
        EXPECT_EQ(answer.status, 200) << answer.body;
        return object(answer);
    }

    /// "/v1/sandboxes/BOX/files/NAME": the name as it stands in an URL.
    static std::string file(const std::string& box, std::string_view name) {
        return fmt::format("/v1/sandboxes/{}/files/{}", box, name);
    }

    SandboxApiOptions options_;  ///< before SetUp of this class
    test::TempDir state_;
    base::SystemClock clock_;
    std::unique_ptr<Sphere> sphere_;
    std::unique_ptr<SandboxApi> api_;
    std::unique_ptr<base::http::Server> server_;
};

}  // namespace sphere
