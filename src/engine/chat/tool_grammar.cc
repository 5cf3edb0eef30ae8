#include "engine/chat/tool_grammar.h"

#include <algorithm>

#include "base/core/check.h"
#include "engine/chat/grammar_text.h"
#include "engine/chat/keyed_values.h"
#include "engine/constrain/schema.h"

namespace engine::chat {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
using constrain::Grammar;
using constrain::GrammarBuilder;
using constrain::MemberList;
using constrain::NodeId;
using constrain::SchemaOptions;
namespace json = base::json;

// One spelling, so that most of a call is forced and comes without sampling.
const SchemaOptions kOneSpelling{.whitespace_max = 0, .compact = false};

bool compiles(const json::value& schema) {
    GrammarBuilder scratch;
    return constrain::add_schema(scratch, schema, kOneSpelling).has_value();
}

/// What `parameters` says, as the schema of an object that lists its members.
json::object closed_object(const json::value& parameters) {
    json::object schema = parameters.is_object() ? parameters.get_object()
                                                 : json::object{{"properties", json::object{}}};
    if (schema.if_contains("type") == nullptr) schema["type"] = "object";
    const bool open = schema.if_contains("additionalProperties") != nullptr ||
                      schema.if_contains("patternProperties") != nullptr ||
                      schema.if_contains("unevaluatedProperties") != nullptr;
    // Beside $ref and the like the members are listed elsewhere.
    const bool lists =
        schema.if_contains("properties") != nullptr && schema.if_contains("$ref") == nullptr &&
        schema.if_contains("allOf") == nullptr && schema.if_contains("anyOf") == nullptr &&
        schema.if_contains("oneOf") == nullptr;
    if (lists && !open) schema["additionalProperties"] = false;
    return schema;
}

/// A property's schema as a document of its own, with the definitions it may refer to.
json::value standing_alone(const json::object& schema, const json::value& property) {
    if (!property.is_object()) return property;
    json::object out = property.get_object();
    for (const char* definitions : {"$defs", "definitions"}) {
        const json::value* found = schema.if_contains(definitions);
        if (found != nullptr && out.if_contains(definitions) == nullptr) out[definitions] = *found;
    }
    return out;
}

/// The listed properties, each as far as it can be enforced.
json::object relaxed(const json::object& schema) {
    json::object out{{"type", "object"}};
    json::object properties;
    const json::value* listed = schema.if_contains("properties");
    if (listed != nullptr && listed->is_object()) {
        for (const auto& [name, property] : listed->get_object()) {
            const json::value alone = standing_alone(schema, property);
            properties[name] = compiles(alone) ? alone : json::value(json::object{});
        }
        out["additionalProperties"] = false;
    }
    json::array required;
    const json::value* names = schema.if_contains("required");
    if (names != nullptr && names->is_array()) {
        for (const json::value& name : names->get_array()) {
            if (name.is_string() && properties.contains(name.get_string()))
                required.push_back(name);
        }
    }
    out["properties"] = std::move(properties);
    out["required"] = std::move(required);
    return out;
}

bool is_boolean(const json::value& schema) {
    const json::object* object = schema.if_object();
    const json::value* type = object ? object->if_contains("type") : nullptr;
    return type != nullptr && type->is_string() && type->get_string() == "boolean" &&
           object->if_contains("enum") == nullptr && object->if_contains("const") == nullptr;
}

bool holds_from_start(const ToolRule& rule) {
    return rule.kind != ToolRule::Kind::automatic || rule.answer_schema.has_value();
}

class Builder {
public:
    Builder(const ChatFormat& format, const ToolSet& tools, const ToolRule& rule,
            const std::vector<bool>& relax)
        : format_(format),
          calls_(format.calls),
          tools_(tools),
          rule_(rule),
          relax_(relax),
          text_(builder_, format.control_texts),
          keyed_(builder_, text_, format.calls.quote) {}

    Result<std::shared_ptr<const Grammar>> build() {
        NodeId root = -1;
        if (holds_from_start(rule_)) {
            NodeId answer = DG_TRY(all_calls(rule_.parallel));
            if (rule_.answer_schema) {
                const NodeId value =
                    DG_TRY(constrain::add_schema(builder_, *rule_.answer_schema, kOneSpelling));
                const NodeId words = builder_.sequence({text_.markup(format_.answer_open), value});
                answer = builder_.choice({words, answer});
            }
            root = builder_.sequence({text_.reasoning(format_.reasoning, rule_.reasoning), answer});
        } else if (calls_.bare) {
            root = DG_TRY(reasoned_call_or_text());
        } else {
            root = DG_TRY(from_opener());
        }
        return builder_.build(root);
    }

