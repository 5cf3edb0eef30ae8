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

const json::array* calls_of(const json::value& message) {
    const json::object* object = message.if_object();
    const json::value* calls = object ? object->if_contains("tool_calls") : nullptr;
    return calls != nullptr ? calls->if_array() : nullptr;
}

/// Each call with its result in messages of their own, for templates that show one per message.
json::array one_call_each(const json::array& messages) {
    json::array out;
    for (std::size_t i = 0; i < messages.size();) {
        const json::array* calls = calls_of(messages[i]);
        if (calls == nullptr || calls->size() < 2) {
            out.push_back(messages[i++]);
            continue;
        }
        std::size_t end = i + 1;
        while (end < messages.size() && role_of(messages[end]) == "tool") ++end;
        json::object one = messages[i].get_object();  // what was said stands before the first call
        for (const json::value& call : *calls) {
            one["tool_calls"] = json::array{call};
            out.push_back(one);
            one = {{"role", "assistant"}, {"content", ""}};
            const std::string id = call.is_object() ? member_text(call.get_object(), "id") : "";
            for (std::size_t r = i + 1; r < end; ++r) {
                const json::object& result = messages[r].get_object();
                if (member_text(result, "tool_call_id") == id) out.push_back(result);
            }
        }
        i = end;
    }
    return out;
}

/// What was thought before a call, under the template's own name for it.
void rename_reasoning(const std::string& field, json::array& messages) {
    for (json::value& message : messages) {
        if (calls_of(message) == nullptr || !text_of(message.get_object()).empty()) continue;
        const std::string thought = member_text(message.get_object(), "reasoning_content");
        if (!thought.empty()) message.get_object().emplace(field, thought);
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
    if (format.calls.one_call && format.template_has_calls) out = one_call_each(out);
    if (!format.reasoning.field.empty()) rename_reasoning(format.reasoning.field, out);
    const json::array* list = tools.if_array();
    if (list != nullptr && !list->empty() && !format.template_has_tools) {
        tell_tools(out, tools_in_words(format, tools), place);
    }
    return out;
}

}  // namespace engine::chat
