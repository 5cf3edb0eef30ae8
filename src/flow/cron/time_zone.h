#pragma once
// Clocks of places: what the machine's time zone database says, or a fixed offset.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "flow/cron/cron.h"

namespace flow {

/// Immutable.
class TimeZone {
public:
    /// "Europe/Berlin", "UTC", "", "+02:00". Errors: not_found (the database lacks it; says where
    /// it was looked for), invalid_argument (no name of a zone), data_loss.
    static base::Result<TimeZone> find(std::string_view name);
    /// From the bytes of a file of the database (RFC 8536, version 2 or later). Errors: data_loss.
    static base::Result<TimeZone> read(std::string_view bytes);

    /// How far its clock is ahead of UTC at a moment, in seconds.
    std::int32_t offset_at(std::int64_t utc_s) const;
    /// The first moment after `after_s` that `cron` names on this clock. One that the clock jumps
    /// over comes when it has jumped; one that it shows twice comes the first time alone.
    std::optional<std::int64_t> next(const Cron& cron, std::int64_t after_s) const;

private:
    struct Change {
        std::int64_t at_s = 0;
        std::int32_t offset_s = 0;
    };
    /// The rule after the last change: "M3.5.0/2" as month, week, weekday, seconds of the day.
    struct Day {
        int month = 0, week = 0, weekday = 0, second = 7'200;
    };
    bool read_rule(std::string_view text);

    std::int32_t first_offset_s_ = 0;
    std::vector<Change> changes_;
    bool has_rule_ = false;
    std::int32_t standard_s_ = 0, summer_s_ = 0;
    Day begins_, ends_;
};

}  // namespace flow
