// Servers that do not keep to the protocol, in the ways that servers do not.
#include <gtest/gtest.h>

#include <atomic>

#include "agent/mcp/client/client.h"
#include "agent/mcp/client/http_transport.h"
#include "support/http_stub.h"

namespace {

namespace mcp = agent::mcp;
namespace json = base::json;
using base::Code;
using Kind = mcp::Client::Kind;

class Listens final : public mcp::Host {
public:
    json::object capabilities() const override { return {}; }
    base::Result<json::object> answer(std::string_view, const json::object&,
                                      const mcp::Stop&) override {
        return base::fail(Code::internal, "nobody should be asked");
    }
    void warn(std::string_view) override { ++warnings; }
    std::atomic<int> warnings = 0;
};

test::StubResponse json_answer(const json::value& body, int status = 200) {
    return {.status = status,
            .headers = {{"Content-Type", "application/json"}},
            .body = json::serialize(body),
            .cut_after = {}};
}

json::object welcome() {
    return {{"supportedVersions", {"2026-07-28"}},
            {"capabilities", {{"tools", json::object()}}},
            {"serverInfo", {{"name", "bad"}, {"version", "1"}}}};
}

/// Greets well; `other` answers the rest.
class BadServer : public testing::Test {
protected:
    using Other = std::function<test::StubResponse(const json::object& request)>;

    base::Result<std::unique_ptr<mcp::Client>> connect(Other other, bool greets = true) {
        stub_ = std::make_unique<test::HttpStub>(
            [other = std::move(other), greets](const test::StubRequest& request) {
                const auto body = base::parse_json(request.body);
                if (!body)
                    return test::StubResponse{
                        .status = 405, .headers = {}, .body = "", .cut_after = {}};
                const json::object& object = body->as_object();
                if (greets && object.at("method") == "server/discover") {
                    return json_answer(mcp::result_of(object.at("id"), welcome()));
                }
                return other(object);
            });
        mcp::HttpTransportOptions options;
        options.url = stub_->url() + "/mcp";
        options.message_bytes_max = 100'000;
        return mcp::Client::connect(
            std::make_unique<mcp::HttpTransport>(std::move(options), nullptr), host_, options_,
            clock_);
    }

