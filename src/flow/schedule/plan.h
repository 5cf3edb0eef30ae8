#pragma once
// Which moments of a schedule become runs. Pure: the time comes in, decisions come out.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flow/cron/time_zone.h"
#include "flow/definition/definition.h"

namespace flow {

/// A schedule with what its lines mean worked out.
struct Timetable {
    /// Errors: of the cron line and of the zone, which a deployed definition had right.
    static base::Result<Timetable> of(const Schedule& schedule);
    /// The first moment after `after_s`; empty: there is none.
    std::optional<std::int64_t> next(std::int64_t after_s) const;

    std::optional<Cron> cron;
    TimeZone zone;
    std::int64_t every_s = 0;
};

/// What is kept of a schedule. Moments are seconds since 1970.
struct ScheduleState {
    std::int64_t last_s = 0;            ///< all moments up to here are decided
    std::vector<std::int64_t> pending;  ///< decided for, and not started yet; in order
    bool paused = false;
    std::string last_run;  ///< the run it started last
    bool operator==(const ScheduleState&) const = default;
};

/// How far a moment is put off: the same after every restart.
std::int64_t jitter_s(const Schedule& schedule, std::string_view of, std::int64_t moment_s);

/// Decides for all moments that have come: those that are to become runs are pending then. `of`
/// tells this schedule from others, for the jitter. A clock that went back lets moments come anew;
/// their runs have the keys they had, so none starts twice.
void decide(const Schedule& schedule, const Timetable& table, std::string_view of,
            std::int64_t now_s, ScheduleState& state);

/// When decide() is to be called next; empty: never.
std::optional<std::int64_t> next_due_s(const Schedule& schedule, const Timetable& table,
                                       std::string_view of, const ScheduleState& state);

/// What comes of pending moments, given whether the last run is still open: those to start now, in
/// order; what is skipped leaves `state`, what has to wait stays, and what starts stays until
/// started() says that its run is durable.
std::vector<std::int64_t> to_start(const Schedule& schedule, bool last_is_open,
                                   ScheduleState& state);
void started(std::int64_t moment_s, std::string run, ScheduleState& state);

/// The idempotency key of a moment's run: one for each moment, whoever starts it and how often.
std::string moment_key(std::string_view workflow, std::string_view schedule, std::int64_t moment_s);

}  // namespace flow
