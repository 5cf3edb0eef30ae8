#pragma once
// Statements of time in text, resolved against the moment they were said at. Calendar in UTC.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "memory/entry.h"
#include "memory/facts/words.h"

namespace memory::facts {

/// [from, to), a year, a month, a day.
struct Period {
    UnixMs from = 0, to = 0;
};

Period year_of(int year);
Period month_of(int year, unsigned month);
std::optional<Period> day_of(int year, unsigned month, unsigned day);
/// Whole days before or after the day of `said_at`.
Period day_from(UnixMs said_at, int days);
/// 0: the week (from Monday), month or year of `said_at`; -1: the one before.
Period week_from(UnixMs said_at, int weeks);
Period month_from(UnixMs said_at, int months);
Period year_from(UnixMs said_at, int years);
/// `unit`: 'd', 'w', 'm', 'y'. The day `count` units before that of `said_at`.
Period ago(UnixMs said_at, int count, char unit);
/// The last such month that had begun by `said_at`.
Period last_month_named(UnixMs said_at, unsigned month);

/// What a sentence says about time.
struct When {
    std::optional<UnixMs> since;  ///< "since May", "from 2019", "for three years"
    std::optional<UnixMs> until;  ///< "until 2020", the end of "from A to B"
    std::optional<Period> at;     ///< "in May 2024", "last week", "yesterday"
    bool unclear = false;         ///< "before", "after", "next": says something that is not used
};

/// Marks the words used.
When when_of(std::span<Word> words, UnixMs said_at);

/// Of a clause of Chinese text; takes out what it used.
When chinese_when_of(std::string& clause, UnixMs said_at);

}  // namespace memory::facts
