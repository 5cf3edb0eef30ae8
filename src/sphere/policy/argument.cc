#include "sphere/policy/argument.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "sphere/net/domain.h"
#include "sphere/policy/path_text.h"

namespace sphere::policy {
namespace {

namespace json = base::json;
using Kind = Fit::Kind;

constexpr std::size_t kShownBytesMax = 80;

std::string shown(const json::value& value) {
    std::string text = base::to_text(value);
    if (text.size() > kShownBytesMax) {
        text.resize(kShownBytesMax);
        text += "...";
    }
    return text;
}

bool is_number(const json::value& value) {
    return value.is_int64() || value.is_uint64() || value.is_double();
}
double number_in(const json::value& value) {
    return value.is_double() ? value.get_double() : value.to_number<double>();
}

bool is_of_type(const json::value& value, ArgumentType type) {
    switch (type) {
        case ArgumentType::string:
            return value.is_string();
        case ArgumentType::integer:
            return is_number(value) && number_in(value) == std::floor(number_in(value));
        case ArgumentType::number:
            return is_number(value);
        case ArgumentType::boolean:
            return value.is_bool();
        case ArgumentType::array:
            return value.is_array();
        case ArgumentType::object:
            return value.is_object();
    }
    return false;
}

bool same(const json::value& a, const json::value& b) {
    return is_number(a) && is_number(b) ? number_in(a) == number_in(b) : a == b;
}

std::string_view text_in(const json::value& value) {
    return {value.get_string().data(), value.get_string().size()};
}

/// Judges one value; parts add up: any "no" is no, else any "unclear" is unclear.
class Judge {
public:
    Judge(const json::value& value, const Constraint& constraint, const std::string& path, bool any)
        : value_(value), constraint_(constraint), path_(path), any_(any) {}

    Fit judge() {
        if (constraint_.type && !is_of_type(value_, *constraint_.type)) {
            unclear(fmt::format("is {}, expected {}", shown(value_),
                                argument_type_name(*constraint_.type)));
        }
        one_of();
        numbers();
        length();
        pattern();
        paths();
        domains();
        items();
        fields();
        return std::move(fit_);
    }

private:
    void note(Kind kind, std::string why) {
        if (fit_.kind == Kind::no || (fit_.kind == Kind::unclear && kind == Kind::unclear)) return;
        fit_ = {kind, fmt::format("{} {}", path_, why)};
    }
    void no(std::string why) { note(Kind::no, std::move(why)); }
    void unclear(std::string why) { note(Kind::unclear, std::move(why)); }

    void one_of() {
        if (constraint_.one_of.empty()) return;
        if (std::ranges::any_of(constraint_.one_of,
                                [&](const auto& v) { return same(v, value_); })) {
            return;
        }
        json::array allowed(constraint_.one_of.begin(), constraint_.one_of.end());
        no(fmt::format("is {}, expected one of {}", shown(value_), shown(allowed)));
    }

    void numbers() {
        if (!constraint_.min && !constraint_.max) return;
        if (!is_number(value_))
            return unclear(fmt::format("is {}, expected a number", shown(value_)));
        const double number = number_in(value_);
        if (constraint_.min && number < *constraint_.min) {
            no(fmt::format("is {}, the least is {}", shown(value_), *constraint_.min));
        }
        if (constraint_.max && number > *constraint_.max) {
            no(fmt::format("is {}, the most is {}", shown(value_), *constraint_.max));
        }
    }

    void length() {
        if (!constraint_.length_max) return;
        if (!value_.is_string() && !value_.is_array()) {
            return unclear(fmt::format("is {}, expected a text or a list", shown(value_)));
        }
        const std::size_t length =
            value_.is_string() ? value_.get_string().size() : value_.get_array().size();
        if (length > *constraint_.length_max) {
            no(fmt::format("has {} {}, at most {}", length, value_.is_string() ? "bytes" : "items",
                           *constraint_.length_max));
        }
    }

