#include "flow/cron/cron.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "support/seeds.h"

namespace flow {
namespace {

namespace chrono = std::chrono;

std::int64_t at(int year, unsigned month, unsigned day, int hour = 0, int minute = 0) {
    const chrono::sys_days date(chrono::year(year) / chrono::month(month) / chrono::day(day));
    return chrono::seconds(date.time_since_epoch()).count() + hour * 3600 + minute * 60;
}

std::int64_t next(std::string_view text, std::int64_t after, std::int32_t offset_s = 0) {
    const auto cron = Cron::parse(text);
    EXPECT_TRUE(cron.has_value()) << text;
    return cron->next(after, offset_s).value_or(-1);
}

TEST(Cron, NamesTheNextMoment) {
    EXPECT_EQ(next("0 9 * * 1", at(2026, 11, 21)), at(2026, 11, 23, 9));
    EXPECT_EQ(next("*/15 * * * *", at(2026, 1, 1, 0, 15)), at(2026, 1, 1, 0, 30));
    EXPECT_EQ(next("*/15 * * * *", at(2026, 1, 1, 0, 14) + 59), at(2026, 1, 1, 0, 15));
    EXPECT_EQ(next("59 23 31 dec *", at(2026, 1, 1)), at(2026, 12, 31, 23, 59));
    EXPECT_EQ(next("0 0 29 2 *", at(2096, 3, 1)), at(2104, 2, 29));
    EXPECT_EQ(next("@daily", at(2026, 1, 1)), at(2026, 1, 2));
    EXPECT_EQ(next("0 0 * * SUN", at(2026, 11, 21)), next("0 0 * * 7", at(2026, 11, 21)));
    EXPECT_EQ(next("5/20 * * * *", at(2026, 1, 1, 0, 26)), at(2026, 1, 1, 0, 45));
}

TEST(Cron, EitherDayIsEnoughWhenBothAreSaid) {
    EXPECT_EQ(next("0 0 13 * fri", at(2026, 11, 21)), at(2026, 11, 27));
    EXPECT_EQ(next("0 0 13 * *", at(2026, 11, 21)), at(2026, 12, 13));
    EXPECT_EQ(next("0 0 29 2 mon", at(2026, 2, 1)), at(2026, 2, 2));
}

TEST(Cron, CountsOnTheClockOfTheZone) {
    EXPECT_EQ(next("0 9 * * *", at(2026, 6, 1), 7200), at(2026, 6, 1, 7));
    EXPECT_EQ(next("0 0 1 * *", at(2026, 6, 1), -5 * 3600), at(2026, 6, 1, 5));
    EXPECT_EQ(parse_zone_offset("+05:30"), 19800);
    EXPECT_EQ(parse_zone_offset("-08:00"), -28800);
    EXPECT_EQ(parse_zone_offset("UTC"), 0);
    EXPECT_FALSE(parse_zone_offset("+15:00"));
    EXPECT_FALSE(parse_zone_offset("Europe/Rome"));
}

TEST(Cron, RefusesWhatIsNone) {
    for (const char* text : {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *",
                             "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "a * * * *",
                             "1,,2 * * * *", "0 0 30 2 *", "0 0 31 4,6 *", "@never", "-1 * * * *",
                             "1- * * * *", "* * * mon *", "99999999999 * * * *"}) {
        EXPECT_FALSE(Cron::parse(text).has_value()) << text;
    }
}

/// What a field says, by trying every value against the text's parts.
bool says(const std::string& field, int value, int low, int high) {
    std::size_t begin = 0;
    while (begin <= field.size()) {
        const std::size_t end = std::min(field.find(',', begin), field.size());
        std::string part = field.substr(begin, end - begin);
        begin = end + 1;
        int step = 1, from = low, to = high;
        if (const auto slash = part.find('/'); slash != std::string::npos) {
            step = std::stoi(part.substr(slash + 1));
            part.resize(slash);
        }
        if (part != "*") {
            const auto dash = part.find('-');
            from = std::stoi(part);
            to = dash != std::string::npos ? std::stoi(part.substr(dash + 1))
                 : step > 1                ? high
                                           : from;
        }
        if (value >= from && value <= to && (value - from) % step == 0) return true;
    }
    return false;
}

TEST(Cron, AgreesWithTryingEveryMinute) {
    test::for_each_seed(150, [](base::Rng& rng) {
        const auto field = [&](int low, int high) {
            std::string out;
            for (std::uint64_t n = 1 + rng.below(2); n > 0; --n) {
                const int a = low + static_cast<int>(rng.below(high - low + 1));
                const int b = a + static_cast<int>(rng.below(high - a + 1));
                out += out.empty() ? "" : ",";
                switch (rng.below(4)) {
                    case 0:
                        return std::string("*");
                    case 1:
                        out += std::to_string(a);
                        break;
                    case 2:
                        out += std::to_string(a) + "-" + std::to_string(b);
                        break;
                    default:
                        out += "*/" + std::to_string(2 + rng.below(9));
                }
            }
            return out;
        };
        const std::string f[] = {field(0, 59), field(0, 23), field(1, 28), field(1, 12),
                                 field(0, 6)};
        const std::string text = f[0] + " " + f[1] + " " + f[2] + " " + f[3] + " " + f[4];
        const auto cron = Cron::parse(text);
        ASSERT_TRUE(cron.has_value()) << text;
        const std::int64_t after =
            at(2026, 1, 1) + static_cast<std::int64_t>(rng.below(40'000'000));
        const auto offset = static_cast<std::int32_t>(rng.below(48)) * 1800 - 43200;
        const auto found = cron->next(after, offset);
        ASSERT_TRUE(found.has_value());
        ASSERT_GT(*found, after);
        const bool any_day = f[2][0] == '*', any_weekday = f[4][0] == '*';
        for (std::int64_t t = (after / 60 + 1) * 60; t <= *found; t += 60) {
            const chrono::sys_seconds local{chrono::seconds(t + offset)};
            const auto day = chrono::floor<chrono::days>(local);
            const chrono::year_month_day date(day);
            const auto minute = (local - day) / chrono::minutes(1);
            const bool by_day =
                says(f[2], static_cast<int>(static_cast<unsigned>(date.day())), 1, 31);
            const bool by_weekday =
                says(f[4], static_cast<int>(chrono::weekday(day).c_encoding()), 0, 6);
            const bool days = any_day || any_weekday ? by_day && by_weekday : by_day || by_weekday;
            const bool hit =
                days && says(f[3], static_cast<int>(static_cast<unsigned>(date.month())), 1, 12) &&
                says(f[1], static_cast<int>(minute / 60), 0, 23) &&
                says(f[0], static_cast<int>(minute % 60), 0, 59);
            ASSERT_EQ(hit, t == *found) << text << " at " << t;
        }
    });
}

}  // namespace
}  // namespace flow
