// Walks a value beside the rules. The first fault on the way is the one that is told.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/core/utf8.h"
#include "base/json/canonical.h"
#include "base/schema/rule.h"

namespace base::schema {
namespace {

constexpr std::uint64_t kStepsMax = 1'000'000;
constexpr int kDepthMax = 400;

std::uint8_t types_of(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return kNull;
        case json::kind::bool_:
            return kBoolean;
        case json::kind::int64:
        case json::kind::uint64:
            return kInteger | kNumber;
        case json::kind::double_:
            return value.get_double() == std::floor(value.get_double()) ? kInteger | kNumber
                                                                        : kNumber;
        case json::kind::string:
            return kString;
        case json::kind::array:
            return kArray;
        case json::kind::object:
            return kObject;
    }
    return 0;
}

std::string type_words(std::uint8_t types) {
    constexpr std::pair<std::uint8_t, std::string_view> kWords[] = {
        {kNull, "null"},       {kBoolean, "true or false"},
        {kString, "a text"},   {kInteger, "a whole number"},
        {kNumber, "a number"}, {kArray, "a list"},
        {kObject, "an object"}};
    std::string out;
    for (const auto& [bit, word] : kWords) {
        const bool said = (bit == kInteger && (types & kNumber) != 0);  // a number says it
        if ((types & bit) != 0 && !said) out += (out.empty() ? "" : " or ") + std::string(word);
    }
    return out;
}

double number_of(const json::value& value) {
    return value.to_number<double>();
}

/// Both are exact decimals in JSON; as doubles their ratio may be off by a rounding.
bool is_multiple(const json::value& value, double of) {
    if (value.is_int64() && of == std::floor(of) && std::abs(of) < 9e18) {
        return value.get_int64() % static_cast<std::int64_t>(of) == 0;
    }
    const double ratio = number_of(value) / of, parts = 1 / of;
    if (parts == std::floor(parts) && number_of(value) == std::floor(number_of(value))) return true;
    if (!std::isfinite(ratio)) return std::fmod(number_of(value), of) == 0;
    return std::abs(ratio - std::round(ratio)) <= 1e-9 && std::abs(ratio) < 1e15;
}

/// Which members or items of one value some rule has looked at.
struct Seen {
    std::vector<bool> parts;
    void add(const Seen& other) {
        for (std::size_t i = 0; i < other.parts.size() && i < parts.size(); ++i) {
            if (other.parts[i]) parts[i] = true;
        }
    }
    void mark(std::size_t i) {
        if (i < parts.size()) parts[i] = true;
    }
};

std::size_t parts_of(const json::value& value) {
    if (value.is_object()) return value.get_object().size();
    return value.is_array() ? value.get_array().size() : 0;
}

std::string brief(const json::value& value) {
    std::string text = to_text(value);
    if (text.size() <= 60) return text;
    text.resize(utf8_valid_prefix_bytes(std::string_view(text).substr(0, 57)));
    return text + "...";
}

class Checker {
public:
    explicit Checker(const Rules& rules) : rules_(rules) {}

    Result<void> run(const json::value& value) {
        if (rules_.rules.empty() || check(0, value, nullptr)) return {};
        if (gave_up_) {
            return fail_on(path_text_, Code::resource_exhausted,
                           "the schema takes more than {} steps or {} levels for this value; make "
                           "it or the value smaller",
                           kStepsMax, kDepthMax);
        }
        return fail_on(path_text_, Code::invalid_argument, "{} {}",
                       path_text_.empty() ? "the value" : path_text_, what_);
    }

private:
    /// Remembers the first fault; inside of choices (`quiet_`) nobody will read it.
    template <class... Args>
    bool fault(fmt::format_string<Args...> format, Args&&... args) {
        if (quiet_ == 0 && what_.empty()) {
            what_ = fmt::format(format, std::forward<Args>(args)...);
            for (const std::string& token : path_) path_text_ += "/" + pointer_token(token);
        }
        return false;
    }

