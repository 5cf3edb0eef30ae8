// What texts of a format look like. Formats that need tables of Unicode (idn-*, iri*) are notes
// only, as are names that nobody knows.
#include <arpa/inet.h>

#include <algorithm>
#include <boost/url.hpp>
#include <charconv>
#include <string>

#include "base/schema/rule.h"

namespace base::schema {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Reads a text from its front.
class Scan {
public:
    explicit Scan(std::string_view text) : rest_(text) {}
    bool done() const { return rest_.empty(); }
    bool take(std::string_view any_of) {
        if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) return false;
        rest_.remove_prefix(1);
        return true;
    }
    /// Exactly `count` digits; -1 when they are not there.
    int digits(std::size_t count) {
        if (rest_.size() < count || !std::ranges::all_of(rest_.substr(0, count), is_digit)) {
            return -1;
        }
        int value = 0;
        std::from_chars(rest_.data(), rest_.data() + count, value);
        rest_.remove_prefix(count);
        return value;
    }
    /// One digit or more.
    bool number() {
        const std::size_t end = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
        rest_.remove_prefix(end);
        return end > 0;
    }

private:
    std::string_view rest_;
};

bool take_date(Scan& in) {
    const int year = in.digits(4);
    if (year < 0 || !in.take("-")) return false;
    const int month = in.digits(2);
    if (month < 1 || month > 12 || !in.take("-")) return false;
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int day = in.digits(2);
    return day >= 1 && day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

/// RFC 3339. A leap second only where it is 23:59:60 in UTC.
bool take_time(Scan& in) {
    const int hour = in.digits(2);
    if (hour < 0 || hour > 23 || !in.take(":")) return false;
    const int minute = in.digits(2);
    if (minute < 0 || minute > 59 || !in.take(":")) return false;
    const int second = in.digits(2);
    if (second < 0 || second > 60) return false;
    if (in.take(".") && !in.number()) return false;
    int offset = 0;
    if (!in.take("zZ")) {
        const bool east = in.take("+");
        if (!east && !in.take("-")) return false;
        const int hours = in.digits(2);
        if (hours < 0 || hours > 23 || !in.take(":")) return false;
        const int minutes = in.digits(2);
        if (minutes < 0 || minutes > 59) return false;
        offset = (hours * 60 + minutes) * (east ? 1 : -1);
    }
    const int utc = ((hour * 60 + minute - offset) % 1440 + 1440) % 1440;
    return second < 60 || utc == 1439;
}

bool is_date(std::string_view text) {
    Scan in(text);
    return take_date(in) && in.done();
}
bool is_time(std::string_view text) {
    Scan in(text);
    return take_time(in) && in.done();
}
bool is_date_time(std::string_view text) {
    Scan in(text);
    return take_date(in) && in.take("tT") && take_time(in) && in.done();
}

/// ISO 8601 durations as RFC 3339 appendix A has them: units descend without gaps.
bool take_units(Scan& in, std::string_view units, bool& any) {
    std::size_t next = 0;
    while (!in.done()) {
        Scan ahead = in;
        if (!ahead.number()) break;
        std::size_t unit = any && next > 0 ? next : 0;
        const std::size_t last = next > 0 ? next + 1 : units.size();
        for (; unit < last && unit < units.size(); ++unit) {
            if (ahead.take(units.substr(unit, 1))) break;
        }
        if (unit >= last || unit >= units.size()) return false;
        in = ahead;
        any = true;
        next = unit + 1;
    }
    return true;
}
bool is_duration(std::string_view text) {
    Scan in(text);
    if (!in.take("P")) return false;
    Scan weeks = in;
    if (weeks.number() && weeks.take("W")) return weeks.done();
    bool any = false;
    if (!take_units(in, "YMD", any)) return false;
    if (in.take("T")) {
        bool of_time = false;
        if (!take_units(in, "HMS", of_time) || !of_time) return false;
        any = true;
    }
    return any && in.done();
}

bool is_ipv4(std::string_view text) {
    in_addr address{};
    return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1 &&
           text.find('\0') == std::string_view::npos;
}
bool is_ipv6(std::string_view text) {
    in6_addr address{};
    return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1 &&
           text.find('\0') == std::string_view::npos;
}

/// RFC 1123 names.
bool is_hostname(std::string_view text) {
    if (text.empty() || text.size() > 253) return false;
    while (true) {
        const std::string_view label = text.substr(0, text.find('.'));
        const bool fine =
            !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
            std::ranges::all_of(label,
                                [](char c) { return is_letter(c) || is_digit(c) || c == '-'; }) &&
            (label.size() < 4 || label.substr(2, 2) != "--" || label.starts_with("xn--"));
        if (!fine) return false;
        if (label.size() == text.size()) return true;
        text.remove_prefix(label.size() + 1);
    }
}

/// RFC 5321: dot-separated words or one quoted text, at a name or an address in brackets.
bool is_email(std::string_view text) {
    const std::size_t at = text.rfind('@');
    if (at == std::string_view::npos || at == 0 || at > 64) return false;
    const std::string_view local = text.substr(0, at);
    const std::string_view domain = text.substr(at + 1);
    if (local.size() >= 2 && local.front() == '"' && local.back() == '"') {
        const std::string_view inside = local.substr(1, local.size() - 2);
        if (inside.find('"') != std::string_view::npos) return false;
    } else {
        constexpr std::string_view kAllowed = "!#$%&'*+-/=?^_`{|}~.";
        const bool fine = std::ranges::all_of(local, [&](char c) {
            return is_letter(c) || is_digit(c) || kAllowed.find(c) != std::string_view::npos;
        });
        if (!fine || local.front() == '.' || local.back() == '.' ||
            local.find("..") != std::string_view::npos) {
            return false;
        }
    }
    if (domain.size() > 2 && domain.front() == '[' && domain.back() == ']') {
        const std::string_view inside = domain.substr(1, domain.size() - 2);
        return inside.starts_with("IPv6:") ? is_ipv6(inside.substr(5)) : is_ipv4(inside);
    }
    return is_hostname(domain);
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !is_hex(text[i])) return false;
    }
    return true;
}

