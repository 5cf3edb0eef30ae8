#include "agent/mcp/http_endpoint.h"

#include <gtest/gtest.h>

#include "base/http/client.h"
#include "base/http/server.h"
#include "unit/agent/mcp/some_features.h"

namespace {

using base::HttpClient;
using mcp_test::parsed;
namespace mcp = agent::mcp;
namespace json = base::json;

class McpHttp : public testing::Test, protected mcp_test::SomeServer {
protected:
    McpHttp() {
        http_->start();
        endpoint_.register_routes(http_->router());
    }
    ~McpHttp() override {
        http_->stop(std::chrono::milliseconds(0));
        endpoint_.stop();
    }
    HttpClient::Request request(std::string method, HttpClient::Headers headers = {},
                                std::string body = "") {
        HttpClient::Request out;
        out.method = std::move(method);
        out.url = http_->url() + "/mcp";
        out.headers = std::move(headers);
        out.body = std::move(body);
        return out;
    }
    HttpClient::Request posted(const json::object& body, HttpClient::Headers headers) {
        headers.emplace_back("Content-Type", "application/json");
        headers.emplace_back("Accept", "application/json, text/event-stream");
        return request("POST", std::move(headers), base::to_text(body));
    }
    HttpClient::Response post(const json::object& body, HttpClient::Headers headers = {}) {
        return *client_.send(posted(body, std::move(headers)));
    }
    /// A stateless request with the headers that go with it.
    HttpClient::Response call(std::string_view method, json::object params,
                              HttpClient::Headers more = {}) {
        params["_meta"] =
            json::object{{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                         {"io.modelcontextprotocol/clientCapabilities", json::object()}};
        more.emplace_back("MCP-Protocol-Version", "2026-07-28");
        more.emplace_back("Mcp-Method", method);
        return post(mcp::request_of(1, method, std::move(params)), std::move(more));
    }
    std::string begin_session(const char* tenant = "default") {
        const auto welcome =
            post(mcp::request_of(0, "initialize", parsed(R"({"protocolVersion": "2025-11-25",
                                       "capabilities": {"elicitation": {}}})")),
                 {{"X-Dougong-Tenant", tenant}});
        EXPECT_EQ(welcome.status, 200) << welcome.body;
        return std::string(welcome.header("Mcp-Session-Id").value_or(""));
    }

    static std::unique_ptr<base::http::Server> listen(const base::Clock& clock) {
        base::http::ServerOptions options;
        options.address = "127.0.0.1";
        options.port = 0;
        return *base::http::Server::listen(std::move(options), clock);
    }

    std::unique_ptr<base::http::Server> http_ = listen(clock);
    mcp::HttpEndpoint endpoint_{server, {.threads = 4, .sessions_max = 3}};
    const HttpClient client_;
};

TEST_F(McpHttp, AStatelessCallIsOneExchange) {
    const auto listed = call("tools/list", {});
    EXPECT_EQ(listed.status, 200);
    EXPECT_EQ(listed.header("Content-Type").value_or(""), "application/json");
    EXPECT_FALSE(listed.header("Mcp-Session-Id"));
    const auto echoed = call("tools/call", {{"name", "echo"}, {"arguments", json::object()}},
                             {{"Mcp-Name", "echo"}, {"X-Dougong-Tenant", "ann"}});
    EXPECT_NE(echoed.body.find("ann: {}"), std::string::npos) << echoed.body;
}

TEST_F(McpHttp, HeadersThatSaySomethingElseAreRefused) {
    const auto refused = [&](std::string_view method, const json::object& params,
                             const HttpClient::Headers& headers) {
        const auto answer = call(method, params, headers);
        return answer.status == 400 &&
               parsed(answer.body).at("error").at("code") == mcp::kHeaderMismatch;
    };
    const json::object echo{{"name", "echo"}};
    EXPECT_TRUE(refused("tools/call", echo, {{"Mcp-Name", "fail"}}));
    EXPECT_TRUE(refused("tools/call", echo, {})) << "Mcp-Name is missing";
    const json::object routed{{"name", "routed"}, {"arguments", json::object{{"region", "north"}}}};
    EXPECT_TRUE(
        refused("tools/call", routed, {{"Mcp-Name", "routed"}, {"Mcp-Param-Region", "south"}}));
    EXPECT_EQ(
        call("tools/call", routed, {{"Mcp-Name", "routed"}, {"Mcp-Param-Region", "north"}}).status,
        200);
}

TEST_F(McpHttp, ASessionAsksItsClientOnTheStreamOfTheCall) {
    const std::string id = begin_session();
    const HttpClient::Headers in{{"Mcp-Session-Id", id}};
    EXPECT_EQ(post(mcp::notification_of("notifications/initialized", {}), in).status, 202);
    int asked = 0;
    std::string body;
    const auto answer = client_.send(
        posted(mcp::request_of(9, "tools/call", {{"name", "ask"}}), {{"Mcp-Session-Id", id}}),
        [&](const HttpClient::Response&, std::span<const std::byte> bytes) {
            body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            for (std::size_t end; (end = body.find("\n\n")) != std::string::npos;) {
                const std::string event = body.substr(0, end);
                const std::size_t data = event.find("data: ");
                if (data != std::string::npos && event.find("elicitation/create") != data) {
                    const json::object message = parsed(event.substr(data + 6));
                    const json::value* method = message.if_contains("method");
                    if (method != nullptr && *method == "elicitation/create") {
                        ++asked;
                        EXPECT_EQ(
                            post(mcp::result_of(message.at("id"), {{"said", asked}}), in).status,
                            202);
                    } else if (message.contains("result")) {
                        EXPECT_EQ(message.at("id"), 9);
                        EXPECT_EQ(message.at("result").at("content").at(0).at("text"),
                                  R"({"said":1}{"said":2})");
                        asked += 10;
                    }
                }
                body.erase(0, end + 2);
            }
            return true;
        });
    EXPECT_TRUE(answer.has_value());
    EXPECT_EQ(asked, 12) << "two questions, one answer";
}

TEST_F(McpHttp, ASessionIsOneTenantsAndEnds) {
    const std::string id = begin_session("ann");
    const json::object list = mcp::request_of(1, "tools/list", {});
    EXPECT_EQ(post(list, {{"Mcp-Session-Id", id}, {"X-Dougong-Tenant", "ann"}}).status, 200);
    EXPECT_EQ(post(list, {{"Mcp-Session-Id", id}, {"X-Dougong-Tenant", "bob"}}).status, 404);
    EXPECT_EQ(post(list, {{"Mcp-Session-Id", "none"}}).status, 404);
    EXPECT_EQ(post(list).status, 400) << "neither a session nor a version";
    const auto end =
        client_.send(request("DELETE", {{"Mcp-Session-Id", id}, {"X-Dougong-Tenant", "ann"}}));
    EXPECT_EQ(end->status, 204);
    EXPECT_EQ(post(list, {{"Mcp-Session-Id", id}, {"X-Dougong-Tenant", "ann"}}).status, 404);
}

TEST_F(McpHttp, TheSessionThatWasLongestUnusedMakesRoom) {
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(begin_session());
    const json::object list = mcp::request_of(1, "tools/list", {});
    EXPECT_EQ(post(list, {{"Mcp-Session-Id", ids[0]}}).status, 200);
    begin_session();
    EXPECT_EQ(post(list, {{"Mcp-Session-Id", ids[0]}}).status, 200);
    EXPECT_EQ(post(list, {{"Mcp-Session-Id", ids[1]}}).status, 404);
}

TEST_F(McpHttp, BodiesThatAreNoMessageAreRefused) {
    const auto refused = [&](const std::string& body) {
        return client_.send(request("POST", {}, body))->status;
    };
    for (const char* body : {"", "{", "[]", "{}", "null", R"({"jsonrpc": "2.0", "id": 1})"}) {
        EXPECT_EQ(refused(body), 400) << body;
    }
    EXPECT_EQ(client_.send(request("GET"))->status, 405);
}

}  // namespace
