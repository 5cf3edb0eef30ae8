// Objects and arrays.
#include <algorithm>
#include <map>
#include <set>

#include "base/core/utf8.h"
#include "engine/constrain/schema_compiler.h"

namespace engine::constrain {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

struct SchemaCompiler::ObjectShape {
    std::vector<std::string> names;  ///< in schema order, then required names nobody describes
    std::set<std::string> required;
    std::uint64_t count_min = 0, count_max = kUnbounded;
};

namespace {

Result<const json::object*> object_of(const Part& part, std::string_view keyword) {
    const json::value* found = part.find(keyword);
    if (found == nullptr) return nullptr;
    if (found->is_object()) return &found->get_object();
    return fail_on(part.at(keyword), Code::invalid_argument, "{} is not an object",
                   part.at(keyword));
}

base::Result<void> refuse_if_present(const Conjunction& all,
                                     std::initializer_list<std::string_view> keywords) {
    for (const Part& part : all.parts) {
        for (const std::string_view keyword : keywords) {
            const json::value* found = part.find(keyword);
            if (found == nullptr || (found->is_bool() && found->get_bool())) continue;
            if (found->is_object() && found->get_object().empty()) continue;
            return fail_on(part.at(keyword), Code::unimplemented,
                           "{}: this keyword cannot be enforced; rewrite the schema without it",
                           part.at(keyword));
        }
    }
    return {};
}

/// Members in any order: each state has to know which of them are written.
constexpr std::size_t kAnyOrderMax = 256;

/// A trie of the names that a further key must not be.
struct NameTrie {
    std::map<char32_t, NameTrie> next;
    bool ends = false;
};

}  // namespace

NodeId SchemaCompiler::member(NodeId key, NodeId value) {
    return builder_.sequence({key, between(":"), value});
}

Result<SchemaCompiler::ObjectShape> SchemaCompiler::object_shape(const Conjunction& all) {
    ObjectShape shape;
    std::set<std::string> seen;
    const auto add_name = [&](std::string_view name) {
        if (seen.insert(std::string(name)).second) shape.names.emplace_back(name);
    };
    for (const Part& part : all.parts) {
        if (const json::object* list = DG_TRY(object_of(part, "properties"))) {
            for (const auto& [name, unused] : *list) add_name(name);
        }
        if (const auto min = DG_TRY(count_of(part, "minProperties"))) {
            shape.count_min = std::max(shape.count_min, *min);
        }
        if (const auto max = DG_TRY(count_of(part, "maxProperties"))) {
            shape.count_max = std::min(shape.count_max, *max);
        }
    }
    for (const Part& part : all.parts) {
        const json::value* required = part.find("required");
        if (required == nullptr || required->is_bool()) continue;  // draft 3 had booleans
        if (!required->is_array()) {
            return fail_on(part.at("required"), Code::invalid_argument, "{} is not a list",
                           part.at("required"));
        }
        for (const json::value& name : required->get_array()) {
            if (!name.is_string()) {
                return fail_on(part.at("required"), Code::invalid_argument,
                               "{} lists something that is not a string", part.at("required"));
            }
            add_name(name.get_string());
            shape.required.insert(std::string(name.get_string()));
        }
    }
    return shape;
}

Result<Conjunction> SchemaCompiler::property(const Conjunction& all, std::string_view name) {
    Conjunction schema;
    for (const Part& part : all.parts) {
        bool described = false;
        if (const json::object* list = DG_TRY(object_of(part, "properties"))) {
            if (const json::value* own = list->if_contains(name)) {
                described = true;
                DG_TRY(
                    document_.add(schema, *own, part.at("properties") + "." + std::string(name)));
            }
        }
        if (const json::object* patterns = DG_TRY(object_of(part, "patternProperties"))) {
            for (const auto& [pattern, own] : *patterns) {
                const auto regex = parse_regex(pattern);
                const std::string path = part.at("patternProperties");
                if (!regex)
                    return fail_on(path, regex.error().code, "{}: {}", path, regex.error().message);
                if (!regex_matches(*regex, name)) continue;
                described = true;
                DG_TRY(document_.add(schema, own, path + "." + std::string(pattern)));
            }
        }
        const json::value* rest = part.find("additionalProperties");
        if (!described && rest != nullptr) {
            DG_TRY(document_.add(schema, *rest, part.at("additionalProperties")));
        }
    }
    return schema;
}

NodeId SchemaCompiler::key_other_than(const std::vector<std::string>& names) {
    if (any_char_ < 0) {
        any_char_ = builder_.repeat(json_char(builder_, CharClass::all()), 0);
    }
    NameTrie trie;
    for (const std::string& name : names) {
        NameTrie* at = &trie;
        for (std::size_t i = 0; i < name.size();) {
            const base::Utf8Char c = base::utf8_at(name, i);
            at = &at->next[c.code];
            i += c.bytes;
        }
        at->ends = true;
    }
    // Characters have one spelling here, or "\u0061" would pass for a name other than "a".
    const auto rest = [&](const auto& self, const NameTrie& node) -> NodeId {
        CharClass leaving = CharClass::all();
        std::vector<NodeId> forms;
        for (const auto& [code, child] : node.next) {
            const CharClass same = CharClass::of(code, code);
            leaving = leaving.minus(same);
            forms.push_back(builder_.sequence({json_char(builder_, same), self(self, child)}));
        }
        forms.push_back(builder_.sequence({json_char(builder_, leaving), any_char_}));
        if (!node.ends) forms.push_back(builder_.sequence({}));
        return builder_.choice(std::move(forms));
    };
    return quoted(rest(rest, trie));
}

Result<void> SchemaCompiler::further_members(const Conjunction& all, const ObjectShape& shape,
                                             MemberList& list) {
    std::vector<std::pair<std::string, const json::value*>> patterns;
    Conjunction rest;
    for (const Part& part : all.parts) {
        if (const json::object* own = DG_TRY(object_of(part, "patternProperties"))) {
            for (const auto& [pattern, schema] : *own) {
                patterns.emplace_back(std::string(pattern), &schema);
            }
        }
        if (const json::value* schema = part.find("additionalProperties")) {
            DG_TRY(document_.add(rest, *schema, part.at("additionalProperties")));
        }
    }
    if (patterns.empty()) {
        const NodeId node = DG_TRY(value(rest));
        if (node >= 0) list.further.push_back(member(key_other_than(shape.names), node));
        return {};
    }
    // Keys outside the patterns are not offered, though the schema may allow them: telling them
    // apart would need the complement of each pattern. What is offered is always right.
    for (const auto& [pattern, schema] : patterns) {
        if (!same_value(*schema, *patterns.front().second)) {
            return fail_on(all.parts.front().at("patternProperties"), Code::unimplemented,
                           "{}: several patterns with different schemas may overlap; keep one",
                           all.parts.front().at("patternProperties"));
        }
        const Regex regex = DG_TRY(parse_regex(pattern));
        for (const std::string& name : shape.names) {
            if (!regex_matches(regex, name)) continue;
            return fail_on(all.parts.front().at("patternProperties"), Code::unimplemented,
                           "{}: the pattern '{}' also matches the property '{}'",
                           all.parts.front().at("patternProperties"), pattern, name);
        }
        Conjunction matched;
        for (const Part& part : all.parts) {
            const json::object* own = DG_TRY(object_of(part, "patternProperties"));
            const json::value* mine = own != nullptr ? own->if_contains(pattern) : nullptr;
            const json::value* other = part.find("additionalProperties");
            const std::string path = part.at("patternProperties") + "." + pattern;
            if (mine != nullptr) {
                DG_TRY(document_.add(matched, *mine, path));
            } else if (other != nullptr) {
                DG_TRY(document_.add(matched, *other, part.at("additionalProperties")));
            }
        }
        const NodeId node = DG_TRY(value(matched));
        if (node < 0) continue;
        list.further.push_back(member(quoted(regex_node(builder_, regex, Spelling::json)), node));
    }
    return {};
}

Result<NodeId> SchemaCompiler::object(const Conjunction& all) {
    DG_TRY(refuse_if_present(all, {"propertyNames"}));
    const ObjectShape shape = DG_TRY(object_shape(all));
    MemberList list;
    std::uint64_t required_count = 0;
    for (const std::string& name : shape.names) {
        const bool required = shape.required.contains(name);
        const NodeId node = DG_TRY(value(DG_TRY(property(all, name))));
        if (node < 0 && required) return builder_.choice({});
        if (node < 0) continue;
        required_count += required;
        list.known.push_back({member(builder_.literal(json_text(name)), node), required});
    }
    DG_TRY(further_members(all, shape, list));
    if (shape.count_min > shape.count_max || required_count > shape.count_max) {
        return builder_.choice({});
    }
    // The same further key may come twice, and then counts once.
    if (!list.further.empty() && shape.count_min > std::max<std::uint64_t>(1, required_count)) {
        return fail_on(all.parts.front().at("minProperties"), Code::unimplemented,
                       "{}: over the number of required properties and with further keys allowed, "
                       "it cannot be enforced",
                       all.parts.front().at("minProperties"));
    }
    if (list.further.empty() && shape.count_min > list.known.size()) return builder_.choice({});
    list.count_min = static_cast<std::uint32_t>(shape.count_min);
    list.count_max = static_cast<std::uint32_t>(shape.count_max);
    list.any_order = options_.any_order && list.known.size() <= kAnyOrderMax;
    list.separator = between(",");
    list.close = builder_.sequence({space(), builder_.literal("}")});
    return builder_.sequence({builder_.literal("{"), space(), builder_.members(std::move(list))});
}

Result<Conjunction> SchemaCompiler::item(const Conjunction& all, std::size_t index) {
    Conjunction schema;
    for (const Part& part : all.parts) {
        const json::value* prefix = part.find("prefixItems");
        const json::value* items = part.find("items");
        const json::value* rest = items;
        std::string_view keyword = "items";
        if (prefix == nullptr && items != nullptr && items->is_array()) {  // draft 7
            prefix = items;
            rest = part.find("additionalItems");
            keyword = "additionalItems";
        }
        if (prefix != nullptr && !prefix->is_array()) {
            return fail_on(part.at("prefixItems"), Code::invalid_argument, "{} is not a list",
                           part.at("prefixItems"));
        }
        if (prefix != nullptr && index < prefix->get_array().size()) {
            DG_TRY(document_.add(schema, prefix->get_array()[index],
                                 fmt::format("{}[{}]", part.path, index)));
        } else if (rest != nullptr) {
            DG_TRY(document_.add(schema, *rest, part.at(keyword)));
        }
    }
    return schema;
}

/// Different values out of a list: like the members of an object, in any order, each once.
Result<NodeId> SchemaCompiler::unique_items(const Conjunction& all, const Part& unique,
                                            std::uint64_t min, std::uint64_t max) {
    const Conjunction each = DG_TRY(item(all, 0));
    const Conjunction later = DG_TRY(item(all, 1));
    auto listed = DG_TRY(listed_values(each));
    if (!listed && DG_TRY(allowed_types(each)) == kBoolean) listed = {json::value(true), false};
    if (!listed || listed->size() > kAnyOrderMax || each.key() != later.key()) {
        return fail_on(unique.at("uniqueItems"), Code::unimplemented,
                       "{}: a grammar cannot compare items unless they come from an enum of at "
                       "most {} values; set it to false",
                       unique.at("uniqueItems"), kAnyOrderMax);
    }
    MemberList list;
    for (std::size_t i = 0; i < listed->size(); ++i) {
        const json::value& one = (*listed)[i];
        const auto same = [&](const json::value& other) { return same_value(one, other); };
        const auto here = listed->begin() + static_cast<std::ptrdiff_t>(i);
        if (std::any_of(listed->begin(), here, same)) continue;
        if (!DG_TRY(satisfies(one, each))) continue;
        list.known.push_back({constant(one), false});
    }
    if (min > list.known.size()) return builder_.choice({});
    list.separator = between(",");
    list.close = builder_.sequence({space(), builder_.literal("]")});
    list.count_min = static_cast<std::uint32_t>(min);
    list.count_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(max, kUnbounded));
    list.any_order = true;
    return builder_.sequence({builder_.literal("["), space(), builder_.members(std::move(list))});
}