bool is_uri(std::string_view text) {
    return boost::urls::parse_uri({text.data(), text.size()}).has_value();
}
bool is_uri_reference(std::string_view text) {
    return boost::urls::parse_uri_reference({text.data(), text.size()}).has_value();
}

bool is_json_pointer(std::string_view text) {
    if (!text.empty() && text.front() != '/') return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '~') continue;
        if (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1')) return false;
    }
    return true;
}
bool is_relative_json_pointer(std::string_view text) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
    if (end == 0 || (end > 1 && text.front() == '0')) return false;
    return text.substr(end) == "#" || is_json_pointer(text.substr(end));
}

bool is_regex(std::string_view text) {
    return Regex::compile(text, Regex::Use::ecma_search).has_value();
}

}  // namespace

FormatTest format_test(std::string_view name) {
    constexpr std::pair<std::string_view, FormatTest> kFormats[] = {
        {"date", is_date},
        {"time", is_time},
        {"date-time", is_date_time},
        {"duration", is_duration},
        {"email", is_email},
        {"hostname", is_hostname},
        {"ipv4", is_ipv4},
        {"ipv6", is_ipv6},
        {"json-pointer", is_json_pointer},
        {"relative-json-pointer", is_relative_json_pointer},
        {"regex", is_regex},
        {"uri", is_uri},
        {"uri-reference", is_uri_reference},
        {"uuid", is_uuid},
    };
    const auto at = std::ranges::find(kFormats, name, [](const auto& each) { return each.first; });
    return at == std::end(kFormats) ? nullptr : at->second;
}

}  // namespace base::schema
