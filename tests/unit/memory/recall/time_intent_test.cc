#include <gtest/gtest.h>

#include <chrono>

#include "base/core/rng.h"
#include "memory/recall/time_intent.h"
#include "support/seeds.h"

namespace {

using memory::recall::time_asked;
using std::chrono::day;
using std::chrono::month;
using std::chrono::sys_days;
using std::chrono::year;

constexpr memory::UnixMs kDayMs = 86'400'000;

memory::UnixMs at(int y, unsigned m, unsigned d) {
    return sys_days(year(y) / month(m) / day(d)).time_since_epoch().count() * kDayMs;
}

// Wednesday, 15:00.
const memory::UnixMs kNow = at(2023, 8, 16) + 15 * 3'600'000;

void expect_range(const char* text, memory::UnixMs from, memory::UnixMs to) {
    const auto range = time_asked(text, kNow);
    ASSERT_TRUE(range.has_value()) << text;
    EXPECT_EQ(range->from_unix_ms, from) << text;
    EXPECT_EQ(range->to_unix_ms, to) << text;
}

TEST(TimeIntent, ReadsDatesAsPeopleWriteThem) {
    for (const char* text : {"on 7 May 2023", "May 7th, 2023?", "the 7th of May, 2023",
                             "2023-05-07", "2023年5月7日", "on May 7"}) {
        expect_range(text, at(2023, 5, 7), at(2023, 5, 8));
    }
    expect_range("in May 2023", at(2023, 5, 1), at(2023, 6, 1));
    expect_range("2023年5月", at(2023, 5, 1), at(2023, 6, 1));
    expect_range("what happened in 2022?", at(2022, 1, 1), at(2023, 1, 1));
    expect_range("in December", at(2022, 12, 1), at(2023, 1, 1));
}

TEST(TimeIntent, CountsFromNow) {
    expect_range("yesterday", at(2023, 8, 15), at(2023, 8, 16));
    expect_range("two days ago", at(2023, 8, 14), at(2023, 8, 15));
    expect_range("last week", at(2023, 8, 7), at(2023, 8, 14));
    expect_range("last month", at(2023, 7, 1), at(2023, 8, 1));
    expect_range("3 months ago", at(2023, 5, 1), at(2023, 6, 1));
    expect_range("last year", at(2022, 1, 1), at(2023, 1, 1));
    expect_range("last Friday", at(2023, 8, 11), at(2023, 8, 12));
    expect_range("this weekend", at(2023, 8, 19), at(2023, 8, 21));
}

TEST(TimeIntent, SeesNoneWhereThereIsNone) {
    for (const char* text : {"May I ask who sat there?", "They march on", "the last one", "",
                             "how many days", "31 ducks"}) {
        EXPECT_FALSE(time_asked(text, kNow).has_value()) << text;
    }
}

TEST(TimeIntent, NeverGivesAnEmptyOrBackwardRange) {
    static constexpr const char* kWords[] = {
        "last", "next", "this",  "week", "May", "31",     "february", "2024", "-",   "0",   "year",
        "ago",  "9999", "month", "日",   "年",  "月",     "th",       "of",   "on",  "may", "30",
        "two",  "days", "1900",  "29",   "feb", "friday", "a",        "in",   "sept"};
    test::for_each_seed(2'000, [](base::Rng& rng) {
        std::string text;
        for (std::uint64_t n = rng.below(8); n-- > 0;) {
            text += kWords[rng.below(std::size(kWords))];
            if (rng.below(4) != 0) text += " ";
        }
        const auto now = static_cast<memory::UnixMs>(rng.below(4'000'000'000'000));
        if (const auto range = time_asked(text, now)) {
            EXPECT_LT(range->from_unix_ms, range->to_unix_ms) << text;
        }
    });
}

}  // namespace
