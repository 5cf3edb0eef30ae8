#include "engine/chat/render_calls.h"

#include "base/json/json_text.h"
#include "engine/chat/keyed_values.h"

namespace engine::chat {
namespace {

namespace json = base::json;

/// `pattern` with `id` where the model would make one up.
std::string filled(const std::string& pattern, const std::string& id) {
    std::string out;
    for (const char c : pattern) {
        if (c == kAnyId) {
            out += id;
        } else {
            out += c;
        }
    }
    return out;
}

std::string python(const json::value& value) {
    if (value.is_null()) return "None";
    if (value.is_bool()) return value.get_bool() ? "True" : "False";
    std::string out;
    if (const json::array* list = value.if_array()) {
        for (const json::value& one : *list) out += (out.empty() ? "" : ", ") + python(one);
        return "[" + out + "]";
    }
    if (const json::object* object = value.if_object()) {
        for (const auto& [key, one] : *object) {
            if (!out.empty()) out += ", ";
            base::append_json_string(out, key);
            out += ": " + python(one);
        }
        return "{" + out + "}";
    }
    return base::to_text(value);
}

std::string parameter(const CallSyntax& syntax, const Tool* tool, std::string_view key,
                      const json::value& value) {
    const json::value* schema = tool ? parameter_schema(*tool, key) : nullptr;
    const bool text = value.is_string() && (schema == nullptr || takes_text_only(schema));
    const auto& middles = syntax.parameter_middles;
    return syntax.parameter_open + std::string(key) + (text ? middles.front() : middles.back()) +
           (text ? std::string(value.get_string()) : spaced_json(value)) + syntax.parameter_close;
}

std::string arguments(const CallSyntax& syntax, const PastCall& call, const ToolSet* tools) {
    const Tool* tool = tools ? tools->find(call.name) : nullptr;
    std::string out;
    switch (syntax.shape) {
        case CallShape::json:
        case CallShape::named_json:
            return spaced_json(call.arguments);
        case CallShape::parameters:
            for (const auto& [key, value] : call.arguments) {
                out += parameter(syntax, tool, key, value);
            }
            break;
        case CallShape::keyed:
            // Without the braces: they belong to the call.
            out = keyed_text(call.arguments, syntax.quote);
            return out.substr(1, out.size() - 2);
        case CallShape::pythonic:
            for (const auto& [key, value] : call.arguments) {
                out += (out.empty() ? "" : ", ") + std::string(key) + "=" + python(value);
            }
            break;
    }
    return out;
}

}  // namespace

std::string spaced_json(const json::value& value) {
    std::string out;
    if (const json::array* list = value.if_array()) {
        for (const json::value& one : *list) out += (out.empty() ? "" : ", ") + spaced_json(one);
        return "[" + out + "]";
    }
    const json::object* object = value.if_object();
    if (object == nullptr) return base::to_text(value);
    for (const auto& [key, one] : *object) {
        if (!out.empty()) out += ", ";
        base::append_json_string(out, key);
        out += ": " + spaced_json(one);
    }
    return "{" + out + "}";
}

std::string render_calls(const CallSyntax& syntax, const std::vector<PastCall>& calls,
                         const ToolSet* tools) {
    if (calls.empty()) return {};
    std::string out = syntax.section_open;
    for (std::size_t i = 0; i < calls.size(); ++i) {
        const PastCall& call = calls[i];
        const std::string id = syntax.short_ids ? call.id : std::to_string(i);
        if (i > 0) out += syntax.separator;
        out += filled(syntax.call_open, id) + call.name + filled(syntax.name_closes.front(), id) +
               arguments(syntax, call, tools) + syntax.call_close;
    }
    return out + syntax.section_close;
}

}  // namespace engine::chat
