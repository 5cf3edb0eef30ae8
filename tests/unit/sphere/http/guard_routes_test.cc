// /v1/policies, /v1/audit and the stops in force, over real sockets; the sphere inside is scripted.
#include "sphere/http/guard_routes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <set>

#include "../guard/guard_fixture.h"
#include "base/http/server.h"
#include "base/json/object_reader.h"
#include "sphere/http/openapi.h"
#include "sphere/http/port_routes.h"
#include "sphere/http/sandbox_routes.h"
#include "sphere/http/session_routes.h"
#include "sphere/http/spec_json.h"
#include "sphere/http/tool_routes.h"
#include "support/raw_client.h"

namespace test {
namespace {

namespace json = base::json;

class GuardRoutes : public GuardTest {
protected:
    void SetUp() override {
        open("http");
        api = std::make_unique<sphere::GuardApi>(*guard);
        server = std::move(*base::http::Server::listen({}, system_clock));
        api->register_routes(server->router());
        server->start();
    }
    void TearDown() override {
        server->stop(std::chrono::milliseconds(0));
        api->stop();
    }
    json::object call(int status, std::string_view method, std::string_view path,
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
    std::unique_ptr<sphere::GuardApi> api;
    std::unique_ptr<base::http::Server> server;
};

TEST_F(GuardRoutes, PoliciesInForceAreShownToWhomTheyConcern) {
    const json::object mine = call(200, "GET", "/v1/policies");
    ASSERT_EQ(mine.at("data").as_array().size(), 1u);
    const json::object& policy = mine.at("data").at(0).as_object();
    EXPECT_EQ(policy.at("name").as_string(), "team");
    EXPECT_EQ(policy.at("network").at("mode").as_string(), "egress");
    EXPECT_EQ(policy.at("secrets").at(0).at("name").as_string(), "key");
    EXPECT_EQ(mine.at("digest").as_string(), policies->digest());
    EXPECT_EQ(mine.at("stale").as_string(), "");
    EXPECT_EQ(json::serialize(mine).find("open-sesame"), std::string::npos);
    EXPECT_TRUE(call(200, "GET", "/v1/policies", "", "other").at("data").as_array().empty());
    EXPECT_EQ(call(200, "GET", "/admin/v1/policies").at("data").as_array().size(), 1u);
}

TEST_F(GuardRoutes, AChangedFileIsToldUntilItIsLoaded) {  // S54
    write_text(policy_file, std::string(kPolicy) + "revision: two\n");
    EXPECT_NE(call(200, "GET", "/v1/policies").at("stale").as_string().find(policy_file),
              std::string::npos);
    const json::object decision =
        call(200, "POST", "/v1/policies/decide", R"({"tool": "fs.read"})");
    EXPECT_EQ(decision.at("cause").as_string(), "stale_policy");
    EXPECT_EQ(decision.at("effect").as_string(), "deny");
    const json::object loaded = call(200, "POST", "/admin/v1/policies/reload");
    EXPECT_EQ(loaded.at("stale").as_string(), "");
    EXPECT_EQ(loaded.at("data").at(0).at("revision").as_string(), "two");
    write_text(policy_file, "version: 1\nname: [\n");
    call(400, "POST", "/admin/v1/policies/reload");
    EXPECT_NE(call(200, "GET", "/v1/policies").at("stale").as_string(), "");
}

TEST_F(GuardRoutes, ADecisionIsExplainedAndRecordedOnlyWhenItIsNotDry) {
    const json::object dry =
        call(200, "POST", "/v1/policies/decide",
             R"({"tool": "fs.read", "arguments": {"limit": 99}, "data": ["public"]})");
    EXPECT_EQ(dry.at("effect").as_string(), "deny");
    EXPECT_EQ(dry.at("rules").at(0).at("rule").as_string(), "read");
    EXPECT_FALSE(dry.at("rules").at(0).at("matches").as_bool());
    EXPECT_TRUE(events("tool").empty() && events("tool_rejected").empty());
    const json::object real =
        call(200, "POST", "/v1/policies/decide", R"({"tool": "Fs.Read", "dry_run": false})");
    EXPECT_EQ(real.at("cause").as_string(), "tool_rejected");
    ASSERT_EQ(events("tool_rejected").size(), 1u);
    EXPECT_EQ(text(events("tool_rejected")[0], "actor"), "http");
    for (const char* body : {"{}", R"({"tool": 1})", R"({"tool": "t", "arguments": []})",
                             R"({"tool": "t", "unknown": 1})", "[]", "{"}) {
        call(400, "POST", "/v1/policies/decide", body);
    }
}

TEST_F(GuardRoutes, ATenantSeesItsOwnEventsOnly) {
    const std::string box = make();
    sphere::SandboxSpec stranger;
    stranger.tenant = "other";
    EXPECT_FALSE(guard->create(stranger));
    const json::object mine = call(200, "GET", "/v1/audit");
    ASSERT_EQ(mine.at("data").as_array().size(), 1u);
    EXPECT_EQ(mine.at("data").at(0).at("sandbox").as_string(), box);
    EXPECT_EQ(mine.at("fault").as_string(), "");
    call(403, "GET", "/v1/audit?tenant=other");
    const json::object all = call(200, "GET", "/admin/v1/audit?event=sandbox");
    ASSERT_EQ(all.at("data").as_array().size(), 2u);
    EXPECT_EQ(all.at("data").at(0).at("tenant").as_string(), "other") << "newest first";
    const json::object one = call(200, "GET", "/admin/v1/audit?event=sandbox&limit=1");
    EXPECT_TRUE(one.at("has_more").as_bool());
    const json::object next = call(200, "GET",
                                   fmt::format("/admin/v1/audit?event=sandbox&limit=1&before={}",
                                               one.at("next_before").to_number<std::uint64_t>()));
    EXPECT_EQ(next.at("data").at(0).at("sandbox").as_string(), box);
    EXPECT_EQ(call(200, "GET", "/v1/audit?sandbox=" + box).at("data").as_array().size(), 1u);
    EXPECT_TRUE(call(200, "GET", "/v1/audit?sandbox=x").at("data").as_array().empty());
    for (const char* query : {"limit=0", "limit=x", "limit=1001", "before=0", "before=-1"}) {
        call(400, "GET", fmt::format("/v1/audit?{}", query));
    }
}

TEST_F(GuardRoutes, StopsInForceAreListed) {
    guard->order_stop({.tenant = "acme"}, "too loud");
    guard->order_stop({.tenant = "other"}, "theirs");
    const json::object mine = call(200, "GET", "/v1/emergency_stop");
    ASSERT_EQ(mine.at("data").as_array().size(), 1u);
    EXPECT_EQ(mine.at("data").at(0).at("reason").as_string(), "too loud");
    EXPECT_EQ(call(200, "GET", "/admin/v1/emergency_stop").at("data").as_array().size(), 2u);
}

TEST_F(GuardRoutes, ALiftThatCannotBeWrittenIsNotToldAsDone) {
    sphere::SandboxApi boxes(*guard, system_clock, {});
    server->stop(std::chrono::milliseconds(0));
    server = std::move(*base::http::Server::listen({}, system_clock));
    boxes.register_routes(server->router());
    api->register_routes(server->router());
    server->start();
    guard->order_stop({.tenant = "acme"}, "too loud");
    const std::string file = dir.file("stops.json");
    std::filesystem::remove(file);
    std::filesystem::create_directories(file + "/in-the-way");
    for (const char* path : {"/v1/emergency_stop", "/admin/v1/emergency_stop"}) {
        const json::object refused = call(400, "DELETE", path, R"({"agent":""})");
        EXPECT_FALSE(refused.contains("lifted"));
    }
    EXPECT_EQ(call(200, "GET", "/v1/emergency_stop").at("data").as_array().size(), 1u);
    std::filesystem::remove_all(file);
    EXPECT_TRUE(call(200, "DELETE", "/v1/emergency_stop").at("lifted").as_bool());
    EXPECT_TRUE(call(200, "GET", "/v1/emergency_stop").at("data").as_array().empty());
    server->stop(std::chrono::milliseconds(0));
    boxes.stop();
}

TEST_F(GuardRoutes, OpenApiDescribesEveryRouteOfThePlaneAndOnlyThose) {
    base::http::Router router;
    sphere::SandboxApi boxes(*guard, clock, {});
    sphere::SessionManager interpreters(*guard, clock);
    sphere::SessionApi sessions(*guard, interpreters);
    sphere::PortApi ports(*guard, clock, {});
    sphere::GuardApi rest(*guard);
    sphere::ToolApi tools(*guard, interpreters);
    tools.register_routes(router);
    boxes.register_routes(router);
    ports.register_routes(router);
    sessions.register_routes(router);
    rest.register_routes(router);
    std::set<std::pair<std::string, std::string>> documented, routed;
    const json::object paths = sphere::sandbox_paths();
    for (const auto& path : paths) {
        for (const auto& operation : path.value().as_object()) {
            if (path.key().find("/ports/{port}") != path.key().npos) continue;  // any method
            documented.emplace(operation.key(), path.key());
        }
    }
    for (auto [method, pattern] : router.routes()) {
        for (char& c : method) c = static_cast<char>(std::tolower(c));
        if (const auto dots = pattern.find("...}"); dots != pattern.npos) pattern.erase(dots, 3);
        if (pattern.find("/ports/{port}") != pattern.npos) continue;
        if (pattern.ends_with("/files/")) continue;  // as without the slash
        routed.emplace(method, pattern);
    }
    EXPECT_EQ(documented, routed);
}

TEST_F(GuardRoutes, OpenApiBodiesHoldTheFieldsThatAreTaken) {
    const json::object sandbox = sphere::sandbox_body_example();
    const auto spec = sphere::read_spec(sandbox);
    EXPECT_TRUE(spec) << spec.error().message;
    json::object command = sphere::exec_body_example();
    const auto rest = [](base::ObjectReader& in) {
        in.has("stream");
        in.has("encoding");
    };
    EXPECT_EQ(sphere::read_exec(command, rest).error().subject, "argv") << "or code";
    for (const char* either : {"argv", "code"}) {
        json::object one = command;
        one.erase(either);
        const auto read = sphere::read_exec(one, rest);
        EXPECT_TRUE(read) << read.error().message;
    }
}

}  // namespace
}  // namespace test
