#include "gate/message_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "gate/body_reader.h"
#include "gate/field_table.h"

namespace gate {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

/// The text of one content part, or an error that names what it is.
Result<std::string> part_text(const json::value& part, const std::string& path) {
    const json::object* const object = part.if_object();
    const json::value* const type = object != nullptr ? object->if_contains("type") : nullptr;
    if (type == nullptr || !type->is_string()) {
        return fail_on(path, Code::invalid_argument,
                       "'{}' must be an object such as {{\"type\": \"text\", \"text\": \"...\"}}",
                       path);
    }
    const std::string_view kind = view(type->get_string());
    if (kind != "text" && kind != "refusal") {
        return fail_on(path, Code::unimplemented,
                       "'{}' has type '{}'; the models served here take text parts only", path,
                       kind.substr(0, 40));
    }
    const json::value* const text = object->if_contains(kind);
    if (text == nullptr || !text->is_string()) {
        return fail_on(path, Code::invalid_argument, "'{}.{}' must be a string", path, kind);
    }
    return std::string(view(text->get_string()));
}

/// Templates expect a string: parts are joined, null (an assistant that only called tools) is "".
/// Null only where it may be absent: templates tell "no words, only a tool call" from "".
Result<json::value> message_content(const json::object& message, const std::string& path) {
    const json::value* const content = find(message, "content");
    if (content == nullptr) {
        if (find(message, "tool_calls") != nullptr || find(message, "refusal") != nullptr) {
            return json::value();
        }
        return fail_on(path + ".content", Code::failed_precondition, "'{}.content' is missing",
                       path);
    }
    if (content->is_string()) return *content;
    const json::array* const parts = content->if_array();
    if (parts == nullptr) {
        return fail_on(path + ".content", Code::invalid_argument,
                       "'{}.content' must be a string or an array of parts, not {}", path,
                       describe_types(type_of(*content)));
    }
    std::string joined;
    for (std::size_t i = 0; i < parts->size(); ++i) {
        joined += DG_TRY(part_text((*parts)[i], fmt::format("{}.content[{}]", path, i)));
    }
    return json::value(joined);
}

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};
// Passed to the template beside role and content.
constexpr std::array<std::string_view, 4> kMessageTexts = {"name", "tool_call_id",
                                                           "reasoning_content", "thinking"};
// Part of what clients send back when they repeat an answer.
constexpr std::array<std::string_view, 7> kMessageIgnored = {
    "role", "content", "refusal", "annotations", "audio", "function_call", "parsed"};

/// {"id", "type": "function", "function": {"name", "arguments"}}, as an answer had it.
Result<json::object> parse_call(const json::value& value, const std::string& path) {
    const json::object* const call = value.if_object();
    if (call == nullptr) {
        return fail_on(path, Code::invalid_argument,
                       "'{}' must be an object with id, type and function", path);
    }
    DG_TRY(only_fields(*call, path, {"id", "type", "function", "index"}));
    const json::value* const type = find(*call, "type");
    if (type != nullptr && (!type->is_string() || type->get_string() != "function")) {
        return fail_on(path + ".type", Code::unimplemented,
                       "'{}.type' must be \"function\"; other tools are not supported", path);
    }
    const json::value* const function = find(*call, "function");
    if (function == nullptr || !function->is_object()) {
        return fail_on(path + ".function", Code::failed_precondition,
                       "'{}.function' must be an object with name and arguments", path);
    }
    const std::string inner = path + ".function";
    DG_TRY(only_fields(function->get_object(), inner, {"name", "arguments", "parsed_arguments"}));
    const std::string_view id = DG_TRY(required_text(*call, "id", path));
    const std::string_view name = DG_TRY(required_text(function->get_object(), "name", inner));
    const std::string_view arguments =
        DG_TRY(required_text(function->get_object(), "arguments", inner));
    return json::object{{"id", id},
                        {"type", "function"},
                        {"function", json::object{{"name", name}, {"arguments", arguments}}}};
}

