#include <fmt/format.h>

#include <array>
#include <chrono>
#include <thread>

#include "agent/mcp/conformance/fixture.h"
#include "agent/mcp/conformance/media.h"
#include "agent/mcp/conformance/slow_tools.h"

namespace agent::mcp::conformance {
namespace {

using base::Code;
using base::Result;
using std::chrono::milliseconds;

json::object text_block(std::string_view text) {
    return {{"type", "text"}, {"text", text}};
}
json::object image_block() {
    return {{"type", "image"}, {"data", kPng}, {"mimeType", "image/png"}};
}
json::object answer(json::array content) {
    return {{"content", std::move(content)}};
}
json::object say(std::string_view text) {
    return answer({text_block(text)});
}

/// Between two things a client is to see one after the other.
void pause() {
    std::this_thread::sleep_for(milliseconds(50));
}

json::object form(json::object properties) {
    json::array required;
    for (const auto& [name, property] : properties) required.emplace_back(name);
    return {{"type", "object"},
            {"properties", std::move(properties)},
            {"required", std::move(required)}};
}
json::object ask_form(std::string_view message, json::object schema) {
    return {{"method", "elicitation/create"},
            {"params", json::object{{"message", message}, {"requestedSchema", std::move(schema)}}}};
}
json::object ask_model(std::string_view prompt, int tokens) {
    json::object message{{"role", "user"}, {"content", text_block(prompt)}};
    return {{"method", "sampling/createMessage"},
            {"params",
             json::object{{"messages", json::array{std::move(message)}}, {"maxTokens", tokens}}}};
}
json::object ask_roots() {
    return {{"method", "roots/list"}, {"params", json::object()}};
}
json::object a_text() {
    return {{"type", "string"}};
}

/// What the client filled in; null unless it accepted with an object.
const json::object* filled(const Exchange& exchange, std::string_view name) {
    const json::value* input = exchange.inputs().if_contains(name);
    const json::object* form = input != nullptr ? input->if_object() : nullptr;
    if (form == nullptr) return nullptr;
    const json::value* content = form->if_contains("content");
    return content != nullptr ? content->if_object() : nullptr;
}
const json::object* object_at(const Exchange& exchange, std::string_view name) {
    const json::value* input = exchange.inputs().if_contains(name);
    return input != nullptr ? input->if_object() : nullptr;
}
/// Everything asked for was answered with an object.
bool all_there(const Exchange& exchange, const json::object& inputs) {
    for (const auto& [name, input] : inputs) {
        if (object_at(exchange, name) == nullptr) return false;
    }
    return true;
}
std::string text_of(const json::object& arguments, std::string_view name) {
    const json::value* value = arguments.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

using Arguments = const json::object&;

Outcome with_logging(Arguments, Exchange& exchange) {
    exchange.log(LogLevel::info, "", "Tool execution started");
    pause();
    exchange.log(LogLevel::info, "", "Tool processing data");
    pause();
    exchange.log(LogLevel::info, "", "Tool execution completed");
    return say("logged three times");
}

Outcome with_progress(Arguments, Exchange& exchange) {
    for (const int done : {0, 50, 100}) {
        if (done > 0) pause();
        exchange.progress(done, 100, "");
    }
    return say("made progress three times");
}

Outcome streaming(Arguments, Exchange& exchange) {
    exchange.progress(50, 100, "");
    return say("Streaming complete");
}

Outcome reconnection(Arguments, Exchange& exchange) {
    exchange.let_go();
    pause();
    pause();
    return say("the client came back for this");
}

Outcome error(Arguments, Exchange&) {
    json::object out = say("This tool intentionally returns an error for testing");
    out["isError"] = true;
    return out;
}

Outcome embedded(Arguments, Exchange&) {
    return answer({json::object{
        {"type", "resource"},
        {"resource", json::object{{"uri", "test://embedded-resource"},
                                  {"mimeType", "text/plain"},
                                  {"text", "This is an embedded resource content."}}}}});
}

Outcome mixed(Arguments, Exchange&) {
    return answer(
        {text_block("Multiple content types test:"), image_block(),
         json::object{{"type", "resource"},
                      {"resource", json::object{{"uri", "test://mixed-content-resource"},
                                                {"mimeType", "application/json"},
                                                {"text", R"({"test":"data","value":123})"}}}}});
}

Outcome sampling(Arguments arguments, Exchange& exchange) {
    const json::object* reply = object_at(exchange, "reply");
    if (reply == nullptr) {
        return Needed{{{"reply", ask_model(text_of(arguments, "prompt"), 100)}}, nullptr};
    }
    const json::value* content = reply->if_contains("content");
    const json::object* block = content != nullptr ? content->if_object() : nullptr;
    return say("LLM response: " + (block != nullptr ? text_of(*block, "text") : ""));
}

/// A form, and what came of it in words.
Outcome one_form(std::string_view message, json::object schema, std::string_view begin,
                 Exchange& exchange) {
    const json::object* reply = object_at(exchange, "reply");
    if (reply == nullptr) return Needed{{{"reply", ask_form(message, std::move(schema))}}, nullptr};
    const json::value* content = reply->if_contains("content");
    return say(fmt::format("{}action={}, content={}", begin, text_of(*reply, "action"),
                           content != nullptr ? base::to_text(*content) : "{}"));
}

Outcome elicitation(Arguments arguments, Exchange& exchange) {
    json::object name = a_text(), mail = a_text();
    name["description"] = "User's response";
    mail["description"] = "User's email address";
    return one_form(text_of(arguments, "message"), form({{"username", name}, {"email", mail}}),
                    "User response: ", exchange);
}

Outcome form_defaults(Arguments, Exchange& exchange) {
    const json::value properties = json::parse(R"({
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true}})");
    return one_form("Please review your data", {{"type", "object"}, {"properties", properties}},
                    "Elicitation completed: ", exchange);
}

Outcome form_enums(Arguments, Exchange& exchange) {
    const json::value properties = json::parse(R"({
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": [
            {"const": "value1", "title": "First Option"}, {"const": "value2", "title": "Second Option"},
            {"const": "value3", "title": "Third Option"}]},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array",
            "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": [
            {"const": "value1", "title": "First Choice"}, {"const": "value2", "title": "Second Choice"},
            {"const": "value3", "title": "Third Choice"}]}}})");
    return one_form("Please choose", {{"type", "object"}, {"properties", properties}},
                    "Elicitation completed: ", exchange);
}