    /// The tool that did not compile.
    std::size_t failed() const { return failed_; }

private:
    Result<NodeId> all_calls(bool parallel) {
        const NodeId one = DG_TRY(call());
        std::vector<NodeId> parts{text_.markup(calls_.section_open), one};
        if (parallel) {
            parts.push_back(
                builder_.repeat(builder_.sequence({text_.markup(calls_.separator), one}), 0));
        }
        parts.push_back(text_.markup(calls_.section_close));
        return builder_.sequence(std::move(parts));
    }

    /// Calls from an opener on, which the model wrote while it was free: as text, even where it is
    /// a control token. They have one end, or the engine could not tell where the model is free
    /// again: without a marker behind all calls it takes one call, and the next opener begins the
    /// next one.
    Result<NodeId> from_opener() {
        std::vector<NodeId> forms;
        for (const std::string& opener : calls_.openers) {
            const bool in_section = &opener == &calls_.openers.front();
            const bool other =
                std::ranges::find(calls_.other_call_opens, opener) != calls_.other_call_opens.end();
            const std::string begin =
                other ? opener : (in_section ? calls_.section_open : "") + calls_.call_open;
            DG_CHECK(begin.starts_with(opener));
            std::vector<NodeId> parts{builder_.literal(opener),
                                      text_.markup(begin.substr(opener.size())),
                                      DG_TRY(name_and_arguments())};
            if (in_section) {
                if (rule_.parallel && !calls_.section_close.empty()) {
                    const NodeId next = DG_TRY(call());
                    parts.push_back(builder_.repeat(
                        builder_.sequence({text_.markup(calls_.separator), next}), 0));
                }
                parts.push_back(text_.markup(calls_.section_close));
            }
            forms.push_back(builder_.sequence(std::move(parts)));
        }
        return builder_.choice(std::move(forms));
    }

    /// For families that call without a marker. Behind reasoning the same choice comes again, so an
    /// answer that begins with the reasoning's marker is not any text.
    Result<NodeId> reasoned_call_or_text() {
        const bool reasons =
            rule_.reasoning != ReasoningState::done && !format_.reasoning.open.empty();
        if (!reasons) return call_or_text();
        const NodeId behind = builder_.sequence(
            {text_.reasoning(format_.reasoning, ReasoningState::open), DG_TRY(call_or_text())});
        if (rule_.reasoning == ReasoningState::open) return behind;
        const std::string& open = format_.reasoning.open;
        return builder_.choice({builder_.sequence({text_.any_space(), text_.markup(open), behind}),
                                DG_TRY(call_or_text(open))});
    }

