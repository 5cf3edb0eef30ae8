#include "engine/chat/chat_prompt.h"

namespace engine {
namespace {

namespace json = base::json;

/// True when `holder.arguments` was text and is an object now.
bool parse_arguments(json::object& holder) {
    json::value* const arguments = holder.if_contains("arguments");
    if (arguments == nullptr || !arguments->is_string()) return false;
    auto parsed = base::parse_json(std::string(arguments->get_string()));
    if (!parsed || !parsed->is_object()) return false;
    *arguments = std::move(*parsed);
    return true;
}

bool parse_call(json::value& call) {
    if (!call.is_object()) return false;
    json::value* const function = call.get_object().if_contains("function");
    return parse_arguments(function != nullptr && function->is_object() ? function->get_object()
                                                                        : call.get_object());
}

/// Calls `change` with each message that is an object; true when any call was.
template <class Change>
bool change_messages(json::object& variables, Change change) {
    json::value* const messages = variables.if_contains("messages");
    if (messages == nullptr || !messages->is_array()) return false;
    bool changed = false;
    for (json::value& message : messages->get_array()) {
        if (message.is_object()) changed |= change(message.get_object());
    }
    return changed;
}

bool parse_calls(json::object& message) {
    json::value* const calls = message.if_contains("tool_calls");
    if (calls == nullptr || !calls->is_array()) return false;
    bool changed = false;
    for (json::value& call : calls->get_array()) changed |= parse_call(call);
    return changed;
}

bool fill_content(json::object& message) {
    json::value* const content = message.if_contains("content");
    if (content == nullptr || !content->is_null()) return false;
    *content = "";
    return true;
}

/// Arguments as objects, then as they came.
base::Result<std::string> render_either(const base::Template& chat_template,
                                        const json::object& variables,
                                        const base::RenderOptions& options) {
    json::object with_objects = variables;
    if (change_messages(with_objects, parse_calls)) {
        auto prompt = chat_template.render(with_objects, options);
        if (prompt || prompt.error().code == base::Code::resource_exhausted) return prompt;
    }
    return chat_template.render(variables, options);
}

}  // namespace

base::Result<std::string> render_chat_prompt(const base::Template& chat_template,
                                             json::object variables,
                                             const base::RenderOptions& options) {
    auto prompt = render_either(chat_template, variables, options);
    if (prompt || prompt.error().code == base::Code::resource_exhausted) return prompt;
    if (!change_messages(variables, fill_content)) return prompt;
    return render_either(chat_template, variables, options);
}

}  // namespace engine
