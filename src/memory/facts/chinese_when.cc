// Statements of time in Chinese: 2019年5月, 去年, 三年前, 从...起, 从...到..., 直到....
#include <array>
#include <utility>

#include "memory/facts/when.h"

namespace memory::facts {
namespace {

struct Named {
    std::string_view text;
    char unit;
    int step;
};
constexpr auto kNamed = std::to_array<Named>({
    {"昨天", 'd', -1},
    {"前天", 'd', -2},
    {"今天", 'd', 0},
    {"明天", 'd', 1},
    {"上个星期", 'w', -1},
    {"上星期", 'w', -1},
    {"上周", 'w', -1},
    {"这周", 'w', 0},
    {"上个月", 'm', -1},
    {"这个月", 'm', 0},
    {"下个月", 'm', 1},
    {"前年", 'y', -2},
    {"去年", 'y', -1},
    {"今年", 'y', 0},
    {"明年", 'y', 1},
});
constexpr auto kDigits = std::to_array<std::pair<std::string_view, int>>({{"一", 1},
                                                                          {"两", 2},
                                                                          {"二", 2},
                                                                          {"三", 3},
                                                                          {"四", 4},
                                                                          {"五", 5},
                                                                          {"六", 6},
                                                                          {"七", 7},
                                                                          {"八", 8},
                                                                          {"九", 9},
                                                                          {"十", 10}});

/// A number in digits or one character; the bytes used, or 0.
std::size_t number_at(std::string_view text, int& value) {
    std::size_t used = 0;
    value = 0;
    while (used < text.size() && used < 4 && text[used] >= '0' && text[used] <= '9') {
        value = value * 10 + (text[used++] - '0');
    }
    if (used > 0) return used;
    for (const auto& [digit, number] : kDigits) {
        if (!text.starts_with(digit)) continue;
        value = number;
        return digit.size();
    }
    return 0;
}

std::size_t number_and(std::string_view text, std::initializer_list<std::string_view> units,
                       int& value) {
    const std::size_t digits = number_at(text, value);
    if (digits == 0) return 0;
    for (const std::string_view unit : units) {
        if (text.substr(digits).starts_with(unit)) return digits + unit.size();
    }
    return 0;
}

/// 2019年, 2019年5月, 2019年5月3日, 5月3日: the bytes used, or 0.
std::size_t date_at(std::string_view text, UnixMs said_at, Period& out) {
    int year = 0, month = 0, day = 0;
    std::size_t used = number_and(text, {"年"}, year);
    if (used != 0 && (year < 1900 || year > 2100)) return 0;
    const std::size_t with_month = number_and(text.substr(used), {"月份", "月"}, month);
    if (used == 0 && with_month == 0) return 0;
    if (with_month == 0) {
        out = year_of(year);
        return used;
    }
    if (month < 1 || month > 12) return 0;
    const Period named = used != 0 ? month_of(year, static_cast<unsigned>(month))
                                   : last_month_named(said_at, static_cast<unsigned>(month));
    used += with_month;
    out = named;
    const std::size_t with_day = number_and(text.substr(used), {"日", "号"}, day);
    if (with_day == 0) return used;
    const UnixMs from = named.from + (day - 1) * 86'400'000ll;
    if (day < 1 || from >= named.to) return 0;
    out = {from, from + 86'400'000};
    return used + with_day;
}

std::size_t named_at(std::string_view text, UnixMs said_at, Period& out) {
    for (const Named& named : kNamed) {
        if (!text.starts_with(named.text)) continue;
        out = named.unit == 'd'   ? day_from(said_at, named.step)
              : named.unit == 'w' ? week_from(said_at, named.step)
              : named.unit == 'm' ? month_from(said_at, named.step)
                                  : year_from(said_at, named.step);
        return named.text.size();
    }
    int count = 0;
    for (const auto& [unit, letter] : {std::pair("年前", 'y'),
                                       {"个月前", 'm'},
                                       {"天前", 'd'},
                                       {"周前", 'w'},
                                       {"个星期前", 'w'}}) {
        const std::size_t used = number_and(text, {unit}, count);
        if (used == 0) continue;
        out = ago(said_at, count, letter);
        return used;
    }
    return 0;
}

bool take_end(std::string& text, std::initializer_list<std::string_view> endings) {
    for (const std::string_view ending : endings) {
        if (!text.ends_with(ending)) continue;
        text.resize(text.size() - ending.size());
        return true;
    }
    return false;
}

std::size_t starts(std::string_view text, std::initializer_list<std::string_view> beginnings) {
    for (const std::string_view beginning : beginnings) {
        if (text.starts_with(beginning)) return beginning.size();
    }
    return 0;
}

}  // namespace

When chinese_when_of(std::string& clause, UnixMs said_at) {
    When out;
    std::string rest;
    const std::string_view text = clause;
    for (std::size_t i = 0; i < text.size();) {
        Period period;
        const bool inside_number = !rest.empty() && rest.back() >= '0' && rest.back() <= '9';
        std::size_t used = inside_number ? 0 : date_at(text.substr(i), said_at, period);
        if (used == 0 && !inside_number) used = named_at(text.substr(i), said_at, period);
        if (used == 0) {
            rest += text[i++];
            continue;
        }
        i += used;
        const bool since_before = take_end(rest, {"自从", "从", "自"});
        const bool until_before = take_end(rest, {"一直到", "直到", "到", "至"});
        const std::size_t since_after = starts(text.substr(i), {"起", "开始", "以来"});
        const std::size_t vague = starts(text.substr(i), {"之前", "以前", "之后", "以后", "左右"});
        i += since_after != 0 ? since_after : vague != 0 ? vague : starts(text.substr(i), {"为止"});
        take_end(rest, {"在", "于"});
        if (vague != 0) {
            out.unclear = true;
        } else if (until_before) {
            out.until = period.from;
        } else if (since_before || since_after != 0) {
            out.since = period.from;
        } else {
            out.at = period;
        }
    }
    clause = std::move(rest);
    return out;
}

}  // namespace memory::facts
