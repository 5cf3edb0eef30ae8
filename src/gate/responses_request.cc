// /v1/responses: items in, chat messages out.
#include <fmt/format.h>

#include <algorithm>

#include "gate/body_reader.h"
#include "gate/field_table.h"
#include "gate/generation_fields.h"
#include "gate/request_parser.h"
#include "gate/tool_fields.h"

namespace gate {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

/// Content of a message or output of a call: a string, or text parts.
Result<std::string> content_text(const json::object& item, std::string_view name,
                                 const std::string& path) {
    const json::value* const content = find(item, name);
    const std::string at = fmt::format("{}.{}", path, name);
    if (content == nullptr) {
        return fail_on(at, Code::failed_precondition, "'{}' is missing", at);
    }
    if (content->is_string()) return std::string(view(content->get_string()));
    if (!content->is_array()) {
        return fail_on(at, Code::invalid_argument, "'{}' must be a string or an array of parts",
                       at);
    }
    std::string joined;
    for (std::size_t i = 0; i < content->get_array().size(); ++i) {
        const std::string part_path = fmt::format("{}[{}]", at, i);
        const json::object* const part = content->get_array()[i].if_object();
        if (part == nullptr) {
            return fail_on(part_path, Code::invalid_argument, "'{}' must be an object", part_path);
        }
        const std::string_view type = DG_TRY(required_text(*part, "type", part_path));
        if (type == "refusal") {
            joined += DG_TRY(required_text(*part, "refusal", part_path));
        } else if (type == "input_text" || type == "output_text" || type == "text" ||
                   type == "reasoning_text" || type == "summary_text") {
            joined += DG_TRY(required_text(*part, "text", part_path));
        } else {
            return fail_on(part_path, Code::unimplemented,
                           "'{}' has type '{}'; the models served here take text parts only",
                           part_path, type.substr(0, 100));
        }
    }
    return joined;
}

/// Turns items into messages one after another: what the assistant thought, said and called
/// between two others is one message.
class Conversation {
public:
    Result<void> add(const json::object& item, const std::string& path) {
        if (find(item, "type") == nullptr) return add_message(item, path);
        const std::string_view type = DG_TRY(required_text(item, "type", path));
        if (type == "message") return add_message(item, path);
        if (type == "function_call") return add_call(item, path);
        if (type == "function_call_output") return add_output(item, path);
        if (type == "reasoning") return add_reasoning(item, path);
        return fail_on(path + ".type", Code::unimplemented,
                       "'{}.type' is '{}'; items may be message, function_call, "
                       "function_call_output and reasoning",
                       path, type.substr(0, 100));
    }
    json::array take() { return std::move(messages_); }

private:
    json::object& assistant() {
        if (!messages_.empty()) {
            json::object& last = messages_.back().get_object();
            if (last.at("role").get_string() == "assistant") return last;
        }
        messages_.push_back(json::object{{"role", "assistant"}, {"content", nullptr}});
        return messages_.back().get_object();
    }

    Result<void> add_message(const json::object& item, const std::string& path) {
        const std::string_view role = DG_TRY(required_text(item, "role", path));
        if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
            return fail_on(path + ".role", Code::invalid_argument,
                           "'{}.role' must be one of user, assistant, system, developer", path);
        }
        const std::string text = DG_TRY(content_text(item, "content", path));
        if (role != "assistant") {
            messages_.push_back(
                json::object{{"role", role == "developer" ? "system" : role}, {"content", text}});
            return {};
        }
        json::object* message = &assistant();
        if (message->contains("tool_calls") || message->at("content").is_string()) {
            messages_.push_back(json::object{{"role", "assistant"}, {"content", nullptr}});
            message = &messages_.back().get_object();
        }
        (*message)["content"] = text;
        return {};
    }

    Result<void> add_call(const json::object& item, const std::string& path) {
        const std::string_view id = DG_TRY(required_text(item, "call_id", path));
        const std::string_view name = DG_TRY(required_text(item, "name", path));
        const std::string_view arguments = DG_TRY(required_text(item, "arguments", path));
        json::value& calls = assistant()["tool_calls"];
        if (!calls.is_array()) calls = json::array{};
        calls.get_array().push_back(
            json::object{{"id", id},
                         {"type", "function"},
                         {"function", json::object{{"name", name}, {"arguments", arguments}}}});
        return {};
    }

    Result<void> add_output(const json::object& item, const std::string& path) {
        const std::string_view id = DG_TRY(required_text(item, "call_id", path));
        const std::string text = DG_TRY(content_text(item, "output", path));
        messages_.push_back(
            json::object{{"role", "tool"}, {"content", text}, {"tool_call_id", id}});
        return {};
    }

    Result<void> add_reasoning(const json::object& item, const std::string& path) {
        std::string text;
        for (const std::string_view name : {"content", "summary"}) {
            const json::value* const parts = find(item, name);
            if (!text.empty() || parts == nullptr) continue;
            text = DG_TRY(content_text(item, name, path));
        }
        // Reasoning opens what the assistant says next.
        if (!text.empty()) {
            messages_.push_back(json::object{
                {"role", "assistant"}, {"content", nullptr}, {"reasoning_content", text}});
        }
        return {};
    }

    json::array messages_;
};

