#include "gate/tool_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "gate/body_reader.h"
#include "gate/field_table.h"

namespace gate {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

constexpr std::size_t kNameBytesMax = 64;

Result<void> check_name(std::string_view name, const std::string& path) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    };
    if (!name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, plain)) {
        return {};
    }
    return fail_on(path, Code::invalid_argument,
                   "'{}' is '{}'; a name has 1 to {} letters, digits, '_' or '-'", path,
                   name.substr(0, 100), kNameBytesMax);
}

Result<const json::object*> inner_object(const json::object& outer, std::string_view name,
                                         const std::string& path) {
    const json::value* const value = find(outer, name);
    const std::string at = fmt::format("{}.{}", path, name);
    if (value == nullptr) {
        return fail_on(at, Code::failed_precondition, "'{}' is missing; it is an object", at);
    }
    if (!value->is_object()) {
        return fail_on(at, Code::invalid_argument, "'{}' must be an object, not {}", at,
                       describe_types(type_of(*value)));
    }
    return &value->get_object();
}

Result<json::object> parse_function(const json::object& function, const std::string& path) {
    const std::string_view name = DG_TRY(required_text(function, "name", path));
    DG_TRY(check_name(name, path + ".name"));
    json::object out{{"name", name}};
    if (find(function, "description") != nullptr) {
        out["description"] = DG_TRY(required_text(function, "description", path));
    }
    if (find(function, "parameters") != nullptr) {
        out["parameters"] = *DG_TRY(inner_object(function, "parameters", path));
    }
    if (const json::value* const strict = find(function, "strict")) {
        if (!strict->is_bool()) {
            return fail_on(path + ".strict", Code::invalid_argument,
                           "'{}.strict' must be true or false", path);
        }
        out["strict"] = *strict;
    }
    return out;
}

Result<json::object> parse_tool(const json::value& value, const std::string& path,
                                ToolShape shape) {
    const json::object* const tool = value.if_object();
    if (tool == nullptr) {
        return fail_on(path, Code::invalid_argument,
                       "'{}' must be an object of type \"function\", not {}", path,
                       describe_types(type_of(value)));
    }
    const std::string_view type = DG_TRY(required_text(*tool, "type", path));
    if (type != "function") {
        return fail_on(path + ".type", Code::unimplemented,
                       "'{}.type' is '{}'; only tools of type \"function\" are supported", path,
                       type.substr(0, 100));
    }
    json::object function;
    if (shape == ToolShape::flat) {
        DG_TRY(only_fields(*tool, path, {"type", "name", "description", "parameters", "strict"}));
        function = DG_TRY(parse_function(*tool, path));
    } else {
        DG_TRY(only_fields(*tool, path, {"type", "function"}));
        const std::string inner = path + ".function";
        const json::object& body = *DG_TRY(inner_object(*tool, "function", path));
        DG_TRY(only_fields(body, inner, {"name", "description", "parameters", "strict"}));
        function = DG_TRY(parse_function(body, inner));
    }
    return json::object{{"type", "function"}, {"function", std::move(function)}};
}

std::string_view name_of(const json::value& tool) {
    return view(tool.at("function").at("name").get_string());
}

Result<json::array> parse_tool_list(const json::array& tools, ToolShape shape) {
    json::array out;
    std::set<std::string, std::less<>> names;
    for (std::size_t i = 0; i < tools.size(); ++i) {
        const std::string path = fmt::format("tools[{}]", i);
        json::value tool = DG_TRY(parse_tool(tools[i], path, shape));
        if (!names.emplace(name_of(tool)).second) {
            const std::string at = path + (shape == ToolShape::flat ? ".name" : ".function.name");
            return fail_on(at, Code::invalid_argument,
                           "'{}' is '{}', which another tool has; names must differ", at,
                           name_of(tool));
        }
        out.push_back(std::move(tool));
    }
    return out;
}

Result<void> check_offered(const json::array& tools, std::string_view name,
                           const std::string& path) {
    if (std::ranges::find(tools, name, name_of) != tools.end()) return {};
    return fail_on(path, Code::invalid_argument,
                   "'{}' is '{}', which 'tools' does not offer; add it there or choose another",
                   path, name.substr(0, 100));
}