Result<json::array> parse_calls(const json::object& message, const std::string& path) {
    const std::string at = path + ".tool_calls";
    const json::value& value = message.at("tool_calls");
    if (!value.is_array() || value.get_array().empty()) {
        return fail_on(at, Code::invalid_argument,
                       "'{}' must be an array with at least one call; leave it out otherwise", at);
    }
    json::array calls;
    for (std::size_t i = 0; i < value.get_array().size(); ++i) {
        calls.push_back(DG_TRY(parse_call(value.get_array()[i], fmt::format("{}[{}]", at, i))));
    }
    return calls;
}

Result<json::object> parse_message(const json::value& value, const std::string& path) {
    const json::object* const message = value.if_object();
    if (message == nullptr) {
        return fail_on(path, Code::invalid_argument, "'{}' must be an object with role and content",
                       path);
    }
    const json::value* const role = message->if_contains("role");
    const std::string_view name =
        role != nullptr && role->is_string() ? view(role->get_string()) : std::string_view();
    if (std::ranges::find(kRoles, name) == kRoles.end()) {
        return fail_on(path + ".role", Code::invalid_argument,
                       "'{}.role' must be one of system, developer, user, assistant, tool", path);
    }
    json::object out;
    // OpenAI renamed the role; the templates of open models know the old name only.
    out["role"] = name == "developer" ? "system" : name;
    out["content"] = DG_TRY(message_content(*message, path));
    for (const auto& entry : *message) {
        const std::string_view key(entry.key().data(), entry.key().size());
        if (key == "tool_calls") {
            if (!entry.value().is_null()) out[key] = DG_TRY(parse_calls(*message, path));
        } else if (std::ranges::find(kMessageTexts, key) != kMessageTexts.end()) {
            if (!entry.value().is_null()) out[key] = DG_TRY(required_text(*message, key, path));
        } else if (std::ranges::find(kMessageIgnored, key) == kMessageIgnored.end()) {
            return fail_on(fmt::format("{}.{}", path, key.substr(0, 100)), Code::not_found,
                           "'{}.{}' is not a field of a message; remove it", path,
                           key.substr(0, 100));
        }
    }
    if (out.contains("tool_calls") && name != "assistant") {
        return fail_on(path + ".tool_calls", Code::invalid_argument,
                       "'{}.tool_calls' belongs to a message of role assistant, not {}", path,
                       name);
    }
    if (name == "tool" && !out.contains("tool_call_id")) {
        return fail_on(path + ".tool_call_id", Code::failed_precondition,
                       "'{}.tool_call_id' is missing; give the id of the call it answers", path);
    }
    return out;
}

/// The calls that may be answered now: those of the last assistant message.
class OpenCalls {
public:
    Result<void> take(const json::object& message, const std::string& path) {
        const json::string& role = message.at("role").get_string();
        if (role == "tool") return answer(message.at("tool_call_id").get_string(), path);
        ids_.clear();
        const json::value* const calls = message.if_contains("tool_calls");
        if (calls == nullptr) return {};
        for (std::size_t i = 0; i < calls->get_array().size(); ++i) {
            const json::string& id = calls->get_array()[i].at("id").get_string();
            if (ids_.insert(std::string(view(id))).second) continue;
            const std::string at = fmt::format("{}.tool_calls[{}].id", path, i);
            return fail_on(at, Code::invalid_argument,
                           "'{}' is '{}', which another call of the message has", at,
                           view(id).substr(0, 100));
        }
        return {};
    }

private:
    Result<void> answer(const json::string& id, const std::string& path) {
        if (ids_.erase(std::string(view(id))) > 0) return {};
        const std::string at = path + ".tool_call_id";
        return fail_on(at, Code::invalid_argument,
                       "'{}' is '{}', which is no unanswered call of the assistant message before "
                       "it",
                       at, view(id).substr(0, 100));
    }

    std::set<std::string> ids_;
};

}  // namespace

Result<json::array> parse_messages(const json::array& messages, const std::string& path) {
    if (messages.empty()) {
        return fail_on(path, Code::invalid_argument, "'{}' is empty; send at least one message",
                       path);
    }
    json::array checked;
    OpenCalls calls;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const std::string at = fmt::format("{}[{}]", path, i);
        json::object message = DG_TRY(parse_message(messages[i], at));
        DG_TRY(calls.take(message, at));
        checked.push_back(std::move(message));
    }
    return checked;
}

}  // namespace gate