    base::SystemClock clock_;
    Listens host_;
    mcp::ClientOptions options_;
    std::unique_ptr<test::HttpStub> stub_;
};

TEST_F(BadServer, AListWithoutAnEndIsGivenUp) {
    std::atomic<int> page = 0;
    bool same = true;
    const auto client = connect([&](const json::object& request) {
        json::object result{{"tools", json::array()},
                            {"nextCursor", same ? "again" : std::to_string(++page)}};
        return json_answer(mcp::result_of(request.at("id"), std::move(result)));
    });
    ASSERT_TRUE(client);
    const auto looped = (*client)->list(Kind::tools);
    ASSERT_FALSE(looped);
    EXPECT_EQ(looped.error().code, Code::resource_exhausted);
    same = false;
    const auto endless = (*client)->list(Kind::tools);
    ASSERT_FALSE(endless);
    EXPECT_EQ(endless.error().code, Code::resource_exhausted);
    EXPECT_EQ(page, 1'000);
}

TEST_F(BadServer, AnswersThatAreNoneAreNamed) {
    const auto client = connect([&](const json::object& request) -> test::StubResponse {
        const std::string tool(request.at("params").at("name").as_string());
        const json::value& id = request.at("id");
        if (tool == "broken")
            return {.status = 200, .headers = {}, .body = "{\"jsonrpc\":", .cut_after = {}};
        if (tool == "empty") return {.status = 202, .headers = {}, .body = "", .cut_after = {}};
        if (tool == "other") return json_answer(mcp::result_of(4'711, {}));
        if (tool == "huge")
            return json_answer(mcp::result_of(id, {{"a", std::string(200'000, 'a')}}));
        if (tool == "typed") return json_answer(mcp::result_of(id, {{"resultType", "new"}}));
        if (tool == "asks") {
            return json_answer(
                mcp::result_of(id, {{"resultType", "input_required"},
                                    {"inputRequests", {{"a", {{"method", "roots/list"}}}}}}));
        }
        return {.status = 500, .headers = {}, .body = "<html>\x1b[31moops", .cut_after = {}};
    });
    ASSERT_TRUE(client);
    const auto code = [&](const char* tool) {
        const auto result = (*client)->call_tool(tool, {});
        return result ? Code::already_exists : result.error().code;
    };
    EXPECT_EQ(code("broken"), Code::data_loss);
    EXPECT_EQ(code("empty"), Code::data_loss);
    EXPECT_EQ(code("other"), Code::data_loss);
    EXPECT_EQ(host_.warnings, 1);
    EXPECT_EQ(code("huge"), Code::payload_too_large);
    EXPECT_EQ(code("typed"), Code::unimplemented);
    EXPECT_EQ(code("asks"), Code::unimplemented);
    EXPECT_EQ(code("else"), Code::unavailable);
    const auto shown = (*client)->call_tool("else", {});
    EXPECT_EQ(shown.error().message.find('\x1b'), std::string::npos);
}

TEST_F(BadServer, ThatAsksBackForeverIsGivenUp) {
    std::atomic<int> asked = 0;
    const auto client = connect([&](const json::object& request) {
        ++asked;
        return json_answer(mcp::result_of(
            request.at("id"), {{"resultType", "input_required"}, {"requestState", "s"}}));
    });
    ASSERT_TRUE(client);
    const auto result = (*client)->call_tool("x", {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::resource_exhausted);
    EXPECT_EQ(asked, 16);
}

TEST_F(BadServer, ARefusalOfOurRevisionThatNamesItIsTriedOnceMore) {
    std::atomic<int> asked = 0;
    const auto refuse = [&](const json::object& request) {
        ++asked;
        return json_answer(
            mcp::error_of(request.at("id"), {mcp::kUnsupportedVersion, "no",
                                             json::object{{"supported", {"2026-07-28"}}}}),
            400);
    };
    const auto client = connect(refuse, false);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, Code::failed_precondition);
    EXPECT_EQ(asked, 2);
}

TEST_F(BadServer, NoCommonRevisionIsSaid) {
    const auto client = connect(
        [&](const json::object& request) {
            return json_answer(
                mcp::error_of(request.at("id"), {mcp::kUnsupportedVersion, "no",
                                                 json::object{{"supported", {"2031-01-01"}}}}),
                400);
        },
        false);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, Code::failed_precondition);
    EXPECT_NE(client.error().message.find("2031-01-01"), std::string::npos);
}

TEST_F(BadServer, ThatIsNoneAtAllIsSaid) {
    const auto client = connect(
        [](const json::object&) {
            return test::StubResponse{
                .status = 404, .headers = {}, .body = "<html>", .cut_after = {}};
        },
        false);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, Code::not_found);
}

TEST_F(BadServer, ToolsWhoseHeadersCannotBeSaidAreLeftOut) {
    const auto client = connect([&](const json::object& request) {
        json::array tools;
        for (const char* mark : {"Good", "not good"}) {
            tools.push_back(
                {{"name", mark},
                 {"inputSchema",
                  {{"type", "object"},
                   {"properties", {{"p", {{"type", "string"}, {"x-mcp-header", mark}}}}}}}});
        }
        return json_answer(mcp::result_of(request.at("id"), {{"tools", tools}}));
    });
    ASSERT_TRUE(client);
    const auto tools = (*client)->list(Kind::tools);
    ASSERT_TRUE(tools);
    ASSERT_EQ(tools->size(), 1u);
    EXPECT_EQ(tools->front().at("name"), "Good");
    EXPECT_EQ(host_.warnings, 1);
}

TEST_F(BadServer, WhatItSaysOfListsIsBelieved) {
    std::atomic<int> asked = 0;
    const auto client = connect([&](const json::object& request) {
        ++asked;
        return json_answer(
            mcp::result_of(request.at("id"), {{"tools", json::array()}, {"ttlMs", 3'600'000}}));
    });
    ASSERT_TRUE(client);
    EXPECT_TRUE((*client)->list(Kind::tools));
    EXPECT_TRUE((*client)->list(Kind::tools));
    EXPECT_EQ(asked, 1);
}

TEST_F(BadServer, AStreamThatBreaksOffIsGoneOnWith) {
    // With a session; the stream ends after an id to come back to, and the rest comes on a GET.
    std::atomic<int> resumed = 0;
    test::HttpStub stub([&](const test::StubRequest& request) -> test::StubResponse {
        if (request.method == "GET") {
            ++resumed;
            const auto id = request.headers.find("last-event-id");
            if (id == request.headers.end())
                return {.status = 405, .headers = {}, .body = "", .cut_after = {}};
            EXPECT_EQ(id->second, "e1");
            return {
                .status = 200,
                .headers = {{"Content-Type", "text/event-stream"}},
                .body =
                    "id: e2\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[]}}\n\n",
                .cut_after = {}};
        }
        const json::object body = base::parse_json(request.body)->as_object();
        if (body.at("method") == "initialize") {
            return json_answer(
                mcp::result_of(body.at("id"), {{"protocolVersion", "2025-11-25"},
                                               {"capabilities", json::object()},
                                               {"serverInfo", {{"name", "s"}, {"version", "1"}}}}));
        }
        if (!body.contains("id"))
            return {.status = 202, .headers = {}, .body = "", .cut_after = {}};
        return {.status = 200,
                .headers = {{"Content-Type", "text/event-stream"}},
                .body = "id: e1\nretry: 1\ndata: \n\n",
                .cut_after = {}};
    });
    mcp::HttpTransportOptions options;
    options.url = stub.url();
    options_.revision = "2025-11-25";
    const auto client = mcp::Client::connect(
        std::make_unique<mcp::HttpTransport>(std::move(options), nullptr), host_, options_, clock_);
    ASSERT_TRUE(client) << client.error().message;
    const auto result = (*client)->call_tool("x", {});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(resumed, 1);
}

}  // namespace
