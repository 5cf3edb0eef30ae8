#include <fmt/format.h>

#include "agent/mcp/conformance/fixture.h"
#include "agent/mcp/conformance/media.h"

namespace agent::mcp::conformance {
namespace {

using base::Code;

json::object text_block(std::string_view text) {
    return {{"type", "text"}, {"text", text}};
}
json::object user(json::object content) {
    return {{"role", "user"}, {"content", std::move(content)}};
}
json::object messages(json::array all) {
    return {{"messages", std::move(all)}};
}

json::object prompt(std::string_view name, std::string_view description,
                    std::initializer_list<std::string_view> arguments) {
    json::array all;
    for (const std::string_view argument : arguments) {
        all.emplace_back(
            json::object{{"name", argument}, {"description", "For the test"}, {"required", true}});
    }
    return {{"name", name}, {"description", description}, {"arguments", std::move(all)}};
}

std::string text_of(const json::object& arguments, std::string_view name) {
    const json::value* value = arguments.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

Outcome with_context(Exchange& exchange) {
    const json::value* context = exchange.inputs().if_contains("user_context");
    if (context == nullptr || !context->is_object()) {
        const json::object schema{
            {"type", "object"},
            {"properties", json::object{{"context", json::object{{"type", "string"}}}}},
            {"required", json::array{"context"}}};
        return Needed{
            {{"user_context",
              json::object{
                  {"method", "elicitation/create"},
                  {"params", json::object{{"message", "What context should the prompt use?"},
                                          {"requestedSchema", schema}}}}}},
            nullptr};
    }
    return messages({user(text_block("Context: " + base::to_text(*context)))});
}

}  // namespace

std::vector<json::object> FixturePrompts::list(const Caller&) const {
    return {
        prompt("test_simple_prompt", "A prompt without arguments", {}),
        prompt("test_prompt_with_arguments", "A prompt with arguments", {"arg1", "arg2"}),
        prompt("test_prompt_with_embedded_resource", "A prompt with a resource", {"resourceUri"}),
        prompt("test_prompt_with_image", "A prompt with a picture", {}),
        prompt("test_input_required_result_prompt", "A prompt that needs a form", {})};
}

base::Result<Outcome> FixturePrompts::get(std::string_view name, const json::object& arguments,
                                          Exchange& exchange) {
    const auto text = [&](const char* argument) { return text_of(arguments, argument); };
    if (name == "test_simple_prompt") {
        return messages({user(text_block("This is a simple prompt for testing."))});
    }
    if (name == "test_prompt_with_arguments") {
        return messages({user(text_block(fmt::format("Prompt with arguments: arg1='{}', arg2='{}'",
                                                     text("arg1"), text("arg2"))))});
    }
    if (name == "test_prompt_with_embedded_resource") {
        const json::object resource{{"uri", text("resourceUri")},
                                    {"mimeType", "text/plain"},
                                    {"text", "Embedded resource content for testing."}};
        return messages({user({{"type", "resource"}, {"resource", resource}}),
                         user(text_block("Please process the embedded resource above."))});
    }
    if (name == "test_prompt_with_image") {
        return messages({user({{"type", "image"}, {"data", kPng}, {"mimeType", "image/png"}}),
                         user(text_block("Please analyze the image above."))});
    }
    if (name == "test_input_required_result_prompt") return with_context(exchange);
    return base::fail(Code::not_found, "there is no prompt '{}'", name);
}

base::Result<std::vector<std::string>> FixtureCompletions::complete(const json::object&,
                                                                    std::string_view,
                                                                    std::string_view value,
                                                                    const Caller&) {
    std::vector<std::string> out;
    for (const std::string_view known : {"test", "testing", "value"}) {
        if (known.starts_with(value)) out.emplace_back(known);
    }
    return out;
}

}  // namespace agent::mcp::conformance
