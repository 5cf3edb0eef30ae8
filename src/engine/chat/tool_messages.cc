#include "engine/chat/tool_messages.h"

#include "engine/chat/render_calls.h"

namespace engine::chat {
namespace {

namespace json = base::json;

std::string_view role_of(const json::value& message) {
    const json::object* object = message.if_object();
    const json::value* role = object ? object->if_contains("role") : nullptr;
    return role != nullptr && role->is_string() ? std::string_view(role->get_string())
                                                : std::string_view();
}

/// A text, or the texts of a list of parts.
std::string text_of(const json::object& message) {
    const json::value* content = message.if_contains("content");
    if (content == nullptr) return {};
    if (content->is_string()) return std::string(content->get_string());
    std::string text;
    const json::array* parts = content->if_array();
    for (std::size_t i = 0; parts != nullptr && i < parts->size(); ++i) {
        const json::object* part = (*parts)[i].if_object();
        const json::value* piece = part ? part->if_contains("text") : nullptr;
        if (piece != nullptr && piece->is_string()) text += std::string(piece->get_string());
    }
    return text;
}

void add_text(json::object& message, const std::string& text, bool in_front) {
    json::value& content = message["content"];
    if (json::array* parts = content.if_array()) {
        const json::object part{{"type", "text"}, {"text", text}};
        parts->insert(in_front ? parts->begin() : parts->end(), part);
        return;
    }
    const std::string before = text_of(message);
    if (before.empty()) {
        content = text;
    } else {
        content = in_front ? text + "\n\n" + before : before + "\n\n" + text;
    }
}

std::string tools_in_words(const ChatFormat& format, const json::value& tools) {
    const PastCall example{"call00001", "function_name", {{"argument_name", "value"}}};
    std::string text =
        "You may call functions. These are the ones there are, one JSON object per "
        "line:\n<tools>\n";
    for (const json::value& tool : tools.as_array()) {
        const json::object* object = tool.if_object();
        const json::value* function = object ? object->if_contains("function") : nullptr;
        text += spaced_json(function != nullptr ? *function : tool) + "\n";
    }
    return text +
           "</tools>\nTo call one, write nothing but the call, in this form, with a function's "
           "name "
           "and its arguments:\n" +
           render_calls(format.calls, {example}, nullptr) +
           "\nThe results come in the next message. Otherwise answer in plain words.";
}

json::object call_arguments(const json::object& function) {
    const json::value* arguments = function.if_contains("arguments");
    if (arguments == nullptr) return {};
    if (arguments->is_object()) return arguments->get_object();
    if (!arguments->is_string()) return {};
    auto parsed = base::parse_json(std::string(arguments->get_string()));
    return parsed && parsed->is_object() ? std::move(parsed->get_object()) : json::object{};
}

std::string member_text(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

/// The calls of an assistant's message as the model would have written them, behind its content.
void calls_into_content(const CallSyntax& syntax, json::object& message) {
    const json::value* listed = message.if_contains("tool_calls");
    if (listed == nullptr || !listed->is_array()) return;
    std::vector<PastCall> calls;
    for (const json::value& call : listed->get_array()) {
        const json::object* object = call.if_object();
        const json::value* function = object ? object->if_contains("function") : nullptr;
        if (function == nullptr || !function->is_object()) continue;
        calls.push_back({member_text(*object, "id"), member_text(function->get_object(), "name"),
                         call_arguments(function->get_object())});
    }
    const std::string text = render_calls(syntax, calls, nullptr);
    const std::string before = text_of(message);
    message["content"] = before.empty() || text.empty() ? before + text : before + "\n" + text;
    message.erase("tool_calls");
}

/// Results of tools as the user's words; those of one round in one message.
void add_result(json::array& out, const json::object& message, bool continues) {
    const std::string text = "<tool_response>\n" + text_of(message) + "\n</tool_response>";
    if (continues && !out.empty()) {
        json::object& last = out.back().as_object();
        last["content"] = text_of(last) + "\n" + text;
    } else {
        out.push_back(json::object{{"role", "user"}, {"content", text}});
    }
}

void tell_tools(json::array& messages, const std::string& words, ToolsPlace place) {
    if (place == ToolsPlace::system_message) {
        if (!messages.empty() && role_of(messages.front()) == "system") {
            add_text(messages.front().as_object(), words, false);
        } else {
            messages.insert(messages.begin(), json::object{{"role", "system"}, {"content", words}});
        }
        return;
    }
    for (json::value& message : messages) {
        if (role_of(message) != "user") continue;
        add_text(message.as_object(), words, true);
        return;
    }
}

}  // namespace

json::array tool_messages(const ChatFormat& format, const json::array& messages,
                          const json::value& tools, ToolsPlace place) {
    json::array out;
    bool after_result = false;
    for (const json::value& message : messages) {
        const bool result = role_of(message) == "tool";
        if (result && !format.template_has_results) {
            add_result(out, message.get_object(), after_result);
        } else {
            out.push_back(message);
            if (role_of(message) == "assistant" && !format.template_has_calls) {
                calls_into_content(format.calls, out.back().as_object());
            }
        }
        after_result = result;
    }
    const json::array* list = tools.if_array();
    if (list != nullptr && !list->empty() && !format.template_has_tools) {
        tell_tools(out, tools_in_words(format, tools), place);
    }
    return out;
}

}  // namespace engine::chat
