#pragma once
// What a run used and where its time went, by kind of step: part of its state, so that nobody has
// to read its history for it.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/json/json.h"

namespace flow {

struct Step;
struct StepState;

/// The same as one line of a list.
struct ShortTotals {
    std::uint64_t steps = 0, attempts = 0, tokens = 0;
    double cost_usd = 0;
    std::int64_t working_ms = 0;  ///< attempts that ended, added up
    std::int64_t waiting_ms = 0;  ///< for people, signals, moments and before other attempts

    bool operator==(const ShortTotals&) const = default;
};

/// Of what has ended.
struct RunTotals {
    struct Kind {
        std::uint64_t steps = 0, attempts = 0, tokens = 0;
        double cost_usd = 0;
        std::int64_t working_ms = 0, waiting_ms = 0;
    };
    std::map<std::string, Kind, std::less<>> kinds;  ///< "llm", "for_each" ...
    std::int64_t people_ms = 0;                      ///< waiting for people
    std::int64_t signals_ms = 0;                     ///< for signals and events
    std::int64_t timers_ms = 0;                      ///< for a moment
    std::int64_t backoff_ms = 0;                     ///< before another attempt
    std::int64_t paused_ms = 0;
    bool whole = true;  ///< false: counted from a snapshot on that did not have them yet

    Kind& of(std::string_view kind);
    /// What `step` is in at `at_ms`, an attempt, a pause or a wait, ends.
    void ended(const StepState& step, const Step& definition, std::int64_t at_ms);
    ShortTotals in_short() const;
};

base::json::object to_json(const RunTotals& totals);
/// What to_json gave; fields that are not there are zero.
RunTotals totals_from_json(const base::json::value& json);
base::json::object to_json(const ShortTotals& totals);
ShortTotals short_totals_from_json(const base::json::object& json);

}  // namespace flow
