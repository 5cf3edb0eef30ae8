// English statements of time: a preposition, a period, sometimes a second one.
#include "memory/facts/when.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace memory::facts {
namespace {

constexpr auto kMonths =
    std::to_array<std::string_view>({"january", "february", "march", "april", "may", "june", "july",
                                     "august", "september", "october", "november", "december"});
constexpr auto kDays = std::to_array<std::string_view>(
    {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"});
constexpr auto kNumbers =
    std::to_array<std::string_view>({"zero", "one", "two", "three", "four", "five", "six", "seven",
                                     "eight", "nine", "ten", "eleven", "twelve"});

std::optional<int> digits(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<unsigned> month_named(std::string_view word) {
    for (std::size_t i = 0; i < kMonths.size(); ++i) {
        const bool whole = word == kMonths[i];
        const bool short_form = word.size() >= 3 && word.size() <= 4 && word != "mar" &&
                                kMonths[i].starts_with(word) && word != "may";
        if (whole || short_form) return static_cast<unsigned>(i + 1);
    }
    return std::nullopt;
}

/// Reads from one place; `used` counts the words of what was understood.
class Reader {
public:
    Reader(std::span<Word> words, UnixMs said_at) : words_(words), said_at_(said_at) {}

    /// A period at `i`: "May 2024", "3 May", "2019-05-01", "last week", "two years ago".
    std::optional<Period> period(std::size_t i, std::size_t& used, bool bare_year) const {
        if (auto found = named_day(i, used)) return found;
        if (auto found = iso(i, used)) return found;
        if (auto found = month(i, used)) return found;
        if (auto found = relative(i, used)) return found;
        if (auto found = ago_at(i, used)) return found;
        const auto year = bare_year ? year_at(i) : std::nullopt;
        if (!year) return std::nullopt;
        used = 1;
        return year_of(*year);
    }

    /// "three years", "a month", "2 weeks".
    bool amount(std::size_t i, int& count, char& unit) const {
        const std::string_view first = at(i), second = at(i + 1);
        if (first == "a" || first == "an") {
            count = 1;
        } else if (const auto number = digits(first)) {
            count = *number;
        } else {
            const auto named = std::ranges::find(kNumbers, first);
            if (named == kNumbers.end()) return false;
            count = static_cast<int>(named - kNumbers.begin());
        }
        static constexpr auto kUnits = std::to_array<std::string_view>(
            {"day", "days", "week", "weeks", "month", "months", "year", "years"});
        if (std::ranges::find(kUnits, second) == kUnits.end()) return false;
        unit = second[0];
        return count >= 0 && count < 1'000;
    }

    std::string_view at(std::size_t i) const {
        return i < words_.size() ? std::string_view(words_[i].lower) : std::string_view();
    }

private:
    std::optional<int> year_at(std::size_t i) const {
        const auto number = digits(at(i));
        if (!number || *number < 1900 || *number > 2100) return std::nullopt;
        return number;
    }

    std::optional<unsigned> day_number(std::size_t i) const {
        std::string_view word = at(i);
        for (const std::string_view ending : {"st", "nd", "rd", "th"}) {
            if (word.size() > 2 && word.ends_with(ending)) word.remove_suffix(2);
        }
        const auto number = digits(word);
        if (!number || *number < 1 || *number > 31) return std::nullopt;
        return static_cast<unsigned>(*number);
    }

    std::optional<Period> iso(std::size_t i, std::size_t& used) const {
        const std::string_view word = at(i);
        if (word.size() != 10 && word.size() != 7) return std::nullopt;
        const auto year = digits(word.substr(0, 4)), month = digits(word.substr(5, 2));
        if (word[4] != '-' || !year || !month || *month < 1 || *month > 12) return std::nullopt;
        used = 1;
        if (word.size() == 7) return month_of(*year, static_cast<unsigned>(*month));
        const auto day = digits(word.substr(8, 2));
        if (word[7] != '-' || !day || *day < 1) return std::nullopt;
        return day_of(*year, static_cast<unsigned>(*month), static_cast<unsigned>(*day));
    }

    /// "May 2024", "May 3, 2024", "3 May 2024", "3rd of May", "May" (written with a capital).
    std::optional<Period> month(std::size_t i, std::size_t& used) const {
        std::size_t k = i;
        std::optional<unsigned> day;
        if (day_number(k) &&
            (month_named(at(k + 1)) || (at(k + 1) == "of" && month_named(at(k + 2))))) {
            day = day_number(k);
            k += at(k + 1) == "of" ? 2 : 1;
        }
        const auto named = month_named(at(k));
        if (!named || !words_[k].capital) return std::nullopt;
        ++k;
        if (!day && day_number(k) && !year_at(k)) day = day_number(k++);
        const std::size_t comma = at(k) == "," ? 1 : 0;
        std::optional<int> year = year_at(k + comma);
        if (year) k += comma + 1;
        used = k - i;
        if (!year && !day) return last_month_named(said_at_, *named);
        if (!day) return month_of(*year, *named);
        if (year) return day_of(*year, *named, *day);
        const auto this_year = day_of(1900 + years_since_1900(0), *named, *day);
        if (this_year && this_year->from <= said_at_) return this_year;
        return day_of(1900 + years_since_1900(-1), *named, *day);
    }

    int years_since_1900(int offset) const {
        int year = 1900;
        const UnixMs from = year_from(said_at_, offset).from;
        while (year < 2200 && year_of(year).from < from) ++year;
        return year - 1900;
    }

    std::optional<Period> named_day(std::size_t i, std::size_t& used) const {
        used = 1;
        if (at(i) == "yesterday") return day_from(said_at_, -1);
        if (at(i) == "today") return day_from(said_at_, 0);
        if (at(i) == "tomorrow") return day_from(said_at_, 1);
        return std::nullopt;
    }

    std::optional<Period> relative(std::size_t i, std::size_t& used) const {
        const std::string_view which = at(i), what = at(i + 1);
        const int step = which == "last" ? -1 : which == "this" ? 0 : which == "next" ? 1 : 2;
        if (step == 2) return std::nullopt;
        used = 2;
        if (what == "week") return week_from(said_at_, step);
        if (what == "month") return month_from(said_at_, step);
        if (what == "year") return year_from(said_at_, step);
        const auto day = std::ranges::find(kDays, what);
        if (day != kDays.end() && step == -1) {
            const int index = static_cast<int>(day - kDays.begin());
            for (int back = 1; back <= 7; ++back) {
                const Period tried = day_from(said_at_, -back);
                if (tried.from == week_from(tried.from, 0).from + index * 86'400'000ll)
                    return tried;
            }
        }
        const auto named = month_named(what);
        if (!named || !words_[i + 1].capital || step == 1) return std::nullopt;
        return last_month_named(step == -1 ? month_from(said_at_, -1).from : said_at_, *named);
    }

    std::optional<Period> ago_at(std::size_t i, std::size_t& used) const {
        int count = 0;
        char unit = 0;
        if (!amount(i, count, unit) || at(i + 2) != "ago") return std::nullopt;
        used = 3;
        return ago(said_at_, count, unit);
    }

    std::span<Word> words_;
    UnixMs said_at_;
};

void mark(std::span<Word> words, std::size_t begin, std::size_t count) {
    for (std::size_t i = begin; i < begin + count && i < words.size(); ++i) words[i].time = true;
}

bool one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::ranges::find(list, word) != list.end();
}

/// "from A to B" and "between A and B": the words used, or 0.
std::size_t range_at(const Reader& reader, std::size_t i, When& out) {
    const bool from = reader.at(i) == "from", between = reader.at(i) == "between";
    if (!from && !between) return 0;
    std::size_t first = 0, second = 0;
    const auto begin = reader.period(i + 1, first, true);
    if (!begin) return 0;
    const std::size_t middle = i + 1 + first;
    const std::string_view word = reader.at(middle);
    const bool joined = between ? word == "and" : one_of(word, {"to", "until", "till", "through"});
    const auto end = joined ? reader.period(middle + 1, second, true) : std::nullopt;
    if (!end) {
        if (between) return 0;
        out.since = begin->from;
        return 1 + first + (reader.at(middle) == "on" ? 1 : 0);
    }
    out.since = begin->from;
    out.until = end->from > begin->from && word != "through" ? end->from : end->to;
    return 1 + first + 1 + second;
}

/// "since May", "until 2020", "in May 2024", "for three years": the words used, or 0.
std::size_t with_preposition(const Reader& reader, std::size_t i, UnixMs said_at, When& out) {
    const std::string_view word = reader.at(i);
    std::size_t used = 0;
    if (word == "for") {
        int count = 0;
        char unit = 0;
        const std::size_t filler = one_of(reader.at(i + 1), {"about", "over", "almost"}) ? 1 : 0;
        if (!reader.amount(i + 1 + filler, count, unit)) return 0;
        out.since = ago(said_at, count, unit).from;
        return 3 + filler;
    }
    const bool since = one_of(word, {"since", "starting"}), until = one_of(word, {"until", "till"});
    const bool in = one_of(word, {"in", "on", "during"});
    const bool vague = one_of(word, {"before", "after", "by", "around"});
    if (!since && !until && !in && !vague) return 0;
    const std::size_t filler = since && one_of(reader.at(i + 1), {"in", "on", "from"}) ? 1 : 0;
    const auto period = reader.period(i + 1 + filler, used, true);
    if (!period) return 0;
    if (since) out.since = period->from;
    if (until) out.until = period->from;
    if (in) out.at = period;
    if (vague) out.unclear = true;
    return 1 + filler + used;
}

}  // namespace

When when_of(std::span<Word> words, UnixMs said_at) {
    When out;
    const Reader reader(words, said_at);
    for (std::size_t i = 0; i < words.size();) {
        std::size_t used = range_at(reader, i, out);
        if (used == 0) used = with_preposition(reader, i, said_at, out);
        if (used == 0) {
            if (const auto period = reader.period(i, used, false)) {
                out.at = period;
            } else {
                used = 0;
            }
        }
        mark(words, i, used);
        i += std::max<std::size_t>(used, 1);
    }
    return out;
}

}  // namespace memory::facts