Result<void> read_input(const json::value& input, GenerationCall& call) {
    ResponseFields& fields = *call.response;
    if (input.is_string()) {
        fields.input_items.push_back(json::object{
            {"id", "item_0"},
            {"type", "message"},
            {"role", "user"},
            {"content",
             json::array{json::object{{"type", "input_text"}, {"text", input.get_string()}}}}});
        call.prompts.push_back(Prompt{
            json::array{json::object{{"role", "user"}, {"content", input.get_string()}}}, {}, {}});
        return {};
    }
    const json::array& items = input.get_array();
    if (items.empty()) {
        return fail_on("input", Code::invalid_argument, "'input' is empty; send a text or items");
    }
    Conversation conversation;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const std::string path = fmt::format("input[{}]", i);
        if (!items[i].is_object()) {
            return fail_on(path, Code::invalid_argument, "'{}' must be an object", path);
        }
        DG_TRY(conversation.add(items[i].get_object(), path));
        json::object shown = items[i].get_object();
        if (find(shown, "id") == nullptr) shown["id"] = fmt::format("item_{}", i);
        if (find(shown, "type") == nullptr) shown["type"] = "message";
        fields.input_items.push_back(std::move(shown));
    }
    call.prompts.push_back(Prompt{conversation.take(), {}, {}});
    return {};
}

Result<void> read_text(const json::object& body, GenerationRequest& request) {
    const json::value* const field = find(body, "text");
    if (field == nullptr) return {};
    DG_TRY(only_fields(field->get_object(), "text", {"format", "verbosity"}));
    const json::value* const format = find(field->get_object(), "format");
    if (format == nullptr) return {};
    if (!format->is_object()) {
        return fail_on("text.format", Code::invalid_argument, "'text.format' must be an object");
    }
    AnswerFormat wanted = DG_TRY(parse_format(format->get_object(), "text.format", false));
    if (wanted.kind == AnswerFormat::Kind::text) return {};
    if (request.format.kind != AnswerFormat::Kind::text) {
        return fail_on("text.format", Code::invalid_argument,
                       "'text.format' and a guided field both say what the answer looks like; "
                       "leave one out");
    }
    request.format = std::move(wanted);
    return {};
}

Result<void> read_response_reasoning(const json::object& body, GenerationRequest& request) {
    const json::value* const field = find(body, "reasoning");
    if (field == nullptr) return {};
    const json::object& reasoning = field->get_object();
    DG_TRY(only_fields(reasoning, "reasoning",
                       {"effort", "summary", "generate_summary", "context", "mode"}));
    if (find(reasoning, "effort") == nullptr) return {};
    const std::string_view effort = DG_TRY(required_text(reasoning, "effort", "reasoning"));
    return set_effort(effort, "reasoning.effort", request);
}

Result<void> read_include(const json::object& body, GenerationRequest& request) {
    if (const auto top = integer(body, "top_logprobs")) {
        request.top_logprobs = static_cast<std::uint32_t>(*top);
    }
    const json::value* const include = find(body, "include");
    if (include == nullptr) return {};
    for (std::size_t i = 0; i < include->get_array().size(); ++i) {
        const json::value& entry = include->get_array()[i];
        const std::string_view name =
            entry.is_string() ? view(entry.get_string()) : std::string_view();
        if (name == "message.output_text.logprobs") {
            request.top_logprobs = request.top_logprobs.value_or(0);
        } else if (name != "reasoning.encrypted_content") {
            return fail_on(fmt::format("include[{}]", i), Code::unimplemented,
                           "'include[{}]' is {}; only message.output_text.logprobs can be added", i,
                           base::to_text(entry).substr(0, 100));
        }
    }
    return {};
}

/// What OpenAI's response objects repeat, with the defaults they show.
json::object echo_of(const json::object& body) {
    const json::object defaults{
        {"instructions", nullptr},
        {"max_output_tokens", nullptr},
        {"metadata", json::object{}},
        {"parallel_tool_calls", true},
        {"previous_response_id", nullptr},
        {"reasoning", json::object{{"effort", nullptr}, {"summary", nullptr}}},
        {"store", true},
        {"background", false},
        {"temperature", 1.0},
        {"text", json::object{{"format", json::object{{"type", "text"}}}}},
        {"tool_choice", "auto"},
        {"tools", json::array{}},
        {"top_logprobs", 0},
        {"top_p", 1.0},
        {"truncation", "disabled"}};
    json::object echo;
    for (const auto& entry : defaults) {
        const json::value* const given = find(body, entry.key());
        echo[entry.key()] = given != nullptr ? *given : entry.value();
    }
    return echo;
}

}  // namespace

Result<GenerationCall> parse_responses_request(std::string_view body_text,
                                               const ParseLimits& limits) {
    const json::object body = DG_TRY(parse_object(body_text));
    DG_TRY(check_fields(body, responses_fields()));
    GenerationCall call = DG_TRY(parse_shared(body, limits));
    call.api = Api::responses;
    ResponseFields& fields = call.response.emplace();
    fields.previous_id = text(body, "previous_response_id");
    fields.instructions = text(body, "instructions");
    fields.store = flag(body, "store", true);
    fields.background = flag(body, "background");
    if (fields.background && !fields.store) {
        return fail_on("background", Code::invalid_argument,
                       "'background' needs \"store\": true: there is no other way to the response");
    }
    DG_TRY(read_overflow(body, "truncation", "disabled", "auto", call.request));
    DG_TRY(read_input(body.at("input"), call));
    ToolFields tools = DG_TRY(parse_tools(body, ToolShape::flat));
    call.request.tools = std::move(tools.tools);
    call.request.tool_choice = std::move(tools.choice);
    call.request.format = DG_TRY(parse_answer_format(body));
    DG_TRY(read_text(body, call.request));
    if (const json::value* const extra = find(body, "chat_template_kwargs")) {
        call.request.template_extra = extra->get_object();
    }
    DG_TRY(read_response_reasoning(body, call.request));
    DG_TRY(read_include(body, call.request));
    call.request.max_tokens =
        static_cast<std::uint32_t>(integer(body, "max_output_tokens").value_or(0));
    call.resumable = call.stream && (call.resumable || fields.background);
    fields.echo = echo_of(body);
    return call;
}

}  // namespace gate
