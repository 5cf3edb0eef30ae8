// /v1/sandboxes/{id}/sessions over real sockets and a real interpreter.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/core/clock.h"
#include "base/http/server.h"
#include "base/json/json.h"
#include "sphere/http/session_routes.h"
#include "support/raw_client.h"
#include "support/temp_dir.h"

namespace {

namespace json = base::json;
using test::RawClient;
using test::RawResponse;
using ::testing::HasSubstr;

class SessionRoutes : public ::testing::Test {
protected:
    void SetUp() override {
        auto opened = sphere::Sphere::open({.state_dir = state_.path(), .pool_size = 0}, clock_);
        if (!opened) GTEST_SKIP() << "this host cannot make sandboxes: " << opened.error().message;
        sphere_ = std::move(*opened);
        sessions_ = std::make_unique<sphere::SessionManager>(*sphere_, clock_);
        api_ = std::make_unique<sphere::SessionApi>(*sphere_, *sessions_);
        server_ = std::move(*base::http::Server::listen({}, clock_));
        api_->register_routes(server_->router());
        server_->start();
        box_ = *sphere_->create({});
    }
    void TearDown() override {
        if (!server_) return;
        server_->stop(std::chrono::milliseconds(0));
        api_->stop();
    }
    static std::string request(std::string_view method, std::string_view path,
                               std::string_view body, std::string_view tenant = "default") {
        return fmt::format(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nX-Dougong-Tenant: {}\r\n"
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
            method, path, tenant, body.size(), body);
    }
    RawResponse call(std::string_view method, std::string_view rest, std::string_view body = "",
                     std::string_view tenant = "default") {
        RawClient client(server_->port());
        client.send(request(method, "/v1/sandboxes/" + box_ + "/sessions" + std::string(rest), body,
                            tenant));
        return client.read_response();
    }
    static json::object object(const RawResponse& response) {
        return base::parse_json(response.body)->as_object();
    }
    std::string open(std::string_view language) {
        const RawResponse made = call("POST", "", fmt::format(R"({{"language": "{}"}})", language));
        EXPECT_EQ(made.status, 201) << made.body;
        return "/" + std::string(object(made).at("id").as_string());
    }

    test::TempDir state_;
    base::SystemClock clock_;
    std::unique_ptr<sphere::Sphere> sphere_;
    std::unique_ptr<sphere::SessionManager> sessions_;
    std::unique_ptr<sphere::SessionApi> api_;
    std::unique_ptr<base::http::Server> server_;
    std::string box_;
};

TEST_F(SessionRoutes, ASessionFromItsOpeningToItsEnd) {
    const std::string session = open("bash");
    EXPECT_EQ(call("POST", session + "/cells", R"({"code": "x=5"})").status, 200);
    const json::object cell =
        object(call("POST", session + "/cells", R"({"code": "echo $x; echo e >&2; false"})"));
    EXPECT_EQ(cell.at("stdout").as_string(), "5\n");
    EXPECT_EQ(cell.at("stderr").as_string(), "e\n");
    EXPECT_EQ(cell.at("status").as_string(), "ok");
    EXPECT_EQ(cell.at("exit_code").as_int64(), 1);
    EXPECT_EQ(cell.at("number").to_number<int>(), 2);
    EXPECT_EQ(object(call("GET", session)).at("state").as_string(), "idle");
    EXPECT_EQ(object(call("GET", "")).at("data").as_array().size(), 1u);
    EXPECT_EQ(call("POST", session + "/interrupt").status, 200);
    EXPECT_EQ(call("DELETE", session).status, 200);
    EXPECT_EQ(call("GET", session).status, 404);
}

TEST_F(SessionRoutes, AStreamTellsOutputAndEnd) {
    const std::string session = open("bash");
    const RawResponse answer =
        call("POST", session + "/cells", R"({"code": "echo a", "stream": true})");
    EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
    EXPECT_THAT(answer.body,
                HasSubstr("event: output\ndata: {\"stream\":\"out\",\"text\":\"a\\n\"}"));
    EXPECT_THAT(answer.body, HasSubstr("event: end\ndata: {\"object\":\"cell\",\"number\":1"));
}

TEST_F(SessionRoutes, ResultsAreValues) {
    const std::string session = open("python");
    const json::object cell = object(call("POST", session + "/cells", R"({"code": "[1, 'a']"})"));
    EXPECT_EQ(cell.at("result").at("text/plain").as_string(), "[1, 'a']");
    EXPECT_EQ(cell.at("result").at("application/json").as_array().size(), 2u);
    const json::object failed =
        object(call("POST", session + "/cells", R"({"code": "no_such_name"})"));
    EXPECT_EQ(failed.at("status").as_string(), "error");
    EXPECT_EQ(failed.at("error").at("name").as_string(), "NameError");
}

TEST_F(SessionRoutes, AForkKnowsWhatItsSessionDid) {
    const std::string session = open("python");
    EXPECT_EQ(call("POST", session + "/cells", R"({"code": "x = 41"})").status, 200);
    const RawResponse made = call("POST", session + "/fork");
    ASSERT_EQ(made.status, 201) << made.body;
    const json::object fork = object(made);
    EXPECT_EQ("/" + std::string(fork.at("forked_from").as_string()), session);
    EXPECT_THAT(std::string(fork.at("consistency").as_string()), HasSubstr("between two cells"));
    const std::string second = "/" + std::string(fork.at("id").as_string());
    EXPECT_NE(second, session);
    const json::object cell = object(call("POST", second + "/cells", R"({"code": "x += 1; x"})"));
    EXPECT_EQ(cell.at("result").at("text/plain").as_string(), "42");
    EXPECT_EQ(object(call("POST", session + "/cells", R"({"code": "x"})"))
                  .at("result")
                  .at("text/plain")
                  .as_string(),
              "41");
    EXPECT_EQ(call("POST", "/999/fork").status, 404);
    EXPECT_EQ(call("POST", session + "/fork", "", "other").status, 404);
    EXPECT_EQ(call("POST", open("bash") + "/fork").status, 501);
}

TEST_F(SessionRoutes, AClientThatLeavesInterruptsItsCell) {
    const std::string session = open("bash");
    {
        RawClient client(server_->port());
        client.send(request("POST", "/v1/sandboxes/" + box_ + "/sessions" + session + "/cells",
                            R"({"code": "echo up; while :; do :; done", "stream": true})"));
        ASSERT_EQ(client.read_head().status, 200);
        std::string came;
        while (came.find("up") == std::string::npos) {
            const auto chunk = client.read_chunk();
            ASSERT_TRUE(chunk && !chunk->empty());
            came += *chunk;
        }
    }
    while (object(call("GET", session)).at("state").as_string() == "running") {
    }
    EXPECT_EQ(
        object(call("POST", session + "/cells", R"({"code": "echo on"})")).at("stdout").as_string(),
        "on\n");
}

TEST_F(SessionRoutes, WrongRequestsAreToldApart) {
    const std::string session = open("bash");
    EXPECT_EQ(call("POST", "", R"({"language": "cobol"})").status, 400);
    EXPECT_EQ(call("POST", session + "/cells", "{}").status, 400);
    EXPECT_EQ(call("POST", session + "/cells", R"({"code": "", "colour": 1})").status, 400);
    EXPECT_EQ(call("POST", "/999/cells", R"({"code": ""})").status, 404);
    EXPECT_EQ(call("POST", "/first/cells", R"({"code": ""})").status, 400);
    EXPECT_EQ(call("POST", session + "/cells", R"({"code": ""})", "other").status, 404)
        << "another tenant's box does not exist";
}

}  // namespace
