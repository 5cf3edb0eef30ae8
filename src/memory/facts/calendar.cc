// The calendar part of when.h.
#include <chrono>

#include "memory/facts/when.h"

namespace memory::facts {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr UnixMs kDayMs = 86'400'000;

UnixMs ms_of(sys_days day) {
    return day.time_since_epoch().count() * kDayMs;
}
sys_days day_at(UnixMs at) {
    const UnixMs number = at >= 0 ? at / kDayMs : -((-at + kDayMs - 1) / kDayMs);
    return sys_days(days(number));
}
year_month_day date_at(UnixMs at) {
    return year_month_day(day_at(at));
}
sys_days first_of(std::chrono::year_month month) {
    return sys_days(month / 1);
}

}  // namespace

Period year_of(int number) {
    return {ms_of(sys_days(year(number) / 1 / 1)), ms_of(sys_days(year(number + 1) / 1 / 1))};
}

Period month_of(int number, unsigned month) {
    const auto first = year(number) / std::chrono::month(month);
    return {ms_of(first_of(first)), ms_of(first_of(first + std::chrono::months(1)))};
}

std::optional<Period> day_of(int number, unsigned month, unsigned day) {
    const year_month_day date = year(number) / std::chrono::month(month) / std::chrono::day(day);
    if (!date.ok()) return std::nullopt;
    const UnixMs from = ms_of(sys_days(date));
    return Period{from, from + kDayMs};
}

Period day_from(UnixMs said_at, int count) {
    const UnixMs from = ms_of(day_at(said_at) + days(count));
    return {from, from + kDayMs};
}

Period week_from(UnixMs said_at, int weeks) {
    const sys_days today = day_at(said_at);
    const auto since_monday = std::chrono::weekday(today) - std::chrono::Monday;
    const UnixMs from = ms_of(today - since_monday + days(7 * weeks));
    return {from, from + 7 * kDayMs};
}

Period month_from(UnixMs said_at, int months) {
    const year_month_day today = date_at(said_at);
    const auto month = today.year() / today.month() + std::chrono::months(months);
    return month_of(static_cast<int>(month.year()), static_cast<unsigned>(month.month()));
}

Period year_from(UnixMs said_at, int years) {
    return year_of(static_cast<int>(date_at(said_at).year()) + years);
}

Period ago(UnixMs said_at, int count, char unit) {
    if (unit == 'd' || unit == 'w') return day_from(said_at, -count * (unit == 'w' ? 7 : 1));
    const year_month_day today = date_at(said_at);
    const auto month =
        today.year() / today.month() - std::chrono::months(unit == 'y' ? 12 * count : count);
    year_month_day date = month / today.day();
    if (!date.ok()) date = month / std::chrono::last;
    const UnixMs from = ms_of(sys_days(date));
    return {from, from + kDayMs};
}

Period last_month_named(UnixMs said_at, unsigned month) {
    const year_month_day today = date_at(said_at);
    const bool begun = std::chrono::month(month) <= today.month();
    return month_of(static_cast<int>(today.year()) - (begun ? 0 : 1), month);
}

}  // namespace memory::facts