    bool check(RuleIndex index, const json::value& value, Seen* seen) {
        if (gave_up_) return false;
        if (++steps_ > kStepsMax || depth_ >= kDepthMax) {
            gave_up_ = true;
            return false;
        }
        const Rule& rule = *rules_.rules[index];
        ++depth_;
        const bool scoped = scope_.empty() || scope_.back() != rule.resource;
        if (scoped) scope_.push_back(rule.resource);
        Seen own{std::vector<bool>(rules_.unevaluated ? parts_of(value) : 0)};
        const bool good = check_rule(rule, value, own);
        if (good && seen != nullptr) seen->add(own);
        if (scoped) scope_.pop_back();
        --depth_;
        return good;
    }

    bool check_rule(const Rule& rule, const json::value& value, Seen& seen) {
        if (rule.never) return fault("is not allowed here");
        if ((rule.types & types_of(value)) == 0) {
            return fault("is {}, expected {}", brief(value), type_words(rule.types));
        }
        if (rule.one_of && !rule.one_of->contains(canonical_text(value))) {
            return fault("is {}, expected {}", brief(value), rule.one_of_text);
        }
        if (rule.number && value.is_number() && !check_number(*rule.number, value)) return false;
        if (rule.string && value.is_string() && !check_string(*rule.string, value)) return false;
        if (!check_choices(rule, value, seen)) return false;
        if (rule.array && value.is_array() && !check_array(*rule.array, value.get_array(), seen)) {
            return false;
        }
        return !rule.object || !value.is_object() ||
               check_object(*rule.object, value.get_object(), value, seen);
    }

    bool check_number(const NumberRule& rule, const json::value& value) {
        const double number = number_of(value);
        if (rule.minimum && number < *rule.minimum) {
            return fault("is {}, expected at least {}", brief(value), *rule.minimum);
        }
        if (rule.maximum && number > *rule.maximum) {
            return fault("is {}, expected at most {}", brief(value), *rule.maximum);
        }
        if (rule.above && number <= *rule.above) {
            return fault("is {}, expected more than {}", brief(value), *rule.above);
        }
        if (rule.below && number >= *rule.below) {
            return fault("is {}, expected less than {}", brief(value), *rule.below);
        }
        if (rule.multiple_of && !is_multiple(value, *rule.multiple_of)) {
            return fault("is {}, expected a multiple of {}", brief(value), *rule.multiple_of);
        }
        return true;
    }

    bool check_count(const Count& count, std::uint64_t found, std::string_view unit) {
        if (count.holds(found)) return true;
        if (count.max == kNoMax) {
            return fault("has {} {}, expected at least {}", found, unit, count.min);
        }
        return fault("has {} {}, expected {} to {}", found, unit, count.min, count.max);
    }

    bool check_string(const StringRule& rule, const json::value& value) {
        const json::string& text = value.get_string();
        const std::string_view view(text.data(), text.size());
        if ((rule.length.min > 0 || rule.length.max != kNoMax) &&
            !check_count(rule.length, utf8_length(view), "characters")) {
            return false;
        }
        if (rule.pattern) {
            const Regex::Match match = rule.pattern->match(view);
            if (match == Regex::Match::no) {
                return fault("is {}, expected what matches {}", brief(value),
                             rule.pattern->pattern());
            }
            if (match == Regex::Match::gave_up) {
                return fault("is more than the pattern {} can be matched with",
                             rule.pattern->pattern());
            }
        }
        if (rule.format_test != nullptr && !rule.format_test(view)) {
            return fault("is {}, expected the format {}", brief(value), rule.format);
        }
        return true;
    }