Result<NodeId> SchemaCompiler::array(const Conjunction& all) {
    for (const Part& part : all.parts) {
        if (part.find("contains") == nullptr) continue;  // even {} asks for an item
        return fail_on(part.at("contains"), Code::unimplemented,
                       "{}: this keyword cannot be enforced; use items", part.at("contains"));
    }
    std::uint64_t min = 0, max = kUnbounded;
    std::size_t prefix = 0;
    const Part* unique = nullptr;
    for (const Part& part : all.parts) {
        if (const auto least = DG_TRY(count_of(part, "minItems"))) min = std::max(min, *least);
        if (const auto most = DG_TRY(count_of(part, "maxItems"))) max = std::min(max, *most);
        for (const std::string_view keyword : {"prefixItems", "items"}) {
            const json::value* list = part.find(keyword);
            if (list != nullptr && list->is_array()) {
                prefix = std::max(prefix, list->get_array().size());
            }
        }
        const json::value* flag = part.find("uniqueItems");
        if (flag != nullptr && flag->is_bool() && flag->get_bool()) unique = &part;
    }
    if (min > max) return builder_.choice({});
    if (unique != nullptr && max > 1) return unique_items(all, *unique, min, max);
    const NodeId open = builder_.sequence({builder_.literal("["), space()});
    const NodeId close = builder_.sequence({space(), builder_.literal("]")});
    // Items beyond the prefix are one repetition; the prefix is nested from its end outward.
    const NodeId rest = DG_TRY(value(DG_TRY(item(all, prefix))));
    const auto from_prefix = [&](std::uint64_t n) {
        return n >= kUnbounded ? kUnbounded
                               : static_cast<std::uint32_t>(n > prefix ? n - prefix : 0);
    };
    NodeId tail = builder_.sequence({});
    const std::uint32_t tail_max = rest < 0 ? 0 : from_prefix(max);
    if (from_prefix(min) > tail_max) return builder_.choice({});
    if (tail_max > 0 && prefix > 0) {
        tail = builder_.repeat(builder_.sequence({between(","), rest}), from_prefix(min), tail_max);
    } else if (tail_max > 0) {
        const std::uint32_t more = tail_max == kUnbounded ? kUnbounded : tail_max - 1;
        const NodeId full = builder_.sequence(
            {rest, builder_.repeat(builder_.sequence({between(","), rest}),
                                   static_cast<std::uint32_t>(min > 0 ? min - 1 : 0), more)});
        tail = min == 0 ? builder_.optional(full) : full;
    }
    for (std::size_t i = prefix; i-- > 0;) {
        const NodeId node = DG_TRY(value(DG_TRY(item(all, i))));
        const bool allowed = node >= 0 && i < max;
        if (!allowed && i < min) return builder_.choice({});
        if (!allowed) {
            tail = builder_.sequence({});
            continue;
        }
        const NodeId here = i == 0 ? builder_.sequence({node, tail})
                                   : builder_.sequence({between(","), node, tail});
        tail = i < min ? here : builder_.optional(here);
    }
    return builder_.sequence({open, tail, close});
}

}  // namespace engine::constrain
