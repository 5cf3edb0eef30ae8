#pragma once
// From what is counted to who is told. Pure: readings and the time come in, decisions come out.
//
// An alarm does not flap. What is measured must fall below a lower mark than the one that it rose
// above, it must stay there for the rule's `clear_after`, and between two firings lies an end that
// was told. The same reading again tells nothing again.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flow/alarm/rule.h"
#include "flow/run/run_id.h"

namespace flow {

/// A run that a rule is about.
struct AlarmRun {
    RunId run;
    std::int64_t at_ms = 0;
    std::string detail;  ///< why, for people
    bool operator==(const AlarmRun&) const = default;
};

/// What a rule measures, of one workflow, at one moment.
struct AlarmReading {
    double value = 0;            ///< in the rule's unit: a share, runs, tokens ...
    std::uint64_t samples = 0;   ///< runs that ended, of a failure rate
    std::vector<AlarmRun> runs;  ///< the newest of those it is about
    std::uint64_t runs_total = 0;
};

enum class AlarmPhase : std::uint8_t { quiet, pending, firing };
std::string_view phase_name(AlarmPhase phase);

/// What is kept of a rule's alarm for one workflow.
struct AlarmState {
    AlarmPhase phase = AlarmPhase::quiet;
    std::int64_t since_ms = 0;   ///< of the phase
    std::int64_t calm_ms = 0;    ///< firing, and since when it is no longer so; 0: it is
    std::uint64_t number = 0;    ///< of the firing, from 1
    std::uint64_t tellings = 0;  ///< of this firing
    std::int64_t told_ms = 0;    ///< when last; 0: nobody was told of this firing yet
    std::int64_t acked_ms = 0;   ///< somebody took it; 0: nobody did
    std::string acked_by;
    bool operator==(const AlarmState&) const = default;
};
base::json::object to_json(const AlarmState& state);
/// What it lacks has its default.
AlarmState alarm_state_from(const base::json::value& json);

/// What somebody is told.
enum class AlarmTold : std::uint8_t { fired, reminded, resolved };
std::string_view told_name(AlarmTold told);

/// Is it so? `firing`: a lower mark holds, so that what stays at the mark does not flap.
bool breached(const AlarmRule& rule, const AlarmReading& reading, bool firing);

/// Goes on from `state` to `now_ms`. While `silenced` alarms fire and end, and nobody is told;
/// what still fires afterwards is told then.
std::optional<AlarmTold> step(const AlarmRule& rule, bool is_so, bool silenced, std::int64_t now_ms,
                              AlarmState& state);

/// "25% of 8 runs failed within 15m" and the like.
std::string alarm_text(const AlarmRule& rule, const AlarmReading& reading);

}  // namespace flow
