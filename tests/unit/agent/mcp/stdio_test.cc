#include "agent/mcp/stdio.h"

#include <gtest/gtest.h>

#include <sstream>

#include "unit/agent/mcp/some_features.h"

namespace {

using mcp_test::parsed;
namespace mcp = agent::mcp;
namespace json = base::json;

constexpr std::string_view kMeta =
    R"("_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                 "io.modelcontextprotocol/clientCapabilities": {}})";

/// What is answered to some lines, by id; notifications under "".
class McpStdio : public testing::Test, protected mcp_test::SomeServer {
protected:
    std::map<std::string, json::object> speak(const std::string& lines) {
        std::map<std::string, json::object> out;
        std::istringstream in(lines);
        mcp::StdioServer stdio(server, [&](std::string_view line) {
            EXPECT_TRUE(line.ends_with('\n'));
            const json::object message = parsed(line);
            const json::value* id = message.if_contains("id");
            out[id != nullptr ? json::serialize(*id) : ""] = message;
        });
        stdio.run(in);
        return out;
    }
};

std::string line(int id, std::string_view method, std::string_view params) {
    return "{\"jsonrpc\": \"2.0\", \"id\": " + std::to_string(id) + ", \"method\": \"" +
           std::string(method) + "\", \"params\": {" + std::string(params) + "}}\n";
}

std::string one_line(std::string text) {
    std::erase(text, '\n');
    return text + "\n";
}

TEST_F(McpStdio, BothKindsOfRevisionsOnOneStream) {
    const std::string meta(kMeta);
    auto out = speak(
        one_line(line(1, "tools/call", R"("name": "echo", "arguments": {"a": 1}, )" + meta)) +
        line(2, "initialize", R"("protocolVersion": "2025-11-25", "capabilities": {})") +
        R"({"jsonrpc": "2.0", "method": "notifications/initialized"})"
        "\n" +
        line(3, "tools/call", R"("name": "echo", "arguments": {"b": 2})") + line(4, "ping", ""));
    EXPECT_EQ(out["1"].at("result").at("content").at(0).at("text"), R"(default: {"a":1})");
    EXPECT_EQ(out["1"].at("result").at("resultType"), "complete");
    EXPECT_EQ(out["2"].at("result").at("protocolVersion"), "2025-11-25");
    EXPECT_EQ(out["3"].at("result").at("content").at(0).at("text"), R"(default: {"b":2})");
    EXPECT_FALSE(out["3"].at("result").as_object().contains("resultType"));
    EXPECT_TRUE(out["4"].contains("result"));
    EXPECT_EQ(out[""].at("method"), "notifications/message") << "the session hears logs";
}

TEST_F(McpStdio, NonsenseIsAnsweredAndTheRestGoesOn) {
    const std::string meta(kMeta);
    auto out = speak("not JSON\n\n[1]\n" + line(5, "tools/list", "") +
                     one_line(line(6, "tools/list", meta)));
    EXPECT_TRUE(out[""].contains("error")) << "what could not be read has no id";
    EXPECT_EQ(out["5"].at("error").at("code"), mcp::kInvalidParams) << "no version, no session";
    EXPECT_TRUE(out["6"].contains("result"));
}

TEST_F(McpStdio, ACancelledCallEndsAndIsNotAnswered) {
    const std::string meta(kMeta);
    auto out = speak(one_line(line(1, "tools/call", R"("name": "wait", )" + meta)) +
                     R"({"jsonrpc": "2.0", "method": "notifications/cancelled", )"
                     R"("params": {"requestId": 1}})"
                     "\n");
    EXPECT_FALSE(out.contains("1"));
    EXPECT_TRUE(!tools.waiting || tools.cancelled);
}

}  // namespace
