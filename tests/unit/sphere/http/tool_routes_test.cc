// /v1/sandboxes/tools over real sockets, a real guard and real sandboxes.
#include "sphere/http/tool_routes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../guard/guard_fixture.h"
#include "base/http/server.h"
#include "sphere/http/sandbox_routes.h"
#include "support/raw_client.h"

namespace test {
namespace {

namespace json = base::json;
using ::testing::HasSubstr;

class ToolRoutes : public GuardTest {
protected:
    void SetUp() override {
        write_text(policy_file,
                   "version: 1\nname: team\ntenants: [acme]\n"
                   "tools:\n"
                   "  - {id: run, effect: allow, tools: [run_code, run_command, read_file],"
                   " other_arguments: true}\n"
                   "  - {id: no-curl, effect: deny, tools: [run_command], arguments: {command:"
                   " {pattern: '.*curl.*'}}, reason: no downloads}\n"
                   "  - {id: writes, effect: ask, tools: [write_file], other_arguments: true}\n");
        policies = std::move(*sphere::policy::PolicyStore::open(policy_file, system_clock));
        stops = std::move(*sphere::policy::StopBoard::open(dir.file("stops.json"), clock));
        log = std::move(*sphere::audit::AuditLog::open({.dir = audit_dir}, clock));
        secrets = std::move(*sphere::guard::load_secrets(secrets_file));
        metrics = std::make_unique<base::metrics::Registry>();
        auto opened = sphere::guard::GuardedSphere::open(
            {*policies, *stops, *log, *secrets, *metrics, clock},
            {.state_dir = dir.file("state"), .pool_size = 0}, "http",
            [&](const sphere::SphereOptions& options) {
                return sphere::Sphere::open(options, system_clock);
            });
        if (!opened) GTEST_SKIP() << "this host cannot make sandboxes: " << opened.error().message;
        guard = std::move(*opened);
        sessions = std::make_unique<sphere::SessionManager>(*guard, system_clock,
                                                            std::vector<std::string>{});
        api = std::make_unique<sphere::ToolApi>(*guard, *sessions);
        boxes =
            std::make_unique<sphere::SandboxApi>(*guard, system_clock, sphere::SandboxApiOptions{});
        server = std::move(*base::http::Server::listen({}, system_clock));
        boxes->register_routes(server->router());
        api->register_routes(server->router());
        server->start();
    }
    void TearDown() override {
        if (!server) return;
        server->stop(std::chrono::milliseconds(0));
        api->stop();
        boxes->stop();
    }
    json::object ask(int status, std::string_view method, std::string_view path,
                     std::string_view body = "", std::string_view tenant = "acme") {
        RawClient client(server->port());
        client.send(
            fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nX-Dougong-Tenant: {}\r\n"
                        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                        method, path, tenant, body.size(), body));
        const RawResponse response = client.read_response();
        EXPECT_EQ(response.status, status) << path << response.body;
        return base::parse_json(response.body)->as_object();
    }
    json::object tool(std::string_view name, std::string_view arguments,
                      std::string_view tenant = "acme") {
        return ask(
            200, "POST", fmt::format("/v1/sandboxes/tools/{}", name),
            fmt::format(R"({{"agent": "helper", "session": "s", "arguments": {}}})", arguments),
            tenant);
    }
    static std::string said(const json::object& told) {
        return std::string(told.at("content").at(0).at("text").as_string());
    }

    std::unique_ptr<sphere::SessionManager> sessions;
    std::unique_ptr<sphere::ToolApi> api;
    std::unique_ptr<sphere::SandboxApi> boxes;
    std::unique_ptr<base::http::Server> server;
};

TEST_F(ToolRoutes, ListedAndCalledBesideSandboxes) {
    const json::object listing = ask(200, "GET", "/v1/sandboxes/tools");
    EXPECT_EQ(listing.at("tools").as_array().size(), sphere::tools::SandboxTools::all().size());
    EXPECT_EQ(said(tool("run_code", R"({"code": "6 * 7"})")), "42");
    EXPECT_EQ(said(tool("run_command", R"({"command": "echo five; true"})")), "five\n");
    const json::object all = ask(200, "GET", "/v1/sandboxes");
    ASSERT_EQ(all.at("data").as_array().size(), 1u);
    EXPECT_EQ(all.at("data").at(0).at("agent").as_string(), "helper");
}

TEST_F(ToolRoutes, EveryCallIsDecidedAndRecordedBeforeItIsMade) {
    tool("run_command", R"({"command": "echo yes"})");
    const json::object denied = tool("run_command", R"({"command": "curl x"})");
    EXPECT_TRUE(denied.at("isError").as_bool());
    EXPECT_THAT(said(denied), HasSubstr("no downloads"));
    EXPECT_THAT(said(tool("write_file", R"({"path": "f", "content": ""})")),
                HasSubstr("a person's approval"));
    EXPECT_TRUE(tool("remove_file", R"({"path": "f"})").at("isError").as_bool()) << "no rule";
    EXPECT_EQ(events("exec.start").size(), 1u) << "what was denied never ran";
    EXPECT_THAT(record(), HasSubstr("no downloads"));
    EXPECT_TRUE(tool("run_code", R"({"code": "1"})", "stranger").at("isError").as_bool());
    EXPECT_EQ(guard->list().size(), 1u) << "no policy, no sandbox";
}

TEST_F(ToolRoutes, TheCallerSaysWhichSandboxAndHowItIsMade) {
    const json::object made =
        ask(200, "POST", "/v1/sandboxes/tools/run_command",
            R"({"session": "big", "spec": {"limits": {"memory_bytes": 268435456}},
            "arguments": {"command": "echo kept > f"}})");
    EXPECT_EQ(guard->list().at(0).spec.limits.memory_bytes, 256u << 20);
    const std::string box(made.at("structuredContent").at("sandbox").as_string());
    const json::object told =
        ask(200, "POST", "/v1/sandboxes/tools/read_file",
            fmt::format(R"({{"sandbox": "{}", "arguments": {{"path": "f"}}}})", box));
    EXPECT_EQ(said(told), "kept\n");
}

TEST_F(ToolRoutes, WhatIsWrongWithTheRequestIsTheCallersToKnow) {
    ask(404, "POST", "/v1/sandboxes/tools/no_such_tool", "{}");
    for (const char* body : {R"({"arguments": []})", R"({"unknown": 1})", R"({"spec": 3})",
                             R"({"spec": {"limits": {"cpus": -1}}})", "[", R"({"agent": 1})"}) {
        ask(400, "POST", "/v1/sandboxes/tools/run_code", body);
    }
}

}  // namespace
}  // namespace test
