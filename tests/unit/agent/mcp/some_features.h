#pragma once
// A small server of the protocol for tests: tools that answer, ask, wait and fail.

#include <atomic>
#include <chrono>
#include <thread>

#include "agent/mcp/server.h"
#include "base/files/aead.h"
#include "support/manual_clock.h"

namespace mcp_test {

namespace mcp = agent::mcp;
namespace json = base::json;

inline json::object parsed(std::string_view text) {
    auto value = base::parse_json(text);
    return value ? value->as_object() : json::object{{"not JSON", text}};
}

inline json::object text_answer(std::string_view text) {
    return {{"content", json::array{json::object{{"type", "text"}, {"text", text}}}}};
}

class SomeTools final : public mcp::Tools {
public:
    std::vector<json::object> list(const mcp::Caller&) const override {
        std::vector<json::object> out;
        for (const char* name : {"echo", "ask", "wait", "fail"}) {
            out.push_back({{"name", name}, {"inputSchema", json::object{{"type", "object"}}}});
        }
        out.push_back(
            {{"name", "routed"}, {"inputSchema", parsed(R"({"type": "object", "properties":
                                   {"region": {"type": "string", "x-mcp-header": "Region"}}})")}});
        for (int i = 0; i < more; ++i) out.push_back({{"name", "more-" + std::to_string(i)}});
        return out;
    }
    base::Result<mcp::Outcome> call(std::string_view name, const json::object& arguments,
                                    mcp::Exchange& exchange) override {
        if (name == "echo" || name == "routed") {
            exchange.progress(1, 2, "half");
            exchange.log(mcp::LogLevel::info, "echo", "said");
            return text_answer(exchange.caller().tenant + ": " + base::to_text(arguments));
        }
        if (name == "ask") return ask(exchange);
        if (name == "wait") {
            waiting = true;
            while (!exchange.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            cancelled = true;
            return text_answer("cancelled");
        }
        if (name == "fail") return base::fail(base::Code::unavailable, "the disk is away");
        return base::fail(base::Code::not_found, "there is no tool '{}'", name);
    }

    int more = 0;
    std::atomic<bool> waiting = false, cancelled = false;

private:
    /// Two rounds: a name, then a number, which are told together.
    static base::Result<mcp::Outcome> ask(const mcp::Exchange& exchange) {
        const auto question = [](const char* name) {
            return json::object{{name, json::object{{"method", "elicitation/create"},
                                                    {"params", json::object{{"message", name}}}}}};
        };
        const json::object* known = exchange.state().if_object();
        if (known == nullptr && !exchange.inputs().contains("name")) {
            return mcp::Needed{question("name"), nullptr};
        }
        if (known == nullptr) {
            return mcp::Needed{question("number"),
                               json::object{{"name", exchange.inputs().at("name")}}};
        }
        return text_answer(base::to_text(known->at("name")) +
                           base::to_text(exchange.inputs().at("number")));
    }
};

class SomeResources final : public mcp::Resources {
public:
    std::vector<json::object> list(const mcp::Caller&) const override {
        return {{{"uri", "note://1"}, {"name", "1"}}};
    }
    std::vector<json::object> templates(const mcp::Caller&) const override { return {}; }
    base::Result<mcp::Outcome> read(std::string_view uri, mcp::Exchange&) override {
        if (uri != "note://1") return base::fail(base::Code::not_found, "nothing at {}", uri);
        return json::object{{"contents", json::array{json::object{{"uri", uri}, {"text", "one"}}}}};
    }
};

struct SomeServer {
    test::ManualClock clock;
    SomeTools tools;
    SomeResources resources;
    mcp::Server server{{.name = "some", .title = "", .version = "1", .instructions = "be kind"},
                       {.tools = &tools, .resources = &resources, .changes = true},
                       base::SecretKey::random(),
                       clock};
};

}  // namespace mcp_test
