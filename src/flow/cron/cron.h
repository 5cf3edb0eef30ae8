#pragma once
// Moments as crontab names them: minute, hour, day of month, month, day of week.

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/core/result.h"

namespace flow {

/// Immutable, small.
class Cron {
public:
    /// Five fields of `*`, numbers, ranges `a-b`, steps `*/n` `a-b/n` `a/n`, lists with commas,
    /// names (jan-dec, sun-sat; 7 is Sunday), or @hourly, @daily, @midnight, @weekly, @monthly,
    /// @yearly, @annually. When day of month and day of week both say something, one of them is
    /// enough, as in crontab(5). Errors: invalid_argument (names the field; also what never comes,
    /// such as 30 February).
    static base::Result<Cron> parse(std::string_view text);

    /// The first moment after `after_s` (seconds since 1970 UTC) on a clock that is `offset_s`
    /// ahead of UTC. Empty past the year 9999.
    std::optional<std::int64_t> next(std::int64_t after_s, std::int32_t offset_s = 0) const;

    bool operator==(const Cron&) const = default;

private:
    bool day_matches(unsigned month, unsigned day, unsigned weekday) const;

    std::uint64_t minutes_ = 0;
    std::uint32_t hours_ = 0, days_ = 0;
    std::uint16_t months_ = 0;
    std::uint8_t weekdays_ = 0;
    bool any_day_ = false, any_weekday_ = false;
};

/// "+02:00", "-05:30", "Z" or "UTC" in seconds; at most 14 hours.
std::optional<std::int32_t> parse_zone_offset(std::string_view text);

}  // namespace flow
