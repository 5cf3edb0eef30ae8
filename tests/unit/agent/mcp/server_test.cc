#include <gtest/gtest.h>

#include "unit/agent/mcp/some_features.h"

namespace {

using mcp_test::parsed;
namespace mcp = agent::mcp;
namespace json = base::json;

/// Requests of revision 2026-07-28.
class StatelessMcp : public testing::Test, protected mcp_test::SomeServer {
protected:
    mcp::Server::Reply ask(std::string_view method, json::object params,
                           const json::object& capabilities = {}, const char* tenant = "default") {
        params["_meta"] =
            json::object{{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                         {"io.modelcontextprotocol/clientCapabilities", capabilities}};
        const json::object whole = mcp::request_of(1, method, std::move(params));
        const auto message = mcp::read_message(whole);
        auto client = server.client_of(message->params);
        auto& known = std::get<mcp::Server::Client>(client);
        const auto call = std::make_shared<mcp::Call>(mcp::Call::Start{
            .caller = {.tenant = tenant, .client = {}, .session = {}},
            .capabilities = std::move(known.capabilities),
            .send = [this](json::object said) { told.push_back(std::move(said)); }});
        mcp::Server::Reply out;
        server.answer(*message, call, [&](const mcp::Server::Reply& reply) { out = reply; });
        return out;
    }
    json::object result(std::string_view method, json::object params,
                        const json::object& capabilities = {}) {
        const auto reply = ask(method, std::move(params), capabilities);
        const json::value* out = reply.message.if_contains("result");
        return out != nullptr ? out->as_object() : reply.message;
    }
    int error(std::string_view method, json::object params, const json::object& capabilities = {}) {
        const auto reply = ask(method, std::move(params), capabilities);
        const json::value* out = reply.message.if_contains("error");
        return out != nullptr ? out->at("code").to_number<int>() : 0;
    }

    const json::object form = parsed(R"({"elicitation": {"form": {}}})");
    std::vector<json::object> told;
};

TEST_F(StatelessMcp, DiscoveryTellsWhatIsOfferedAndNothingElse) {
    const json::object out = result("server/discover", {});
    EXPECT_EQ(out.at("supportedVersions").at(0), "2026-07-28");
    EXPECT_TRUE(out.at("capabilities").as_object().contains("tools"));
    EXPECT_FALSE(out.at("capabilities").as_object().contains("prompts"));
    EXPECT_EQ(out.at("instructions"), "be kind");
    EXPECT_EQ(error("prompts/list", {}), mcp::kMethodNotFound);
    EXPECT_EQ(ask("nothing/there", {}).status, 404);
}

TEST_F(StatelessMcp, AnotherVersionIsToldWhichOnesThereAre) {
    const auto refused = server.client_of(parsed(
        R"({"_meta": {"io.modelcontextprotocol/protocolVersion": "2031-01-01",
                      "io.modelcontextprotocol/clientCapabilities": {}}})"));
    const auto& error = std::get<mcp::RpcError>(refused);
    EXPECT_EQ(error.code, mcp::kUnsupportedVersion);
    EXPECT_EQ(error.data.at("supported").at(0), "2026-07-28");
    EXPECT_EQ(error.data.at("requested"), "2031-01-01");
    EXPECT_EQ(std::get<mcp::RpcError>(server.client_of({})).code, mcp::kInvalidParams);
}

TEST_F(StatelessMcp, ListsComeInPages) {
    tools.more = 230;
    std::set<std::string> names;
    json::object params;
    for (int pages = 1;; ++pages) {
        const json::object page = result("tools/list", params);
        EXPECT_EQ(page.at("cacheScope"), "private");
        for (const json::value& tool : page.at("tools").as_array()) {
            names.emplace(tool.at("name").as_string());
        }
        if (!page.contains("nextCursor")) {
            EXPECT_EQ(pages, 3);
            break;
        }
        params["cursor"] = page.at("nextCursor");
    }
    EXPECT_EQ(names.size(), 235u);
    for (const json::value& bad : {json::value("x"), json::value("9999"), json::value(1)}) {
        EXPECT_EQ(error("tools/list", {{"cursor", bad}}), mcp::kInvalidParams) << bad;
    }
}

TEST_F(StatelessMcp, WhatACallNeedsOfTheClientComesInTheNextRound) {
    const json::object first = result("tools/call", {{"name", "ask"}}, form);
    EXPECT_EQ(first.at("resultType"), "input_required");
    EXPECT_EQ(first.at("inputRequests").at("name").at("method"), "elicitation/create");
    EXPECT_FALSE(first.contains("requestState")) << "there was nothing to remember";
    const json::object second = result(
        "tools/call", {{"name", "ask"}, {"inputResponses", parsed(R"({"name": {"a": 1}})")}}, form);
    EXPECT_TRUE(second.at("inputRequests").as_object().contains("number"));
    const json::object third = result("tools/call",
                                      {{"name", "ask"},
                                       {"inputResponses", parsed(R"({"number": 7})")},
                                       {"requestState", second.at("requestState")}},
                                      form);
    EXPECT_EQ(third.at("resultType"), "complete");
    EXPECT_EQ(third.at("content").at(0).at("text"), R"({"a":1}7)");
}

TEST_F(StatelessMcp, AStateIsOfOneCallerAndCallAndGoesStale) {
    const json::object second = result(
        "tools/call", {{"name", "ask"}, {"inputResponses", parsed(R"({"name": "x"})")}}, form);
    const std::string state(second.at("requestState").as_string());
    const auto again = [&](std::string sealed, const char* tool = "ask",
                           const char* tenant = "default") {
        const auto reply = ask("tools/call",
                               {{"name", tool},
                                {"inputResponses", parsed(R"({"number": 7})")},
                                {"requestState", sealed}},
                               form, tenant);
        return reply.message.contains("result");
    };
    EXPECT_TRUE(again(state));
    std::string changed = state;
    changed[changed.size() / 2] = changed[changed.size() / 2] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(again(changed));
    EXPECT_FALSE(again("nonsense"));
    EXPECT_FALSE(again(state, "echo")) << "another call";
    EXPECT_FALSE(again(state, "ask", "somebody")) << "another tenant";
    clock.advance(std::chrono::hours(25));
    EXPECT_FALSE(again(state)) << "a day later";
}

TEST_F(StatelessMcp, AClientThatCannotBeAskedIsToldWhatItLacks) {
    const auto reply = ask("tools/call", {{"name", "ask"}});
    EXPECT_EQ(reply.status, 400);
    const json::value& error = reply.message.at("error");
    EXPECT_EQ(error.at("code"), mcp::kMissingCapability);
    EXPECT_TRUE(error.at("data").at("requiredCapabilities").as_object().contains("elicitation"));
}

TEST_F(StatelessMcp, FaultsHaveTheProtocolsCodes) {
    EXPECT_EQ(error("tools/call", {{"name", "nobody"}}), mcp::kInvalidParams);
    EXPECT_EQ(error("tools/call", {}), mcp::kInvalidParams);
    EXPECT_EQ(error("tools/call", {{"name", "echo"}, {"arguments", 1}}), mcp::kInvalidParams);
    EXPECT_EQ(error("tools/call", {{"name", "fail"}}), mcp::kInternalError);
    EXPECT_EQ(error("resources/read", {{"uri", "note://2"}}), mcp::kInvalidParams);
    EXPECT_EQ(result("resources/read", {{"uri", "note://1"}}).at("ttlMs"), 0);
}

TEST(JsonRpc, MessagesAreOneOfThreeKinds) {
    const auto kind = [](std::string_view text) {
        const auto message = mcp::read_message(*base::parse_json(text));
        return message ? static_cast<int>(message->kind) : -1;
    };
    EXPECT_EQ(kind(R"({"jsonrpc": "2.0", "id": 1, "method": "ping"})"), 0);
    EXPECT_EQ(kind(R"({"jsonrpc": "2.0", "id": "a", "method": "ping", "params": {}})"), 0);
    EXPECT_EQ(kind(R"({"jsonrpc": "2.0", "method": "notifications/initialized"})"), 1);
    EXPECT_EQ(kind(R"({"jsonrpc": "2.0", "id": 1, "result": {}})"), 2);
    for (const char* bad :
         {R"([])", R"({"id": 1, "method": "ping"})", R"({"jsonrpc": "2.0", "id": 1})",
          R"({"jsonrpc": "2.0", "id": null, "method": "ping"})",
          R"({"jsonrpc": "2.0", "id": 1.5, "method": "ping"})",
          R"({"jsonrpc": "2.0", "id": 1, "method": 2})",
          R"({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []})"}) {
        EXPECT_EQ(kind(bad), -1) << bad;
    }
}

}  // namespace