    void pattern() {
        if (!constraint_.pattern) return;
        if (!value_.is_string())
            return unclear(fmt::format("is {}, expected a text", shown(value_)));
        switch (constraint_.pattern->match(text_in(value_))) {
            case base::Regex::Match::yes:
                return;
            case base::Regex::Match::no:
                return no(fmt::format("is {}, which does not match {}", shown(value_),
                                      constraint_.pattern->pattern()));
            case base::Regex::Match::gave_up:
                return unclear(fmt::format("could not be matched with {} within the budget",
                                           constraint_.pattern->pattern()));
        }
    }

    void paths() {
        if (constraint_.path_prefixes.empty()) return;
        if (!value_.is_string())
            return unclear(fmt::format("is {}, expected a path", shown(value_)));
        const auto path = normal_path(text_in(value_));
        if (!path) return unclear(fmt::format("is no plain path: {}", path.error().message));
        if (std::ranges::any_of(constraint_.path_prefixes,
                                [&](const auto& prefix) { return is_beneath(*path, prefix); })) {
            return;
        }
        no(fmt::format("is {}, which is not beneath {}", shown(value_),
                       fmt::join(constraint_.path_prefixes, ", ")));
    }

    void domains() {
        if (constraint_.domains.empty()) return;
        if (!value_.is_string())
            return unclear(fmt::format("is {}, expected a host", shown(value_)));
        const auto host = net::host_of(text_in(value_));
        if (!host) return unclear(host.error().message);
        if (std::ranges::any_of(constraint_.domains,
                                [&](const auto& d) { return net::domain_matches(d, *host); })) {
            return;
        }
        no(fmt::format("names host {}, which is none of {}", *host,
                       fmt::join(constraint_.domains, ", ")));
    }

    void items() {
        if (!constraint_.items) return;
        if (!value_.is_array())
            return unclear(fmt::format("is {}, expected a list", shown(value_)));
        std::size_t index = 0;
        for (const json::value& item : value_.get_array()) {
            const std::string at = fmt::format("{}[{}]", path_, index++);
            Fit fit = Judge(item, *constraint_.items, at, any_).judge();
            if (any_ && fit.kind == Kind::yes) return;
            if (any_ && fit.kind == Kind::unclear) unclear_item_ = true;
            if (!any_ && fit.kind != Kind::yes) take(std::move(fit));
        }
        if (!any_) return;
        if (unclear_item_) return unclear("has an item that may be one");
        no("has no such item");
    }

    void fields() {
        const bool judged = !constraint_.fields.empty() || constraint_.type == ArgumentType::object;
        if (!judged) return;
        if (!value_.is_object())
            return unclear(fmt::format("is {}, expected an object", shown(value_)));
        const json::object& object = value_.get_object();
        for (const auto& [name, constraint] : constraint_.fields) {
            const json::value* member = object.if_contains(name);
            if (member != nullptr) {
                take(Judge(*member, constraint, path_ + "." + name, any_).judge());
            } else if (any_ || constraint.required) {
                no(fmt::format("lacks {}", name));
            }
        }
        if (any_ || constraint_.other_fields) return;
        for (const auto& member : object) {
            const std::string name(member.key().data(), member.key().size());
            if (!constraint_.fields.contains(name)) {
                return no(
                    fmt::format("has {}, which the rule does not name", shown(json::value(name))));
            }
        }
    }

    void take(Fit fit) {
        if (fit.kind == Kind::yes) return;
        if (fit_.kind == Kind::no || (fit_.kind == Kind::unclear && fit.kind == Kind::unclear))
            return;
        fit_ = std::move(fit);
    }

    const json::value& value_;
    const Constraint& constraint_;
    const std::string& path_;
    const bool any_;
    bool unclear_item_ = false;
    Fit fit_;
};

}  // namespace

Fit fits_all(const json::value& value, const Constraint& constraint, const std::string& path) {
    return Judge(value, constraint, path, false).judge();
}
Fit fits_any(const json::value& value, const Constraint& constraint, const std::string& path) {
    return Judge(value, constraint, path, true).judge();
}

}  // namespace sphere::policy
