#include "engine/chat/keyed_values.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <vector>

#include "base/json/json_text.h"
#include "engine/constrain/schema.h"

namespace engine::chat {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;
using constrain::NodeId;

constexpr int kDepthMax = 64;
const constrain::SchemaOptions kOneSpelling{.whitespace_max = 0, .compact = true};

/// Between two markers, as it is.
Scan read_marked(Cursor& cursor, std::string_view quote, std::string& text) {
    if (const Scan open = cursor.literal(quote); open != Scan::yes) return open;
    const std::size_t end = cursor.rest().find(quote);
    if (end == std::string_view::npos) return Scan::more;
    text = std::string(cursor.rest().substr(0, end));
    for (std::size_t i = 0; i < end + quote.size(); ++i) cursor.skip();
    return Scan::yes;
}

Scan read_word(Cursor& cursor, std::string& out) {
    constexpr std::string_view kEnds = ",}]";
    const std::size_t end = cursor.rest().find_first_of(kEnds);
    if (end == std::string_view::npos) return Scan::more;
    std::string word(cursor.rest().substr(0, end));
    while (!word.empty() && is_space(word.back())) word.pop_back();
    if (word.empty()) return Scan::no;
    for (std::size_t i = 0; i < end; ++i) cursor.skip();
    if (word == "None") word = "null";
    if (base::parse_json(word)) {
        out += word;
    } else {
        base::append_json_string(out, word);
    }
    return Scan::yes;
}

/// Members up to `close`, each read by `member`.
template <class Member>
Scan read_members(Cursor& cursor, char close, std::string& out, Member member) {
    for (bool first = true;; first = false) {
        cursor.space();
        if (cursor.ended()) return Scan::more;
        if (cursor.peek() == close) {
            cursor.skip();
            out += close;
            return Scan::yes;
        }
        if (!first) {
            if (cursor.peek() != ',') return Scan::no;
            cursor.skip();
            cursor.space();
            out += ", ";
        }
        if (const Scan answer = member(); answer != Scan::yes) return answer;
    }
}

std::unexpected<base::Error> cannot(std::string_view keyword) {
    return fail_on(std::string("$.") + std::string(keyword), Code::unimplemented,
                   "this model writes values in a form of its own, where {} cannot be enforced",
                   keyword);
}

Result<void> without(const json::object& schema, std::initializer_list<const char*> keywords) {
    for (const char* keyword : keywords) {
        if (schema.if_contains(keyword) != nullptr) return cannot(keyword);
    }
    return {};
}

/// The error's path from the whole value on, not from the part.
std::unexpected<base::Error> inside(const std::string& part, base::Error error) {
    error.subject =
        "$." + part + (error.subject.starts_with('$') ? error.subject.substr(1) : std::string());
    return std::unexpected(std::move(error));
}

}  // namespace

Scan read_keyed_key(Cursor& cursor, std::string_view quote, std::string& key) {
    const Scan marked = read_marked(cursor, quote, key);
    if (marked != Scan::no) return marked;
    return !cursor.ended() && cursor.peek() == '"' ? cursor.string(key) : cursor.name(key);
}

Scan read_keyed_value(Cursor& cursor, std::string_view quote, std::string& out, int depth) {
    if (depth > kDepthMax) return Scan::no;
    cursor.space();
    if (cursor.ended()) return Scan::more;
    const auto one = [&] { return read_keyed_value(cursor, quote, out, depth + 1); };
    std::string text;
    switch (cursor.peek()) {
        case '[':
            cursor.skip();
            out += '[';
            return read_members(cursor, ']', out, one);
        case '{':
            cursor.skip();
            out += '{';
            return read_members(cursor, '}', out, [&] {
                std::string key;
                if (const Scan answer = read_keyed_key(cursor, quote, key); answer != Scan::yes) {
                    return answer;
                }
                base::append_json_string(out, key);
                out += ": ";
                const Scan colon = cursor.take(':');
                return colon == Scan::yes ? one() : colon;
            });
        case '"': {
            const Scan answer = cursor.string(text);
            if (answer == Scan::yes) base::append_json_string(out, text);
            return answer;
        }
        default:
            break;
    }
    const Scan marked = read_marked(cursor, quote, text);
    if (marked == Scan::no) return read_word(cursor, out);
    if (marked == Scan::yes) base::append_json_string(out, text);
    return marked;
}

