#include "agent/mcp/conformance/slow_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace agent::mcp::conformance {
namespace {

using base::Code;
using base::Result;

json::object say(std::string_view text) {
    return {{"content", json::array{json::object{{"type", "text"}, {"text", text}}}}};
}

std::string text_of(const json::object& arguments, std::string_view name) {
    const json::value* text = arguments.if_contains(name);
    return text != nullptr && text->is_string() ? std::string(text->get_string()) : "";
}

/// A form with one text in it.
json::object ask(std::string_view message, std::string_view field) {
    const json::object properties{{field, json::object{{"type", "string"}}}};
    return {
        {"method", "elicitation/create"},
        {"params", json::object{{"mode", "form"},
                                {"message", message},
                                {"requestedSchema",
                                 json::object{{"type", "object"}, {"properties", properties}}}}}};
}

/// What the client's user filled in; null: nothing yet, or refused.
const json::object* filled(const Exchange& exchange, std::string_view name) {
    const json::value* reply = exchange.inputs().if_contains(name);
    const json::object* fields = reply != nullptr ? reply->if_object() : nullptr;
    const json::value* content = fields != nullptr ? fields->if_contains("content") : nullptr;
    return content != nullptr ? content->if_object() : nullptr;
}

void work(double seconds, const Exchange& exchange) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (std::chrono::steady_clock::now() < end && !exchange.cancelled()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

using Answer = Result<Outcome>;

Answer greet(const json::object& arguments, Exchange&) {
    return say(fmt::format("Hello, {}!", text_of(arguments, "name")));
}

Answer compute(const json::object& arguments, Exchange& exchange) {
    exchange.let_go();
    const json::value* seconds = arguments.if_contains("seconds");
    work(seconds != nullptr && seconds->is_number() ? seconds->to_number<double>() : 0, exchange);
    return say("computed");
}

Answer fail_as_tool(const json::object&, Exchange& exchange) {
    exchange.let_go();
    work(0.5, exchange);
    json::object out = say("this job always fails");
    out["isError"] = true;
    return out;
}

Answer fail_as_call(const json::object&, Exchange& exchange) {
    exchange.let_go();
    work(0.2, exchange);
    return base::fail(Code::internal, "this job always breaks");
}

Answer confirm(const json::object& arguments, Exchange& exchange) {
    exchange.let_go();
    if (!exchange.inputs().contains("confirm")) {
        return Needed{{{"confirm", ask("Really?", "confirm")}}, nullptr};
    }
    return say(fmt::format("answered for {}", text_of(arguments, "filename")));
}

Answer two_questions(const json::object&, Exchange& exchange) {
    exchange.let_go();
    if (!exchange.inputs().contains("first") || !exchange.inputs().contains("second")) {
        return Needed{
            {{"first", ask("The first?", "name")}, {"second", ask("The second?", "name")}},
            nullptr};
    }
    return say("both are answered");
}

Answer question_then_task(const json::object&, Exchange& exchange) {
    const json::object* content = filled(exchange, "user_name");
    if (content == nullptr) {
        return Needed{{{"user_name", ask("What is your name?", "name")}}, nullptr};
    }
    const std::string name = text_of(*content, "name");
    exchange.let_go();
    work(0.2, exchange);
    return say(fmt::format("Hello, {}!", name));
}

struct Tool {
    std::string_view name, description;
    Answer (*run)(const json::object&, Exchange&);
    std::string_view schema = R"({"type": "object", "properties": {}})";
    bool only_as_task = false;
};

constexpr std::array kTools{
    Tool{"greet", "Says hello at once", greet,
         R"({"type": "object", "properties": {"name": {"type": "string"}}})"},
    Tool{"slow_compute", "Takes so many seconds", compute,
         R"({"type": "object", "properties": {"seconds": {"type": "number"},
             "label": {"type": "string"}}})"},
    Tool{.name = "failing_job",
         .description = "Fails after a while",
         .run = fail_as_tool,
         .only_as_task = true},
    Tool{"protocol_error_job", "Breaks after a while", fail_as_call},
    Tool{"confirm_delete", "Asks while it runs", confirm,
         R"({"type": "object", "properties": {"filename": {"type": "string"}}})"},
    Tool{"multi_input", "Asks two things while it runs", two_questions},
    Tool{.name = "test_tool_with_task",
         .description = "Asks, and then runs",
         .run = question_then_task,
         .only_as_task = true},
};

}  // namespace

std::vector<json::object> slow_tools() {
    std::vector<json::object> out;
    for (const Tool& tool : kTools) {
        out.push_back({{"name", tool.name},
                       {"description", tool.description},
                       {"inputSchema", json::parse(tool.schema)}});
    }
    return out;
}

std::optional<Answer> call_slow_tool(std::string_view name, const json::object& arguments,
                                     Exchange& exchange) {
    const auto tool = std::ranges::find(kTools, name, &Tool::name);
    if (tool == kTools.end()) return std::nullopt;
    return tool->run(arguments, exchange);
}

bool is_only_as_task(std::string_view name) {
    const auto tool = std::ranges::find(kTools, name, &Tool::name);
    return tool != kTools.end() && tool->only_as_task;
}

}  // namespace agent::mcp::conformance
