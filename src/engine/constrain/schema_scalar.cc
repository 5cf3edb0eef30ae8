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
    std::string pattern;
    for (const Part& part : all.parts) {
        if (const auto min = DG_TRY(count_of(part, "minLength")))
            rule.min = std::max(rule.min, *min);
        if (const auto max = DG_TRY(count_of(part, "maxLength")))
            rule.max = std::min(rule.max, *max);
        if (const json::value* others = part.find(kOtherStrings); others && others->is_array()) {
            rule.others_path = part.path;
            for (const json::value& text : others->get_array()) {
                if (text.is_string()) rule.others.emplace_back(text.get_string());
            }
        }
        for (const std::string_view keyword : {"pattern", "format"}) {
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
            if (rule.regex && text != pattern) {
                return fail_on(part.at(keyword), Code::unimplemented,
                               "{}: two patterns or formats for one string cannot be enforced",
                               part.at(keyword));
            }
            auto regex = parse_regex(text);
            if (!regex) {
                return fail_on(part.at(keyword), regex.error().code, "{}: {}", part.at(keyword),
                               regex.error().message);
            }
            pattern = text;
            rule.regex = std::move(*regex);
        }
    }
    return rule;
}

Result<NodeId> SchemaCompiler::string(const Conjunction& all) {
    StringRule rule = DG_TRY(string_rule(all));
    if (rule.min > rule.max) return builder_.choice({});
    if (!rule.others.empty()) {
        if (!rule.regex && rule.min == 0 && rule.max >= kUnbounded) {
            return key_other_than(rule.others);
        }
        return fail_on(rule.others_path, Code::unimplemented,
                       "{}: strings to leave out beside a pattern or length cannot be enforced",
                       rule.others_path);
    }
    if (rule.regex) {
        auto bounded = bound_length(std::move(*rule.regex), rule.min, rule.max);
        if (!bounded) {
            return fail_on(all.parts.front().path, bounded.error().code, "{}: {}",
                           all.parts.front().path, bounded.error().message);
        }
        return quoted(regex_node(builder_, *bounded, Spelling::json));
    }
    const bool plain = rule.min == 0 && rule.max >= kUnbounded;
    if (plain && plain_string_ >= 0) return plain_string_;
    const NodeId body = builder_.repeat(
        json_char(builder_, CharClass::all(), true), static_cast<std::uint32_t>(rule.min),
        static_cast<std::uint32_t>(std::min<std::uint64_t>(rule.max, kUnbounded)));
    const NodeId node = quoted(body);
    if (plain) plain_string_ = node;
    return node;
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