    /// `not_like`: what a text does not begin with; empty: anything but a call.
    Result<NodeId> call_or_text(std::string_view not_like = {}) {
        NodeId calls = DG_TRY(all_calls(rule_.parallel));
        if (!calls_.openers.empty()) {
            calls =
                builder_.sequence({builder_.optional(text_.markup(calls_.openers.front())), calls});
        }
        const bool braces = calls_.shape == CallShape::json;
        const char first = braces ? '{' : '[';
        const std::string others = std::string{first} + " \t\n\r";
        std::vector<NodeId> forms{
            calls, builder_.sequence({text_.any_space(),
                                      not_like.empty() ? text_.text_not_starting_with(others)
                                                       : text_.text_unlike(not_like, others)})};
        std::vector<NodeId> other{builder_.literal(std::string{first}), text_.any_space()};
        // An object whose first key is not "name", a list whose first item is no name.
        if (braces) {
            other.push_back(text_.text_not_like("\"name\""));
        } else {
            other.push_back(builder_.sequence(
                {text_.none_of(" \t\n\r_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                 text_.any_text()}));
        }
        forms.push_back(
            builder_.sequence({text_.any_space(), builder_.sequence(std::move(other))}));
        return builder_.choice(std::move(forms));
    }

    Result<NodeId> call() {
        if (call_ < 0) {
            const NodeId open = text_.markup(calls_.call_open);
            const NodeId rest = DG_TRY(name_and_arguments());
            call_ = builder_.sequence({open, rest});
        }
        return call_;
    }

    Result<NodeId> name_and_arguments() {
        if (named_ >= 0) return named_;
        std::vector<NodeId> closes;
        for (const std::string& close : calls_.name_closes) closes.push_back(text_.markup(close));
        const NodeId name_close = builder_.choice(std::move(closes));
        std::vector<NodeId> forms;
        for (std::size_t i = 0; i < tools_.tools().size(); ++i) {
            const Tool& tool = tools_.tools()[i];
            if (rule_.kind == ToolRule::Kind::named && tool.name != rule_.name) continue;
            failed_ = i;
            auto body = arguments(tool, relax_[i]);
            if (!body) return in_tool(i, tool, std::move(body).error());
            forms.push_back(builder_.sequence({builder_.literal(tool.name), name_close, *body}));
        }
        return named_ = builder_.choice(std::move(forms));
    }

    /// The client's path of what is wrong: the schema's root is "$" to its compiler.
    static std::unexpected<base::Error> in_tool(std::size_t index, const Tool& tool,
                                                base::Error error) {
        const bool in_schema = error.subject.starts_with('$');
        const std::string own_path = error.subject + ": ";
        if (in_schema && error.message.starts_with(own_path)) {
            error.message.erase(0, own_path.size());
        }
        const std::string path = fmt::format("tools[{}].function.parameters{}", index,
                                             in_schema ? error.subject.substr(1) : "");
        return fail_on(path, error.code, "tool '{}', {}: {}", tool.name, path, error.message);
    }

    /// The arguments and what closes the call.
    Result<NodeId> arguments(const Tool& tool, bool relax) {
        const json::object closed = closed_object(tool.parameters);
        const json::object schema = relax ? relaxed(closed) : closed;
        if (calls_.shape == CallShape::json || calls_.shape == CallShape::named_json) {
            const NodeId value = DG_TRY(constrain::add_schema(builder_, schema, kOneSpelling));
            return builder_.sequence({value, call_close()});
        }
        return separate_arguments(schema, relax);
    }

    NodeId call_close() {
        if (!calls_.short_ids || calls_.shape != CallShape::json) {
            return text_.markup(calls_.call_close);
        }
        // Mistral's lists may give each call an id.
        const NodeId id =
            builder_.sequence({builder_.literal(", \"id\": \""),
                               text_.markup(std::string(1, kAnyId)), builder_.literal("\"")});
        return builder_.sequence({builder_.optional(id), text_.markup(calls_.call_close)});
    }

    Result<NodeId> separate_arguments(const json::object& schema, bool relax) {
        for (const char* keyword :
             {"$ref", "allOf", "anyOf", "oneOf", "not", "if", "patternProperties", "minProperties",
              "maxProperties", "dependentRequired", "dependencies", "propertyNames"}) {
            if (schema.if_contains(keyword) == nullptr) continue;
            return fail_on(std::string("$.") + keyword, Code::unimplemented,
                           "this model writes arguments one by one, where {} cannot be enforced",
                           keyword);
        }
        MemberList list;
        list.separator = builder_.literal(calls_.shape == CallShape::pythonic ? ", "
                                          : calls_.shape == CallShape::keyed  ? ","
                                                                              : "");
        list.close = text_.markup(calls_.call_close);
        const json::value* required = schema.if_contains("required");
        const json::value* properties = schema.if_contains("properties");
        if (properties == nullptr || !properties->is_object()) {
            return builder_.members(std::move(list));
        }
        for (const std::string& name : argument_names(properties->get_object())) {
            const json::value alone = standing_alone(schema, properties->get_object().at(name));
            auto member = argument(name, alone, relax);
            if (!member) return inside(name, member.error());
            const bool needed = required != nullptr && required->is_array() &&
                                std::ranges::find(required->get_array(), json::value(name)) !=
                                    required->get_array().end();
            list.known.push_back({*member, needed});
        }
        return builder_.members(std::move(list));
    }

    /// The error's path from the arguments on, not from the one property.
    static std::unexpected<base::Error> inside(std::string_view name, const base::Error& error) {
        const std::string rest = error.subject.starts_with('$') ? error.subject.substr(1) : "";
        return fail_on("$.properties." + std::string(name) + rest, error.code, "{}", error.message);
    }

    /// In the order in which the family writes them.
    std::vector<std::string> argument_names(const json::object& properties) const {
        if (calls_.shape == CallShape::keyed) return sorted_keys(properties);
        std::vector<std::string> names;
        for (const auto& entry : properties) names.emplace_back(entry.key());
        return names;
    }

    Result<NodeId> argument(const std::string& name, const json::value& schema, bool relax) {
        if (calls_.shape == CallShape::pythonic) return keyword_argument(name, schema);
        if (calls_.shape != CallShape::keyed) return parameter(name, schema, relax);
        const NodeId value = DG_TRY(keyed_.value(schema, relax));
        return builder_.sequence({builder_.literal(name + ":"), value});
    }

    Result<NodeId> keyword_argument(std::string_view name, const json::value& schema) {
        const NodeId key = builder_.literal(std::string(name) + "=");
        if (is_boolean(schema)) {
            return builder_.sequence(
                {key, builder_.choice({builder_.literal("True"), builder_.literal("False")})});
        }
        const NodeId value = DG_TRY(constrain::add_schema(builder_, schema, kOneSpelling));
        return builder_.sequence({key, value});
    }

    Result<NodeId> parameter(std::string_view name, const json::value& schema, bool relax) {
        const bool text = takes_text_only(&schema);
        const std::string& middle =
            text ? calls_.parameter_middles.front() : calls_.parameter_middles.back();
        const NodeId open = text_.markup(calls_.parameter_open + std::string(name) + middle);
        if (!text) {
            const NodeId value = DG_TRY(constrain::add_schema(builder_, schema, kOneSpelling));
            return builder_.sequence({open, value, text_.markup(calls_.parameter_close)});
        }
        const NodeId value = DG_TRY(bare_text(schema.get_object(), relax));
        return builder_.sequence({open, value});
    }

    /// Text without quotes and what closes it.
    Result<NodeId> bare_text(const json::object& schema, bool relax) {
        const NodeId close = text_.markup(calls_.parameter_close);
        std::vector<NodeId> values;
        if (const json::value* one = schema.if_contains("const"); one && one->is_string()) {
            values.push_back(builder_.literal(one->get_string()));
        } else if (const json::value* list = schema.if_contains("enum"); list && list->is_array()) {
            for (const json::value& value : list->get_array()) {
                if (value.is_string()) values.push_back(builder_.literal(value.get_string()));
            }
        }
        if (!values.empty()) {
            return builder_.sequence({builder_.choice(std::move(values)), close});
        }
        for (const char* keyword : {"pattern", "minLength", "maxLength", "format"}) {
            if (relax || schema.if_contains(keyword) == nullptr) continue;
            return fail_on(std::string("$.") + keyword, Code::unimplemented,
                           "this model writes texts without quotes, where {} cannot be enforced",
                           keyword);
        }
        // The line ends around the marker are part of it or of the text: the same to a reader.
        std::string_view marker = calls_.parameter_close;
        std::string_view tail;
        const std::size_t end = marker.find_last_not_of('\n') + 1;
        tail = marker.substr(end);
        marker = marker.substr(0, end);
        const std::size_t begin = marker.find_first_not_of('\n');
        const NodeId body = text_.until(marker.substr(begin));
        return builder_.sequence({body, builder_.literal(tail)});
    }

    const ChatFormat& format_;
    const CallSyntax& calls_;
    const ToolSet& tools_;
    const ToolRule& rule_;
    const std::vector<bool>& relax_;
    GrammarBuilder builder_;
    TextNodes text_;
    KeyedGrammar keyed_;
    NodeId call_ = -1, named_ = -1;
    std::size_t failed_ = 0;
};

}  // namespace

std::vector<std::string> grammar_triggers(const ChatFormat& format, const ToolRule& rule) {
    if (holds_from_start(rule) || format.calls.bare) return {};
    return format.calls.openers;
}

Result<std::shared_ptr<const Grammar>> tool_grammar(const ChatFormat& format, const ToolSet& tools,
                                                    const ToolRule& rule) {
    if (rule.kind == ToolRule::Kind::named && tools.find(rule.name) == nullptr) {
        return fail_on("tool_choice.function.name", Code::invalid_argument,
                       "tool_choice names '{}', which is not among the tools", rule.name);
    }
    std::vector<bool> relax(tools.tools().size(), false);
    // Nearly always the first try compiles. A tool that does not is relaxed, and the others are
    // built again: a builder that failed is of no further use.
    for (;;) {
        Builder builder(format, tools, rule, relax);
        auto built = builder.build();
        const std::size_t failed = builder.failed();
        const bool tool_failed = !built && built.error().code != Code::payload_too_large &&
                                 built.error().subject.starts_with("tools[");
        if (!tool_failed || tools.tools()[failed].strict || relax[failed]) return built;
        relax[failed] = true;
        for (std::size_t i = failed + 1; i < relax.size(); ++i) {
            const Tool& tool = tools.tools()[i];
            if (!tool.strict && !compiles(closed_object(tool.parameters))) relax[i] = true;
        }
    }
}

std::string cache_key(const ToolSet& tools, const ToolRule& rule) {
    std::string key = fmt::format("{}|{}|{}|{}|", static_cast<int>(rule.kind), rule.name,
                                  rule.parallel, static_cast<int>(rule.reasoning));
    if (rule.answer_schema) key += json::serialize(*rule.answer_schema);
    return key + "|" + tools.text();
}

}  // namespace engine::chat
