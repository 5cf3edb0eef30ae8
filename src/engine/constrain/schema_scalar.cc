// Strings and numbers.
#include <algorithm>
#include <cmath>

#include "engine/constrain/formats.h"
#include "engine/constrain/negation.h"
#include "engine/constrain/schema_compiler.h"

namespace engine::constrain {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

Result<SchemaCompiler::StringRule> SchemaCompiler::string_rule(const Conjunction& all) {
    StringRule rule;
    for (const Part& part : all.parts) {
        if (const auto min = DG_TRY(count_of(part, "minLength")))
            rule.min = std::max(rule.min, *min);
        if (const auto max = DG_TRY(count_of(part, "maxLength")))
            rule.max = std::min(rule.max, *max);
        if (const json::value* others = part.find(kOtherStrings); others && others->is_array()) {
            for (const json::value& text : others->get_array()) {
                if (text.is_string()) rule.others.emplace_back(text.get_string());
            }
        }
        for (const std::string_view keyword :
             {std::string_view("pattern"), std::string_view("format"), kOtherPattern}) {
            const json::value* found = part.find(keyword);
            if (found == nullptr) continue;
            if (!found->is_string()) {
                return fail_on(part.at(keyword), Code::invalid_argument, "{} is not a string",
                               part.at(keyword));
            }
            std::string_view text = found->get_string();
            if (keyword == "format") {
                if (!is_standard_format(text)) continue;  // an annotation, as the standard says
                const auto known = format_pattern(text);
                if (!known) {
                    return fail_on(part.at(keyword), Code::unimplemented,
                                   "{}: the format '{}' cannot be enforced", part.at(keyword),
                                   text);
                }
                text = *known;
            }
            const bool negated = keyword == kOtherPattern;
            if (!negated && std::ranges::find(rule.patterns, text) != rule.patterns.end()) continue;
            auto regex = parse_regex(text);
            if (!regex) {
                return fail_on(part.at(keyword), regex.error().code, "{}: {}", part.at(keyword),
                               regex.error().message);
            }
            if (!negated) rule.patterns.emplace_back(text);
            rule.tests.push_back({std::move(*regex), negated});
        }
    }
    return rule;
}

Result<NodeId> SchemaCompiler::string(const Conjunction& all) {
    StringRule rule = DG_TRY(string_rule(all));
    if (rule.min > rule.max) return builder_.choice({});
    const bool any_length = rule.min == 0 && rule.max >= kUnbounded;
    if (rule.tests.empty() && any_length && !rule.others.empty()) {
        return key_other_than(rule.others);
    }
    if (!rule.others.empty()) rule.tests.push_back({regex_of(rule.others), true});
    if (!rule.tests.empty()) return tested(all, rule);
    if (any_length && plain_string_ >= 0) return plain_string_;
    const NodeId body = builder_.repeat(
        json_char(builder_, CharClass::all(), true), static_cast<std::uint32_t>(rule.min),
        static_cast<std::uint32_t>(std::min<std::uint64_t>(rule.max, kUnbounded)));
    const NodeId node = quoted(body);
    if (any_length) plain_string_ = node;
    return node;
}

Result<NodeId> SchemaCompiler::tested(const Conjunction& all, const StringRule& rule) {
    if (rule.tests.size() == 1 && !rule.tests.front().negated) {
        // A length that falls on one part of the pattern is a counter and costs no states.
        const auto bounded = bound_length(rule.tests.front().regex, rule.min, rule.max);
        if (bounded) return quoted(regex_node(builder_, *bounded, Spelling::json));
    }
    const auto node = tested_string(builder_, rule.tests, rule.min, rule.max);
    if (node) return quoted(*node);
    return fail_on(all.parts.front().path, node.error().code, "{}: {}", all.parts.front().path,
                   node.error().message);
}

Result<NumberRange> SchemaCompiler::number_range(const Conjunction& all, bool integer) {
    NumberRange range;
    const auto narrow = [&](const Decimal& value, bool low, bool strict) {
        std::optional<Bound>& side = low ? range.low : range.high;
        const int order = side ? compare(value, side->value) * (low ? 1 : -1) : 1;
        if (order > 0) {
            side = Bound{value, strict};
        } else if (order == 0) {
            side->strict = side->strict || strict;
        }
    };
    for (const Part& part : all.parts) {
        const json::value* multiple = part.find("multipleOf");
        if (multiple != nullptr) {
            const bool one = multiple->is_number() && multiple->to_number<double>() == 1.0;
            if (!one || !integer) {
                return fail_on(part.at("multipleOf"), Code::unimplemented,
                               "{}: a grammar cannot divide; only 1 beside type integer is allowed",
                               part.at("multipleOf"));
            }
        }
        for (const bool low : {true, false}) {
            const std::string_view plain = low ? "minimum" : "maximum";
            const std::string_view exclusive = low ? "exclusiveMinimum" : "exclusiveMaximum";
            const json::value* flag = part.find(exclusive);
            const bool draft4 = flag != nullptr && flag->is_bool();
            for (const std::string_view keyword : {plain, exclusive}) {
                const json::value* found = part.find(keyword);
                if (found == nullptr || (found->is_bool() && keyword == exclusive)) continue;
                const std::string text = !found->is_number() ? "?"
                                         : found->is_double()
                                             ? fmt::format("{}", found->get_double())
                                             : json::serialize(*found);
                const auto decimal = parse_decimal(text);
                if (!decimal) {
                    return fail_on(part.at(keyword), Code::unimplemented,
                                   "{}: {} is no bound that can be enforced exactly",
                                   part.at(keyword), json::serialize(*found));
                }
                narrow(*decimal, low, keyword == exclusive || (draft4 && flag->get_bool()));
            }
        }
    }
    return range;
}

Result<NodeId> SchemaCompiler::number(const Conjunction& all, bool integer) {
    const NumberRange range = DG_TRY(number_range(all, integer));
    return integer ? integer_node(builder_, range) : number_node(builder_, range);
}

}  // namespace engine::constrain