    bool check_choices(const Rule& rule, const json::value& value, Seen& seen) {
        if (rule.ref && !check(referred(rule), value, &seen)) return false;
        for (const RuleIndex each : rule.all) {
            if (!check(each, value, &seen)) return false;
        }
        if (!rule.any.empty() && !check_any(rule.any, value, seen)) return false;
        if (!rule.one.empty() && !check_one(rule.one, value, seen)) return false;
        if (rule.not_ && holds(*rule.not_, value, nullptr)) {
            return fault("is {}, which is what it must not be", brief(value));
        }
        if (gave_up_) return false;
        if (!rule.if_) return true;
        const auto& next = holds(*rule.if_, value, &seen) ? rule.then_ : rule.else_;
        return !gave_up_ && (!next || check(*next, value, &seen));
    }

    bool check_any(const std::vector<RuleIndex>& rules, const json::value& value, Seen& seen) {
        bool found = false;
        for (const RuleIndex each : rules) {
            found = holds(each, value, &seen) || found;
            if (found && !rules_.unevaluated) return true;
        }
        if (found || gave_up_) return found;
        return no_choice(rules, value);
    }

    bool check_one(const std::vector<RuleIndex>& rules, const json::value& value, Seen& seen) {
        const std::ptrdiff_t found =
            std::ranges::count_if(rules, [&](RuleIndex each) { return holds(each, value, &seen); });
        if (gave_up_) return false;
        if (found == 0) return no_choice(rules, value);
        return found == 1 || fault("fits {} of {} choices, expected one", found, rules.size());
    }

    /// What is wrong with the one choice whose type and fixed values fit, when there is only one:
    /// that is the one that was meant.
    bool no_choice(const std::vector<RuleIndex>& rules, const json::value& value) {
        if (quiet_ > 0) return false;
        std::vector<RuleIndex> likely;
        for (const RuleIndex each : rules) {
            if (seems_meant(*rules_.rules[each], value)) likely.push_back(each);
        }
        if (likely.size() == 1) return check(likely.front(), value, nullptr);
        return fault("is {}, which fits none of {} choices", brief(value), rules.size());
    }

    bool seems_meant(const Rule& rule, const json::value& value) {
        if (rule.ref && rule.dynamic_ref.empty()) return seems_meant_at(*rule.ref, value);
        if (rule.never || (rule.types & types_of(value)) == 0) return false;
        if (rule.one_of && !rule.one_of->contains(canonical_text(value))) return false;
        if (!rule.object || !value.is_object()) return true;
        for (const auto& [name, index] : rule.object->properties) {
            const json::value* member = value.get_object().if_contains(name);
            const auto& fixed = rules_.rules[index]->one_of;
            if (member && fixed && !fixed->contains(canonical_text(*member))) return false;
        }
        return true;
    }
    bool seems_meant_at(RuleIndex index, const json::value& value) {
        const Rule& rule = *rules_.rules[index];
        return rule.ref.has_value() || seems_meant(rule, value);
    }

    bool holds(RuleIndex index, const json::value& value, Seen* seen) {
        ++quiet_;
        const bool good = check(index, value, seen);
        --quiet_;
        return good;
    }

    RuleIndex referred(const Rule& rule) const {
        if (rule.dynamic_ref.empty()) return *rule.ref;
        for (const std::uint32_t resource : scope_) {
            const auto& anchors = rules_.dynamic_anchors[resource];
            if (const auto at = anchors.find(rule.dynamic_ref); at != anchors.end()) {
                return at->second;
            }
        }
        return *rule.ref;
    }

    bool check_array(const ArrayRule& rule, const json::array& items, Seen& seen) {
        if (!check_count(rule.count, items.size(), "items")) return false;
        for (std::size_t i = 0; i < items.size(); ++i) {
            const bool in_prefix = i < rule.prefix.size();
            if (!in_prefix && !rule.items) continue;
            if (!check_part(in_prefix ? rule.prefix[i] : *rule.items, std::to_string(i),
                            items[i])) {
                return false;
            }
            seen.mark(i);
        }
        if (rule.contains && !check_contains(rule, items, seen)) return false;
        if (rule.unique && !check_unique(items)) return false;
        for (std::size_t i = 0; rule.unevaluated && i < items.size(); ++i) {
            if (seen.parts[i]) continue;
            if (!check_part(*rule.unevaluated, std::to_string(i), items[i])) return false;
            seen.mark(i);
        }
        return true;
    }