/// The name in {"type": "function", "function": {"name"}} or {"type": "function", "name"}.
Result<std::string_view> chosen_name(const json::object& choice, const std::string& path,
                                     ToolShape shape) {
    if (shape == ToolShape::flat) {
        DG_TRY(only_fields(choice, path, {"type", "name"}));
        return required_text(choice, "name", path);
    }
    DG_TRY(only_fields(choice, path, {"type", "function"}));
    return required_text(*DG_TRY(inner_object(choice, "function", path)), "name",
                         path + ".function");
}

Result<ToolChoice::Kind> choice_word(std::string_view word, const std::string& path) {
    if (word == "auto") return ToolChoice::Kind::automatic;
    if (word == "none") return ToolChoice::Kind::none;
    if (word == "required") return ToolChoice::Kind::required;
    return fail_on(path, Code::invalid_argument,
                   "'{}' is '{}'; it must be \"none\", \"auto\", \"required\" or an object", path,
                   word.substr(0, 100));
}

/// Offers only the tools that {"mode", "tools": [...]} lists.
Result<void> allow_only(const json::object& allowed, const std::string& path, ToolShape shape,
                        json::array& tools, ToolChoice& choice) {
    const std::string_view mode = DG_TRY(required_text(allowed, "mode", path));
    if (mode != "auto" && mode != "required") {
        return fail_on(path + ".mode", Code::invalid_argument,
                       "'{}.mode' must be \"auto\" or \"required\"", path);
    }
    choice.kind = DG_TRY(choice_word(mode, path + ".mode"));
    const json::value* const list = find(allowed, "tools");
    if (list == nullptr || !list->is_array() || list->get_array().empty()) {
        return fail_on(path + ".tools", Code::invalid_argument,
                       "'{}.tools' must be an array with at least one tool", path);
    }
    std::set<std::string, std::less<>> names;
    for (std::size_t i = 0; i < list->get_array().size(); ++i) {
        const std::string at = fmt::format("{}.tools[{}]", path, i);
        const json::object* const one = list->get_array()[i].if_object();
        if (one == nullptr) {
            return fail_on(at, Code::invalid_argument, "'{}' must be an object", at);
        }
        const std::string_view name = DG_TRY(chosen_name(*one, at, shape));
        DG_TRY(check_offered(tools, name, at));
        names.emplace(name);
    }
    json::array kept;
    for (json::value& tool : tools) {
        if (names.contains(name_of(tool))) kept.push_back(std::move(tool));
    }
    tools = std::move(kept);
    return {};
}

Result<void> parse_choice(const json::value& value, ToolShape shape, json::array& tools,
                          ToolChoice& choice) {
    const std::string path = "tool_choice";
    if (value.is_string()) {
        choice.kind = DG_TRY(choice_word(view(value.get_string()), path));
    } else {
        const json::object& object = value.get_object();
        const std::string_view type = DG_TRY(required_text(object, "type", path));
        if (type == "allowed_tools") {
            // Chat nests the list, responses has it beside the type.
            const bool nested = shape == ToolShape::nested;
            const json::object& allowed =
                nested ? *DG_TRY(inner_object(object, "allowed_tools", path)) : object;
            return allow_only(allowed, nested ? path + ".allowed_tools" : path, shape, tools,
                              choice);
        }
        if (type != "function") {
            return fail_on(path + ".type", Code::unimplemented,
                           "'{}.type' is '{}'; use \"function\" or \"allowed_tools\"", path,
                           type.substr(0, 100));
        }
        choice.kind = ToolChoice::Kind::named;
        choice.name = DG_TRY(chosen_name(object, path, shape));
    }
    const bool forced =
        choice.kind == ToolChoice::Kind::required || choice.kind == ToolChoice::Kind::named;
    if (forced && tools.empty()) {
        return fail_on(path, Code::invalid_argument,
                       "'tool_choice' asks for a call, but 'tools' offers none");
    }
    if (choice.kind != ToolChoice::Kind::named) return {};
    return check_offered(tools, choice.name,
                         shape == ToolShape::flat ? path + ".name" : path + ".function.name");
}