std::vector<std::string> sorted_keys(const json::object& object) {
    std::vector<std::string> keys;
    for (const auto& entry : object) keys.emplace_back(entry.key());
    const auto folded = [](std::string text) {
        std::ranges::transform(text, text.begin(),
                               [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        return text;
    };
    std::ranges::stable_sort(keys, {}, folded);
    return keys;
}

std::string keyed_text(const json::value& value, std::string_view quote) {
    std::string out;
    if (value.is_string()) {
        return out.append(quote).append(value.get_string()).append(quote);
    }
    if (const json::array* list = value.if_array()) {
        for (const json::value& one : *list)
            out += (out.empty() ? "" : ",") + keyed_text(one, quote);
        return "[" + out + "]";
    }
    const json::object* object = value.if_object();
    if (object == nullptr) return base::to_text(value);
    for (const std::string& key : sorted_keys(*object)) {
        out += (out.empty() ? "" : ",") + key + ":" + keyed_text(object->at(key), quote);
    }
    return "{" + out + "}";
}

Result<NodeId> KeyedGrammar::value(const json::value& schema, bool relax) {
    const json::object* object = schema.if_object();
    if (object == nullptr || object->empty()) return any();
    if (const json::value* one = object->if_contains("const")) return exactly(*one);
    if (const json::value* listed = object->if_contains("enum"); listed && listed->is_array()) {
        std::vector<NodeId> forms;
        for (const json::value& one : listed->get_array()) forms.push_back(exactly(one));
        return builder_.choice(std::move(forms));
    }
    const auto plain = without(*object, {"$ref", "allOf", "anyOf", "oneOf", "not", "if"});
    const json::value* type = object->if_contains("type");
    if (!plain || type == nullptr || !type->is_string()) {
        if (relax) return any();
        if (!plain) return std::unexpected(plain.error());
        return cannot(type == nullptr ? "a value without type" : "type");
    }
    return typed(*object, type->get_string(), relax);
}

Result<NodeId> KeyedGrammar::typed(const json::object& schema, std::string_view type, bool relax) {
    if (type == "string") return text(schema, relax);
    if (type == "array") return list(schema, relax);
    if (type == "object") return object(schema, relax);
    // As in JSON. A builder that failed is of no further use, so it is tried on another one.
    constrain::GrammarBuilder scratch;
    const bool whole = !relax || constrain::add_schema(scratch, schema, kOneSpelling).has_value();
    return constrain::add_schema(builder_, whole ? schema : json::object{{"type", type}},
                                 kOneSpelling);
}

Result<NodeId> KeyedGrammar::text(const json::object& schema, bool relax) {
    if (!relax) DG_TRY(without(schema, {"pattern", "minLength", "maxLength", "format"}));
    return any_text();
}

Result<NodeId> KeyedGrammar::list(const json::object& schema, bool relax) {
    const auto plain = without(schema, {"prefixItems", "minItems", "maxItems", "uniqueItems",
                                        "contains", "unevaluatedItems"});
    if (!plain && !relax) return std::unexpected(plain.error());
    const json::value* items = schema.if_contains("items");
    if (!plain || items == nullptr) return any_list();
    auto item = value(*items, relax);
    if (!item) return inside("items", std::move(item).error());
    const NodeId more = builder_.sequence({builder_.literal(","), *item});
    return builder_.sequence(
        {builder_.literal("["),
         builder_.optional(builder_.sequence({*item, builder_.repeat(more, 0)})),
         builder_.literal("]")});
}

Result<NodeId> KeyedGrammar::object(const json::object& schema, bool relax) {
    const auto plain = without(schema, {"patternProperties", "minProperties", "maxProperties",
                                        "dependentRequired", "dependencies", "propertyNames"});
    if (!plain && !relax) return std::unexpected(plain.error());
    const json::value* properties = schema.if_contains("properties");
    if (!plain || properties == nullptr || !properties->is_object()) return any_object();
    const json::value* required = schema.if_contains("required");
    constrain::MemberList list;
    list.separator = builder_.literal(",");
    list.close = builder_.literal("}");
    for (const std::string& name : sorted_keys(properties->get_object())) {
        auto member = value(properties->get_object().at(name), relax);
        if (!member) return inside("properties." + name, std::move(member).error());
        const bool needed = required != nullptr && required->is_array() &&
                            std::ranges::find(required->get_array(), json::value(name)) !=
                                required->get_array().end();
        list.known.push_back({builder_.sequence({builder_.literal(name + ":"), *member}), needed});
    }
    return builder_.sequence({builder_.literal("{"), builder_.members(std::move(list))});
}

NodeId KeyedGrammar::exactly(const json::value& value) {
    if (!value.is_string()) return builder_.literal(keyed_text(value, quote_));
    const NodeId mark = text_.markup(quote_);
    return builder_.sequence({mark, builder_.literal(value.get_string()), mark});
}

NodeId KeyedGrammar::any_text() {
    NodeId& known = builder_.remembered("keyed text");
    if (known < 0) known = builder_.sequence({text_.markup(quote_), text_.until(quote_)});
    return known;
}

NodeId KeyedGrammar::any_list() {
    const NodeId one = any();
    const NodeId more = builder_.repeat(builder_.sequence({builder_.literal(","), one}), 0);
    return builder_.sequence({builder_.literal("["),
                              builder_.optional(builder_.sequence({one, more})),
                              builder_.literal("]")});
}

NodeId KeyedGrammar::any_object() {
    constexpr std::string_view kKey =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    constexpr std::uint32_t kKeyMax = 64;
    const NodeId key = builder_.repeat(text_.one_of(kKey), 1, kKeyMax);
    const NodeId one = builder_.sequence({key, builder_.literal(":"), any()});
    const NodeId more = builder_.repeat(builder_.sequence({builder_.literal(","), one}), 0);
    return builder_.sequence({builder_.literal("{"),
                              builder_.optional(builder_.sequence({one, more})),
                              builder_.literal("}")});
}

NodeId KeyedGrammar::any() {
    const auto [rule, fresh] = builder_.named_rule("keyed value");
    if (!fresh) return rule;
    std::vector<NodeId> forms{any_text(),
                              any_list(),
                              any_object(),
                              builder_.literal("true"),
                              builder_.literal("false"),
                              builder_.literal("null")};
    auto number = constrain::add_schema(builder_, json::object{{"type", "number"}}, kOneSpelling);
    if (number) forms.push_back(*number);
    builder_.define_rule(rule, builder_.choice(std::move(forms)));
    return rule;
}

}  // namespace engine::chat
