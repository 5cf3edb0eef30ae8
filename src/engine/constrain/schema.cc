// From a conjunction of schemas to a rule: take choices apart, then join what each type allows.
#include "engine/constrain/schema.h"

#include <algorithm>
#include <array>

#include "base/core/utf8.h"
#include "engine/constrain/matcher.h"
#include "engine/constrain/schema_compiler.h"

namespace engine::constrain {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
namespace json = base::json;

std::string json_text(std::string_view text) {
    return json::serialize(json::string(text));
}

NodeId SchemaCompiler::space() {
    if (space_ < 0) {
        ByteSet blank;
        for (const char c : {' ', '\t', '\n', '\r'}) blank.add(static_cast<std::uint8_t>(c));
        space_ = builder_.repeat(builder_.bytes(blank), 0, options_.whitespace_max);
    }
    return space_;
}

NodeId SchemaCompiler::between(std::string_view token) {
    if (options_.whitespace_max == 0) {
        return builder_.literal(options_.compact ? std::string(token) : std::string(token) + " ");
    }
    return builder_.sequence({space(), builder_.literal(token), space()});
}

NodeId SchemaCompiler::quoted(NodeId body) {
    return builder_.sequence({builder_.literal("\""), body, builder_.literal("\"")});
}

NodeId SchemaCompiler::constant(const json::value& value) {
    if (const json::array* list = value.if_array()) {
        std::vector<NodeId> parts{builder_.literal("["), space()};
        for (std::size_t i = 0; i < list->size(); ++i) {
            if (i > 0) parts.push_back(between(","));
            parts.push_back(constant((*list)[i]));
        }
        parts.push_back(space());
        parts.push_back(builder_.literal("]"));
        return builder_.sequence(std::move(parts));
    }
    if (const json::object* object = value.if_object()) {
        MemberList members;
        for (const auto& [key, child] : *object) {
            members.known.push_back(
                {member(builder_.literal(json_text(key)), constant(child)), true});
        }
        members.separator = between(",");
        members.close = builder_.sequence({space(), builder_.literal("}")});
        members.any_order = options_.any_order;
        return builder_.sequence({builder_.literal("{"), space(), builder_.members(members)});
    }
    if (!value.is_double()) return builder_.literal(json::serialize(value));
    const std::string text = fmt::format("{}", value.get_double());
    if (text.find_first_of(".e") != std::string::npos) return builder_.literal(text);
    return builder_.choice({builder_.literal(text), builder_.literal(text + ".0")});
}

Result<void> SchemaCompiler::refuse_unenforced(const Conjunction& all) const {
    constexpr std::array kRefused = {"$dynamicRef", "$recursiveRef", "unevaluatedProperties",
                                     "unevaluatedItems"};
    for (const Part& part : all.parts) {
        for (const std::string_view keyword : kRefused) {
            if (part.find(keyword) == nullptr) continue;
            return fail_on(part.at(keyword), Code::unimplemented,
                           "{}: this keyword cannot be enforced; rewrite the schema without it",
                           part.at(keyword));
        }
    }
    return {};
}

Result<std::optional<std::uint64_t>> SchemaCompiler::count_of(const Part& part,
                                                              std::string_view keyword) {
    const json::value* found = part.find(keyword);
    if (found == nullptr) return std::optional<std::uint64_t>{};
    boost::system::error_code error;
    const double number = found->is_number() ? found->to_number<double>() : -1;
    if (number < 0 || number > 1e9 ||
        number != static_cast<double>(static_cast<std::uint64_t>(number))) {
        if (number > 1e9) return std::optional<std::uint64_t>{kUnbounded - 1};
        return fail_on(part.at(keyword), Code::invalid_argument,
                       "{} is not a whole number of at least 0", part.at(keyword));
    }
    return std::optional<std::uint64_t>{static_cast<std::uint64_t>(number)};
}

Result<NodeId> SchemaCompiler::value(const Conjunction& all) {
    if (all.impossible) return -1;
    const std::string key = all.key();
    if (const auto known = rules_.find(key); known != rules_.end()) return known->second;
    if (rules_.size() >= options_.rules_max) {
        return fail(Code::payload_too_large, "schema: over {} distinct subschemas",
                    options_.rules_max);
    }
    work_ += 1 + all.parts.size();
    if (work_ > options_.work_max) {
        return fail(Code::payload_too_large,
                    "schema: its alternatives multiply to more than can be compiled ({} steps); "
                    "use fewer or simpler oneOf, not and dependencies",
                    options_.work_max);
    }
    if (++nesting_ > options_.nesting_max) {
        return fail(Code::payload_too_large, "schema: nested deeper than {}", options_.nesting_max);
    }
    const auto [rule, fresh] = declare(all);
    rules_[key] = rule;
    if (!fresh) return --nesting_, rule;
    const NodeId body = DG_TRY(value_body(all));
    --nesting_;
    builder_.define_rule(rule, body);
    if (!builder_.impossible(body)) return rule;
    rules_[key] = -1;
    return -1;
}

/// Any JSON value is the same rule in all schemas of a grammar.
GrammarBuilder::NamedRule SchemaCompiler::declare(const Conjunction& all) {
    if (!all.parts.empty()) return {builder_.declare_rule(), true};
    return builder_.named_rule(
        fmt::format("any value, {} {}", options_.whitespace_max, options_.compact));
}

Result<NodeId> SchemaCompiler::value_body(const Conjunction& all) {
    DG_TRY(refuse_unenforced(all));
    for (std::size_t i = 0; i < all.parts.size(); ++i) {
        const Part& part = all.parts[i];
        const auto open = [&](TakenBits what, std::initializer_list<std::string_view> keywords) {
            return (part.taken & what) == 0 &&
                   std::ranges::any_of(keywords, [&](auto word) { return part.find(word); });
        };
        if (open(kChoices, {"anyOf", "oneOf"})) return choices(all, i);
        if (open(kNot, {"not"})) return rewrite(all, i, kNot);
        if (open(kCondition, {"if"})) return rewrite(all, i, kCondition);
        if (open(kDependencies, {"dependencies", "dependentRequired", "dependentSchemas"})) {
            return rewrite(all, i, kDependencies);
        }
    }
    return plain_value(all);
}

Result<NodeId> SchemaCompiler::plain_value(const Conjunction& all) {
    const std::uint8_t types = DG_TRY(allowed_types(all));
    if (const auto values = DG_TRY(listed_values(all))) return constants(all, *values);
    std::vector<NodeId> forms;
    if (types & kObject) forms.push_back(DG_TRY(object(all)));
    if (types & kArray) forms.push_back(DG_TRY(array(all)));
    if (types & kString) forms.push_back(DG_TRY(string(all)));
    if (types & kFraction) forms.push_back(DG_TRY(number(all, false)));
    if ((types & kNumber) == kInteger) forms.push_back(DG_TRY(number(all, true)));
    if (types & kBoolean) {
        forms.push_back(builder_.literal("true"));
        forms.push_back(builder_.literal("false"));
    }
    if (types & kNull) forms.push_back(builder_.literal("null"));
    std::erase_if(forms, [&](NodeId node) { return builder_.impossible(node); });
    return builder_.choice(std::move(forms));
}

Result<NodeId> SchemaCompiler::constants(const Conjunction& all, const Values& values) {
    std::vector<NodeId> forms;
    for (const json::value& value : values) {
        if (DG_TRY(satisfies(value, all))) forms.push_back(constant(value));
    }
    return builder_.choice(std::move(forms));
}

Result<bool> SchemaCompiler::satisfies(const json::value& value, const Conjunction& all) {
    const std::uint8_t type = type_of(value);
    if ((DG_TRY(allowed_types(all)) & type) == 0) return false;
    if (type == kString) {
        const StringRule rule = DG_TRY(string_rule(all));
        if (rule.min > rule.max) return false;
        const std::string_view text = value.get_string();
        if (std::ranges::find(rule.others, text) != rule.others.end()) return false;
        const std::size_t length = base::utf8_length(text);
        if (length < rule.min || length > rule.max) return false;
        return !rule.regex || regex_matches(*rule.regex, text);
    }
    if (type & kNumber) {
        const NumberRange range = DG_TRY(number_range(all, type == kInteger));
        const auto decimal = parse_decimal(value.is_double() ? fmt::format("{}", value.get_double())
                                                             : json::serialize(value));
        if (!decimal && (range.low || range.high)) {
            return fail(Code::unimplemented, "an enum value with an exponent beside a bound");
        }
        return !decimal || in_range(*decimal, range);
    }
    if (type != kObject && type != kArray) return true;
    const auto grammar = DG_TRY(without_listed(all));
    return grammar == nullptr || matches(grammar, json::serialize(value));
}

/// The grammar of what a conjunction says beside enum and const, to test their objects and arrays
/// with; null when that is nothing.
Result<std::shared_ptr<const Grammar>> SchemaCompiler::without_listed(const Conjunction& all) {
    constexpr std::array kHarmless = {
        "type",     "enum",       "const",    "title",   "description", "default",
        "examples", "$defs",      "$id",      "$schema", "$comment",    "definitions",
        "id",       "deprecated", "nullable", "$ref",    "allOf",       "$anchor"};
    const auto harmless = [&](const Part& part) {
        return std::ranges::all_of(*part.schema, [&](const auto& member) {
            return std::ranges::find(kHarmless, member.key()) != kHarmless.end();
        });
    };
    if (std::ranges::all_of(all.parts, harmless)) return std::shared_ptr<const Grammar>();
    const std::string key = all.key();
    if (const auto known = validators_.find(key); known != validators_.end()) return known->second;
    Conjunction others = all;
    for (Part& part : others.parts) part.taken |= kListed;
    SchemaOptions options = options_;
    options.any_order = true;
    options.whitespace_max = 0;
    options.compact = true;
    GrammarBuilder builder;
    SchemaCompiler inner(builder, document_.root(), options);
    const NodeId node = DG_TRY(inner.value(others));
    const NodeId root = node >= 0 ? node : builder.bytes({});
    // What nothing satisfies has no grammar; one of a byte that no text has does as well.
    auto grammar = builder.build(root);
    if (!grammar) {
        GrammarBuilder never;
        grammar = never.build(never.control(""));
    }
    return validators_[key] = DG_TRY(std::move(grammar));
}

Result<NodeId> SchemaCompiler::compile(const json::value& root) {
    Conjunction all;
    DG_TRY(document_.add(all, root, "$"));
    const NodeId node = DG_TRY(value(all));
    if (node < 0 && !narrowed_at_.empty()) {
        return fail_on(narrowed_at_, Code::unimplemented,
                       "{}: cannot be enforced beside the other keywords; rewrite the schema "
                       "without it",
                       narrowed_at_);
    }
    if (node < 0) {
        return fail_on("$", Code::invalid_argument, "schema: no value satisfies it");
    }
    return node;
}

Result<NodeId> add_schema(GrammarBuilder& builder, const json::value& schema,
                          const SchemaOptions& options) {
    return SchemaCompiler(builder, schema, options).compile(schema);
}

Result<std::shared_ptr<const Grammar>> compile_schema(const json::value& schema,
                                                      const SchemaOptions& options) {
    GrammarBuilder builder;
    const NodeId root = DG_TRY(add_schema(builder, schema, options));
    return builder.build(root);
}

Result<std::shared_ptr<const Grammar>> any_object_grammar(const SchemaOptions& options) {
    const json::value schema = {{"type", "object"}};
    return compile_schema(schema, options);
}

}  // namespace engine::constrain