/// A regular expression that matches exactly the given texts.
Result<std::string> choice_pattern(const json::array& choices) {
    std::string pattern;
    for (std::size_t i = 0; i < choices.size(); ++i) {
        if (!choices[i].is_string() || choices[i].get_string().empty()) {
            return fail_on(fmt::format("guided_choice[{}]", i), Code::invalid_argument,
                           "'guided_choice[{}]' must be a string that is not empty", i);
        }
        pattern += i == 0 ? "(" : "|";
        for (const char c : choices[i].get_string()) {
            if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) {
                pattern += '\\';
            }
            pattern += c;
        }
    }
    if (pattern.empty()) {
        return fail_on("guided_choice", Code::invalid_argument, "'guided_choice' is empty");
    }
    return pattern + ")";
}

Result<AnswerFormat> guided(const json::object& body, std::string_view name) {
    const json::value& value = *find(body, name);
    AnswerFormat format;
    if (name == "guided_choice") {
        format.kind = AnswerFormat::Kind::regex;
        format.pattern = DG_TRY(choice_pattern(value.get_array()));
    } else if (name == "guided_json") {
        format.kind = AnswerFormat::Kind::json_schema;
        format.schema = value;
        if (value.is_string()) {
            auto schema = base::parse_json(view(value.get_string()));
            if (!schema || !schema->is_object()) {
                return fail_on("guided_json", Code::invalid_argument,
                               "'guided_json' is a string that is not a JSON object: {}",
                               schema ? "another type" : schema.error().message);
            }
            format.schema = std::move(*schema);
        }
    } else {
        format.kind = name == "guided_regex" ? AnswerFormat::Kind::regex : AnswerFormat::Kind::ebnf;
        format.pattern = view(value.get_string());
        if (format.pattern.empty()) {
            return fail_on(std::string(name), Code::invalid_argument,
                           "'{}' is empty; nothing could be generated", name);
        }
    }
    return format;
}

}  // namespace

Result<ToolFields> parse_tools(const json::object& body, ToolShape shape) {
    ToolFields out;
    json::array tools;
    if (const json::value* const list = find(body, "tools")) {
        tools = DG_TRY(parse_tool_list(list->get_array(), shape));
    }
    out.choice.parallel = flag(body, "parallel_tool_calls", true);
    out.choice.parallel_asked = out.choice.parallel && find(body, "parallel_tool_calls") != nullptr;
    if (const json::value* const choice = find(body, "tool_choice")) {
        DG_TRY(parse_choice(*choice, shape, tools, out.choice));
    }
    // A model that may call nothing is not shown the tools either.
    if (!tools.empty() && out.choice.kind != ToolChoice::Kind::none) out.tools = std::move(tools);
    return out;
}

Result<AnswerFormat> parse_format(const json::object& format, const std::string& path,
                                  bool schema_inside) {
    AnswerFormat out;
    const std::string_view type = DG_TRY(required_text(format, "type", path));
    if (type == "text") return out;
    if (type == "json_object") {
        out.kind = AnswerFormat::Kind::json_object;
        return out;
    }
    if (type != "json_schema") {
        return fail_on(path + ".type", Code::invalid_argument,
                       "'{}.type' is '{}'; it must be text, json_object or json_schema", path,
                       type.substr(0, 100));
    }
    const std::string at = schema_inside ? path + ".json_schema" : path;
    const json::object& body =
        schema_inside ? *DG_TRY(inner_object(format, "json_schema", path)) : format;
    DG_TRY(check_name(DG_TRY(required_text(body, "name", at)), at + ".name"));
    DG_TRY(only_fields(body, at, {"type", "name", "description", "schema", "strict"}));
    out.kind = AnswerFormat::Kind::json_schema;
    out.schema = *DG_TRY(inner_object(body, "schema", at));
    return out;
}

Result<AnswerFormat> parse_answer_format(const json::object& body) {
    AnswerFormat out;
    std::string_view chosen;
    for (const std::string_view name : {"response_format", "guided_json", "guided_regex",
                                        "guided_choice", "guided_grammar", "grammar"}) {
        const json::value* const value = find(body, name);
        if (value == nullptr) continue;
        AnswerFormat format =
            name == "response_format"
                ? DG_TRY(parse_format(value->get_object(), "response_format", true))
                : DG_TRY(guided(body, name));
        if (format.kind == AnswerFormat::Kind::text) continue;
        if (!chosen.empty()) {
            return fail_on(std::string(name), Code::invalid_argument,
                           "'{}' and '{}' both say what the answer looks like; leave one out",
                           chosen, name);
        }
        chosen = name;
        out = std::move(format);
    }
    return out;
}

}  // namespace gate
