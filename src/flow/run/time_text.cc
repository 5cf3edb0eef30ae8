#include "flow/run/time_text.h"

#include <chrono>
#include <cmath>
#include <cstdio>

namespace flow {

using base::Code;
using base::fail;

namespace {

/// Days since 1970-01-01 of a civil date; Howard Hinnant's public-domain formula as <chrono> has
/// it.
std::optional<std::int64_t> days_of(int year, unsigned month, unsigned day) {
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                           std::chrono::day(day)};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days(date).time_since_epoch().count();
}

base::Result<std::int64_t> from_text(const std::string& text) {
    int year = 0, hour = 0, minute = 0, read = 0;
    unsigned month = 0, day = 0;
    double second = 0;
    const int fields = std::sscanf(text.c_str(), "%4d-%2u-%2u%*1[Tt ]%2d:%2d:%lf%n", &year, &month,
                                   &day, &hour, &minute, &second, &read);
    const auto days = days_of(year, month, day);
    int zone_minutes = 0;
    bool good = fields == 6 && days && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 &&
                second >= 0 && second < 61;
    if (good) {
        const std::string zone = text.substr(static_cast<std::size_t>(read));
        int zone_hour = 0, zone_minute = 0;
        char sign = 0;
        if (zone != "Z" && zone != "z") {
            good = std::sscanf(zone.c_str(), "%c%2d:%2d", &sign, &zone_hour, &zone_minute) == 3 &&
                   (sign == '+' || sign == '-') && zone.size() == 6 && zone_hour < 24 &&
                   zone_minute < 60;
            zone_minutes = (sign == '-' ? -1 : 1) * (zone_hour * 60 + zone_minute);
        }
    }
    if (!good) {
        return fail(Code::invalid_argument,
                    "'{}' is not a moment; write it as 2026-12-01T09:00:00Z or in seconds since "
                    "1970",
                    text);
    }
    return ((*days * 24 + hour) * 60 + minute - zone_minutes) * 60'000 +
           static_cast<std::int64_t>(std::llround(second * 1000));
}

}  // namespace

base::Result<std::int64_t> moment_ms(const base::json::value& value) {
    if (value.is_string()) return from_text(std::string(value.get_string()));
    if (value.is_number()) {
        const double seconds = value.to_number<double>();
        if (std::isfinite(seconds) && seconds >= 0 && seconds < 1e11) {
            return static_cast<std::int64_t>(std::llround(seconds * 1000));
        }
    }
    return fail(
        Code::invalid_argument,
        "a moment is a text such as 2026-12-01T09:00:00Z or a number of seconds since 1970");
}

}  // namespace flow