Outcome needs_name(Arguments, Exchange& exchange) {
    const json::object* content = filled(exchange, "user_name");
    const json::value* name = content != nullptr ? content->if_contains("name") : nullptr;
    if (name == nullptr || !name->is_string()) {
        return Needed{{{"user_name", ask_form("What is your name?", form({{"name", a_text()}}))}},
                      nullptr};
    }
    return say(fmt::format("Hello, {}!", std::string(name->get_string())));
}

/// Asks for all of `inputs` and says `done` when they are there.
Outcome once_answered(json::object inputs, json::value state, std::string_view done,
                      Exchange& exchange) {
    if (all_there(exchange, inputs)) return say(done);
    return Needed{std::move(inputs), std::move(state)};
}

Outcome needs_model(Arguments, Exchange& exchange) {
    return once_answered({{"capital_question", ask_model("What is the capital of France?", 100)}},
                         nullptr, "the model has answered", exchange);
}
Outcome needs_roots(Arguments, Exchange& exchange) {
    return once_answered({{"client_roots", ask_roots()}}, nullptr, "the roots are known", exchange);
}
Outcome needs_state(Arguments, Exchange& exchange) {
    json::object inputs{
        {"confirm", ask_form("Please confirm", form({{"ok", json::object{{"type", "boolean"}}}}))}};
    if (exchange.state().is_null()) return Needed{std::move(inputs), "first"};
    return once_answered(std::move(inputs), "first", "state-ok", exchange);
}
Outcome needs_three(Arguments, Exchange& exchange) {
    return once_answered({{"user_name", ask_form("What is your name?", form({{"name", a_text()}}))},
                          {"greeting", ask_model("Generate a greeting", 50)},
                          {"client_roots", ask_roots()}},
                         "three", "all three are there", exchange);
}
Outcome needs_rounds(Arguments, Exchange& exchange) {
    const bool second = exchange.state().is_object();
    if (second && filled(exchange, "step2") != nullptr) {
        return say(fmt::format("{} and {}", base::to_text(exchange.state()),
                               base::to_text(*filled(exchange, "step2"))));
    }
    if (exchange.state().is_string() && filled(exchange, "step1") != nullptr) {
        return Needed{{{"step2", ask_form("Step 2: What is your favorite color?",
                                          form({{"color", a_text()}}))}},
                      *filled(exchange, "step1")};
    }
    return Needed{{{"step1", ask_form("Step 1: What is your name?", form({{"name", a_text()}}))}},
                  "first"};
}
Outcome needs_supported(Arguments, Exchange& exchange) {
    json::object inputs;
    if (exchange.can("sampling/createMessage")) inputs["model"] = ask_model("Say hello", 20);
    if (exchange.can("elicitation/create")) {
        inputs["person"] = ask_form("Say hello", form({{"hello", a_text()}}));
    }
    return once_answered(std::move(inputs), "asked", "hello", exchange);
}
Outcome needs_sampling(Arguments, Exchange& exchange) {
    return once_answered({{"model", ask_model("Say hello", 20)}}, nullptr, "hello", exchange);
}