    bool check_contains(const ArrayRule& rule, const json::array& items, Seen& seen) {
        std::uint64_t found = 0;
        for (std::size_t i = 0; i < items.size() && !gave_up_; ++i) {
            if (!holds(*rule.contains, items[i], nullptr)) continue;
            seen.mark(i);
            ++found;
        }
        if (gave_up_) return false;
        return rule.contained.holds(found) ||
               check_count(rule.contained, found, "items of the kind it must contain");
    }

    bool check_unique(const json::array& items) {
        std::set<std::string> texts;
        for (const json::value& item : items) {
            if (!texts.insert(canonical_text(item)).second) {
                return fault("holds {} twice", brief(item));
            }
        }
        return true;
    }

    bool check_object(const ObjectRule& rule, const json::object& object, const json::value& value,
                      Seen& seen) {
        for (const std::string& name : rule.required) {
            if (!object.contains(name)) return fault("lacks '{}'", name);
        }
        if (!check_count(rule.count, object.size(), "members")) return false;
        std::size_t i = 0;
        for (const auto& [name, member] : object) {
            if (!check_member(rule, name, member, i++, seen)) return false;
        }
        for (const auto& [name, others] : rule.needs) {
            if (!object.contains(name)) continue;
            for (const std::string& other : others) {
                if (!object.contains(other)) return fault("has '{}' and lacks '{}'", name, other);
            }
        }
        for (const auto& [name, index] : rule.needs_rule) {
            if (object.contains(name) && !check(index, value, &seen)) return false;
        }
        if (!rule.unevaluated) return true;
        i = 0;
        for (const auto& [name, member] : object) {
            const std::size_t at = i++;
            if (seen.parts[at]) continue;
            if (!check_part(*rule.unevaluated, name, member)) return false;
            seen.mark(at);
        }
        return true;
    }

    bool check_member(const ObjectRule& rule, std::string_view name, const json::value& member,
                      std::size_t at, Seen& seen) {
        if (rule.names && !holds(*rule.names, json::value(name), nullptr)) {
            return fault("has the member '{}', whose name is not allowed", name);
        }
        bool known = false;
        if (const auto found = rule.properties.find(name); found != rule.properties.end()) {
            known = true;
            if (!check_part(found->second, name, member)) return false;
        }
        for (const auto& [pattern, index] : rule.patterns) {
            if (pattern.match(name) != Regex::Match::yes) continue;
            known = true;
            if (!check_part(index, name, member)) return false;
        }
        if (!known && rule.additional) {
            if (rules_.rules[*rule.additional]->never) {
                return fault("has the member '{}', which is not known; there are {}", name,
                             known_names(rule));
            }
            known = true;
            if (!check_part(*rule.additional, name, member)) return false;
        }
        if (known) seen.mark(at);
        return true;
    }

    static std::string known_names(const ObjectRule& rule) {
        std::vector<std::string_view> names;
        for (const auto& [name, index] : rule.properties) names.push_back(name);
        return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
    }

    bool check_part(RuleIndex index, std::string_view token, const json::value& part) {
        path_.emplace_back(token);
        const bool good = check(index, part, nullptr);
        path_.pop_back();
        return good;
    }

    const Rules& rules_;
    std::vector<std::string> path_;
    std::vector<std::uint32_t> scope_;  ///< resources entered, outermost first
    std::string what_, path_text_;
    std::uint64_t steps_ = 0;
    int depth_ = 0, quiet_ = 0;
    bool gave_up_ = false;
};

}  // namespace

Result<void> check(const Rules& rules, const json::value& value) {
    return Checker(rules).run(value);
}

}  // namespace base::schema
