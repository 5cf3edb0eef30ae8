#include "flow/cron/cron.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <span>
#include <string>
#include <vector>

namespace flow {
namespace {

using base::Code;
using base::Result;

struct FieldRule {
    std::string_view name;
    unsigned min, max;
    std::span<const std::string_view> names;  ///< of `first_name` and what follows
    unsigned first_name = 0;
};

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kDays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr FieldRule kFields[] = {{"minute", 0, 59, {}},
                                 {"hour", 0, 23, {}},
                                 {"day of month", 1, 31, {}},
                                 {"month", 1, 12, kMonths, 1},
                                 {"day of week", 0, 7, kDays, 0}};
constexpr std::pair<std::string_view, std::string_view> kShort[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

std::optional<unsigned> number(std::string_view text) {
    unsigned value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || rest != text.data() + text.size() || value > 9999) {
        return std::nullopt;
    }
    return value;
}

std::optional<unsigned> number_or_name(std::string_view text, const FieldRule& rule) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    for (std::size_t i = 0; i < rule.names.size(); ++i) {
        if (lower == rule.names[i]) return rule.first_name + static_cast<unsigned>(i);
    }
    const auto value = number(text);
    return value && *value >= rule.min && *value <= rule.max ? value : std::nullopt;
}

/// `*`, `a`, `a-b`, each with an optional `/n`.
Result<std::uint64_t> part_bits(std::string_view part, const FieldRule& rule) {
    const auto wrong = [&](std::string_view what) {
        return base::fail(Code::invalid_argument,
                          "'{}' is no {}: {}; expected {} to {}, as 5, 1-5, */2 or 1,3", part,
                          rule.name, what, rule.min, rule.max);
    };
    const std::size_t slash = part.find('/');
    const std::string_view range = part.substr(0, slash);
    unsigned step = 1, low = rule.min, high = rule.max == 7 ? 6 : rule.max;
    if (slash != std::string_view::npos) {
        const auto given = number(part.substr(slash + 1));
        if (!given || *given == 0) return wrong("the step is not a number above 0");
        step = *given;
    }
    if (range != "*") {
        const std::size_t dash = range.find('-');
        const auto from = number_or_name(range.substr(0, dash), rule);
        if (!from) return wrong("not known");
        low = *from;
        if (dash != std::string_view::npos) {
            const auto to = number_or_name(range.substr(dash + 1), rule);
            if (!to) return wrong("the range's end is not known");
            high = *to;
        } else if (slash == std::string_view::npos) {
            high = low;
        }
        if (low > high) return wrong("the range runs backwards");
    }
    std::uint64_t bits = 0;
    for (unsigned i = low; i <= high; i += step) bits |= std::uint64_t{1} << i;
    return bits;
}

Result<std::uint64_t> field_bits(std::string_view field, const FieldRule& rule) {
    std::uint64_t bits = 0;
    while (true) {
        const std::size_t comma = field.find(',');
        bits |= DG_TRY(part_bits(field.substr(0, comma), rule));
        if (comma == std::string_view::npos) return bits;
        field.remove_prefix(comma + 1);
    }
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = text.find_first_not_of(" \t", at);
        if (begin == std::string_view::npos) break;
        const std::size_t end = std::min(text.find_first_of(" \t", begin), text.size());
        words.push_back(text.substr(begin, end - begin));
        at = end;
    }
    return words;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
    for (const auto& [name, meaning] : kShort) {
        if (text == name) text = meaning;
    }
    const std::vector<std::string_view> words = words_of(text);
    if (words.size() != std::size(kFields)) {
        return base::fail(Code::invalid_argument,
                          "'{}' has {} fields, expected 5: minute, hour, day of month, month, day "
                          "of week",
                          text, words.size());
    }
    std::uint64_t bits[std::size(kFields)];
    for (std::size_t i = 0; i < words.size(); ++i) {
        bits[i] = DG_TRY(field_bits(words[i], kFields[i]));
    }
    Cron cron;
    cron.minutes_ = bits[0];
    cron.hours_ = static_cast<std::uint32_t>(bits[1]);
    cron.days_ = static_cast<std::uint32_t>(bits[2]);
    cron.months_ = static_cast<std::uint16_t>(bits[3]);
    cron.weekdays_ = static_cast<std::uint8_t>((bits[4] & 0x7F) | (bits[4] >> 7 & 1));
    cron.any_day_ = words[2].starts_with('*');
    cron.any_weekday_ = words[4].starts_with('*');
    if (!cron.next(0)) {
        return base::fail(Code::invalid_argument, "'{}' never comes: no such day", text);
    }
    return cron;
}

bool Cron::day_matches(unsigned month, unsigned day, unsigned weekday) const {
    if ((months_ >> month & 1) == 0) return false;
    const bool by_day = (days_ >> day & 1) != 0, by_weekday = (weekdays_ >> weekday & 1) != 0;
    if (any_day_ || any_weekday_) return by_day && by_weekday;
    return by_day || by_weekday;
}

std::optional<std::int64_t> Cron::next(std::int64_t after_s, std::int32_t offset_s) const {
    namespace chrono = std::chrono;
    constexpr std::int64_t kYear9999 = 253'402'300'799, kYear1 = -62'135'596'800;
    // Past the longest wait between two 29ths of February that are one day of the week.
    constexpr int kDaysMax = 366 * 45;
    if (after_s < kYear1 || after_s > kYear9999) return std::nullopt;
    const auto start =
        chrono::floor<chrono::minutes>(chrono::seconds(after_s + offset_s)) + chrono::minutes(1);
    chrono::sys_days day(chrono::floor<chrono::days>(start));
    auto first = static_cast<unsigned>((start - day.time_since_epoch()) / chrono::minutes(1));
    for (int i = 0; i < kDaysMax; ++i, day += chrono::days(1), first = 0) {
        const chrono::year_month_day date(day);
        const chrono::weekday weekday(day);
        if (!day_matches(static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                         weekday.c_encoding())) {
            continue;
        }
        for (unsigned hour = first / 60; hour < 24; ++hour) {
            if ((hours_ >> hour & 1) == 0) continue;
            const unsigned from = hour == first / 60 ? first % 60 : 0;
            const std::uint64_t left = minutes_ >> from << from;
            if (left == 0) continue;
            const auto minute = static_cast<unsigned>(std::countr_zero(left));
            return chrono::seconds(day.time_since_epoch()).count() + hour * 3600 + minute * 60 -
                   offset_s;
        }
    }
    return std::nullopt;
}

std::optional<std::int32_t> parse_zone_offset(std::string_view text) {
    if (text == "Z" || text == "UTC") return 0;
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
        return std::nullopt;
    }
    const auto hours = number(text.substr(1, 2)), minutes = number(text.substr(4, 2));
    if (!hours || !minutes || *minutes > 59 || *hours * 60 + *minutes > 14 * 60) {
        return std::nullopt;
    }
    const auto offset = static_cast<std::int32_t>((*hours * 60 + *minutes) * 60);
    return text[0] == '-' ? -offset : offset;
}

}  // namespace flow
