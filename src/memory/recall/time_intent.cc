#include "memory/recall/time_intent.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <vector>

namespace memory::recall {
namespace {

using std::chrono::sys_days;

constexpr UnixMs kDayMs = 24 * 3600 * 1000;
constexpr int kYearMin = 1900, kYearMax = 2199;
constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sunday",   "monday", "tuesday", "wednesday",
                                                       "thursday", "friday", "saturday"};
constexpr std::array<std::string_view, 13> kNumbers = {"zero", "one",    "two",   "three", "four",
                                                       "five", "six",    "seven", "eight", "nine",
                                                       "ten",  "eleven", "twelve"};

/// Words in lower case and numbers; CJK date characters are words of their own.
std::vector<std::string> words_of(std::string_view text) {
    constexpr std::string_view kCjk[] = {"年", "月", "日", "号"};
    std::vector<std::string> words(1);
    for (std::size_t at = 0; at < text.size();) {
        const auto cjk = std::ranges::find_if(
            kCjk, [&](std::string_view c) { return text.substr(at).starts_with(c); });
        if (cjk != std::end(kCjk)) {
            words.emplace_back(*cjk);
            words.emplace_back();
            at += cjk->size();
            continue;
        }
        const char c = text[at++];
        const bool digit = c >= '0' && c <= '9';
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!digit && !letter) {
            words.emplace_back();
            continue;
        }
        const bool last_digit = !words.back().empty() && words.back().back() <= '9';
        if (!words.back().empty() && last_digit != digit) words.emplace_back();
        words.back() += letter && c < 'a' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    std::erase(words, "");
    return words;
}

int number_of(const std::string& word) {
    if (word == "a" || word == "an") return 1;
    const auto named = std::ranges::find(kNumbers, word);
    if (named != kNumbers.end()) return static_cast<int>(named - kNumbers.begin());
    if (word.empty() || word.size() > 4) return -1;
    int value = 0;
    for (const char c : word) {
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

/// 1 to 12; 0: no month. Three letters or more of the name, "sept" too.
unsigned month_of(const std::string& word) {
    if (word.size() < 3) return 0;
    for (std::size_t m = 0; m < kMonths.size(); ++m) {
        const bool short_form = word.size() == 3 || word == "sept";
        if (kMonths[m] == word || (short_form && kMonths[m].starts_with(word))) {
            return static_cast<unsigned>(m + 1);
        }
    }
    return 0;
}

UnixMs ms_of(sys_days day) {
    return static_cast<UnixMs>(day.time_since_epoch().count()) * kDayMs;
}

TimeRange days(sys_days first, int count) {
    return {ms_of(first), ms_of(first + std::chrono::days(count))};
}
TimeRange month_range(int year, unsigned month) {
    const auto first = std::chrono::year(year) / std::chrono::month(month);
    return {ms_of(sys_days(first / 1)), ms_of(sys_days((first + std::chrono::months(1)) / 1))};
}
TimeRange year_range(int year) {
    return {ms_of(sys_days(std::chrono::year(year) / 1 / 1)),
            ms_of(sys_days(std::chrono::year(year + 1) / 1 / 1))};
}

class Reader {
public:
    Reader(std::string_view text, UnixMs now)
        : words_(words_of(text)),
          today_(std::chrono::days((now - ((now % kDayMs) + kDayMs) % kDayMs) / kDayMs)) {}

    std::optional<TimeRange> first() const {
        for (std::size_t at = 0; at < words_.size(); ++at) {
            if (const auto range = relative(at)) return range;
            if (const auto range = numeric(at)) return range;
            if (const auto range = named_month(at)) return range;
        }
        for (std::size_t at = 0; at < words_.size(); ++at) {
            const int year = year_at(at);
            if (year != 0) return year_range(year);
        }
        return std::nullopt;
    }

private:
    const std::string& word(std::size_t at) const {
        static const std::string kNothing;
        return at < words_.size() ? words_[at] : kNothing;
    }
    bool is_number(std::size_t at, int least, int most) const {
        if (word(at).empty() || word(at)[0] > '9') return false;
        const int value = number_of(word(at));
        return value >= least && value <= most;
    }
    int year_at(std::size_t at) const {
        return word(at).size() == 4 && is_number(at, kYearMin, kYearMax) ? number_of(word(at)) : 0;
    }
    std::chrono::year_month_day today() const { return std::chrono::year_month_day(today_); }
    int this_year() const { return static_cast<int>(today().year()); }

    /// The start of the week (Monday) that has today.
    sys_days this_week() const {
        return today_ - (std::chrono::weekday(today_) - std::chrono::Monday);
    }

    std::optional<TimeRange> relative(std::size_t at) const {
        const std::string& w = word(at);
        if (w == "today" || w == "tonight") return days(today_, 1);
        if (w == "yesterday") return days(today_ - std::chrono::days(1), 1);
        if (w == "tomorrow") return days(today_ + std::chrono::days(1), 1);
        if (w == "last" || w == "this" || w == "next") {
            return unit(word(at + 1), w == "last" ? -1 : w == "this" ? 0 : 1);
        }
        const int count = number_of(w);
        if (count < 0 || word(at + 2) != "ago") return std::nullopt;
        std::string name = word(at + 1);
        if (name.ends_with('s')) name.pop_back();
        if (name == "day") return days(today_ - std::chrono::days(count), 1);
        return unit(name, -count);
    }

    std::optional<TimeRange> unit(const std::string& name, int steps) const {
        if (name == "week") return days(this_week() + std::chrono::weeks(steps), 7);
        if (name == "weekend")
            return days(this_week() + std::chrono::weeks(steps) + std::chrono::days(5), 2);
        if (name == "year") return year_range(this_year() + steps);
        if (name == "month") {
            const auto month = std::chrono::year_month(today().year(), today().month()) +
                               std::chrono::months(steps);
            return month_range(static_cast<int>(month.year()),
                               static_cast<unsigned>(month.month()));
        }
        if (const unsigned month = month_of(name))
            return month_range(year_of(month, 1) + (steps > 0), month);
        const auto weekday = std::ranges::find(kWeekdays, name);
        if (weekday == kWeekdays.end()) return std::nullopt;
        const std::chrono::weekday wanted(static_cast<unsigned>(weekday - kWeekdays.begin()));
        if (steps < 0)
            return days(today_ - std::chrono::days(1) -
                            (std::chrono::weekday(today_ - std::chrono::days(1)) - wanted),
                        1);
        return days(today_ + (wanted - std::chrono::weekday(today_)), 1);
    }

    /// 2023-05-07, 2023/5, 2023年5月7日.
    std::optional<TimeRange> numeric(std::size_t at) const {
        const int year = year_at(at);
        if (year == 0) return std::nullopt;
        const std::size_t month_at = word(at + 1) == "年" ? at + 2 : at + 1;
        if (!is_number(month_at, 1, 12) || word(month_at).size() > 2) return std::nullopt;
        const auto month = static_cast<unsigned>(number_of(word(month_at)));
        const std::size_t day_at = word(month_at + 1) == "月" ? month_at + 2 : month_at + 1;
        if (!is_number(day_at, 1, 31) || word(day_at).size() > 2) return month_range(year, month);
        return day(year, month, static_cast<unsigned>(number_of(word(day_at))));
    }

    /// May 2023, 7 May 2023, May 7th, 2023; "may" alone is a verb.
    std::optional<TimeRange> named_month(std::size_t at) const {
        const unsigned month = month_of(word(at));
        if (month == 0) return std::nullopt;
        std::size_t next = at + 1;
        unsigned day_number = 0;
        if (is_number(next, 1, 31) && word(next).size() <= 2) {
            day_number = static_cast<unsigned>(number_of(word(next++)));
            if (is_ordinal(next)) ++next;
        } else {
            std::size_t back = at;
            if (back > 0 && word(back - 1) == "of") --back;
            if (back > 0 && is_ordinal(back - 1)) --back;
            if (back > 0 && is_number(back - 1, 1, 31) && word(back - 1).size() <= 2) {
                day_number = static_cast<unsigned>(number_of(word(back - 1)));
            }
        }
        const int year = year_at(next);
        if (day_number != 0)
            return day(year != 0 ? year : year_of(month, day_number), month, day_number);
        if (year != 0) return month_range(year, month);
        const bool said = at > 0 && (word(at - 1) == "in" || word(at - 1) == "of" ||
                                     word(at - 1) == "since" || word(at - 1) == "during");
        const bool verb = word(at) == "may" || word(at) == "march";
        if (!said && (verb || word(at).size() == 3)) return std::nullopt;
        return month_range(year_of(month, 1), month);
    }

    bool is_ordinal(std::size_t at) const {
        const std::string& w = word(at);
        return w == "st" || w == "nd" || w == "rd" || w == "th";
    }
    /// The last such day before or on today.
    int year_of(unsigned month, unsigned day) const {
        const auto now = today();
        const bool later = std::pair(month, day) > std::pair(static_cast<unsigned>(now.month()),
                                                             static_cast<unsigned>(now.day()));
        return this_year() - (later ? 1 : 0);
    }
    std::optional<TimeRange> day(int year, unsigned month, unsigned day) const {
        const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                               std::chrono::day(day)};
        if (!date.ok()) return month_range(year, month);
        return days(sys_days(date), 1);
    }

    std::vector<std::string> words_;
    sys_days today_;
};

}  // namespace

std::optional<TimeRange> time_asked(std::string_view text, UnixMs now) {
    return Reader(text, now).first();
}

}  // namespace memory::recall