constexpr std::string_view kNoArguments = R"({"type": "object", "properties": {}})";
constexpr std::string_view kFullSchema = R"({
    "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object",
        "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"}, "email": {"type": "string"}},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]}, "else": {"required": ["email"]},
    "additionalProperties": false})";

struct Tool {
    std::string_view name, description;
    Outcome (*run)(Arguments, Exchange&);
    std::string_view schema = kNoArguments;
};

constexpr std::array kTools{
    Tool{"test_simple_text", "Answers a text",
         [](Arguments, Exchange&) -> Outcome {
             return say("This is a simple text response for testing.");
         }},
    Tool{"test_image_content", "Answers a picture",
         [](Arguments, Exchange&) -> Outcome { return answer({image_block()}); }},
    Tool{"test_audio_content", "Answers a sound",
         [](Arguments, Exchange&) -> Outcome {
             return answer(
                 {json::object{{"type", "audio"}, {"data", kWav}, {"mimeType", "audio/wav"}}});
         }},
    Tool{"test_embedded_resource", "Answers a resource", embedded},
    Tool{"test_multiple_content_types", "Answers several kinds of content", mixed},
    Tool{"test_tool_with_logging", "Logs while it runs", with_logging},
    Tool{"test_logging_tool", "Logs while it runs", with_logging},
    Tool{"test_tool_with_progress", "Tells its progress", with_progress},
    Tool{"test_streaming_elicitation", "Says something before its answer", streaming},
    Tool{"test_error_handling", "Fails", error},
    Tool{"test_reconnection", "Lets the client's connection go", reconnection},
    Tool{
        "test_sampling", "Asks the client's model", sampling,
        R"({"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]})"},
    Tool{
        "test_elicitation", "Asks the client's user", elicitation,
        R"({"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]})"},
    Tool{"test_elicitation_sep1034_defaults", "Asks with defaults", form_defaults},
    Tool{"test_elicitation_sep1330_enums", "Asks with every kind of choice", form_enums},
    Tool{"json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features",
         [](Arguments, Exchange&) -> Outcome { return say("done"); }, kFullSchema},
    Tool{
        "test_custom_header", "Has an argument that is a header, too",
        [](Arguments, Exchange&) -> Outcome { return say("done"); },
        R"({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
             "required": ["region"]})"},
    Tool{"test_missing_capability", "Cannot end without sampling", needs_sampling},
    Tool{"test_input_required_result_elicitation", "Needs a name", needs_name},
    Tool{"test_input_required_result_sampling", "Needs a model's answer", needs_model},
    Tool{"test_input_required_result_list_roots", "Needs the roots", needs_roots},
    Tool{"test_input_required_result_request_state", "Needs a state", needs_state},
    Tool{"test_input_required_result_tampered_state", "Needs its state unchanged", needs_state},
    Tool{"test_input_required_result_multiple_inputs", "Needs three things", needs_three},
    Tool{"test_input_required_result_multi_round", "Needs two rounds", needs_rounds},
    Tool{"test_input_required_result_capabilities", "Needs what there is", needs_supported},
};

constexpr std::string_view kToolChange = "test_trigger_tool_change";
constexpr std::string_view kPromptChange = "test_trigger_prompt_change";

json::object listed(std::string_view name, std::string_view description, std::string_view schema) {
    return {{"name", name}, {"description", description}, {"inputSchema", json::parse(schema)}};
}

}  // namespace

std::vector<json::object> FixtureTools::list(const Caller&) const {
    std::vector<json::object> out;
    for (const Tool& tool : kTools) out.push_back(listed(tool.name, tool.description, tool.schema));
    for (json::object& tool : slow_tools()) out.push_back(std::move(tool));
    out.push_back(listed(kToolChange, "Says that the tools changed", kNoArguments));
    out.push_back(listed(kPromptChange, "Says that the prompts changed", kNoArguments));
    return out;
}

Result<Outcome> FixtureTools::call(std::string_view name, const json::object& arguments,
                                   Exchange& exchange) {
    if (name == kToolChange || name == kPromptChange) {
        changed_(
            {.kind = name == kToolChange ? Change::Kind::tools : Change::Kind::prompts, .uri = {}});
        return say("Mutation triggered");
    }
    for (const Tool& tool : kTools) {
        if (tool.name == name) return tool.run(arguments, exchange);
    }
    if (auto answer = call_slow_tool(name, arguments, exchange)) return *std::move(answer);
    return base::fail(Code::not_found, "there is no tool '{}'", name);
}

bool FixtureTools::only_as_task(std::string_view name) const {
    return is_only_as_task(name);
}

}  // namespace agent::mcp::conformance
