#include "flow/alarm/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "flow/definition/duration.h"

namespace flow {

namespace json = base::json;
using What = AlarmRule::What;

namespace {

constexpr std::array<std::string_view, 3> kPhases = {"quiet", "pending", "firing"};
constexpr std::array<std::string_view, 3> kTold = {"fired", "reminded", "resolved"};
constexpr std::array<std::string_view, 3> kUnits = {"tokens", "US dollars", "seconds"};
constexpr double kRateLow = 0.8;   // a firing failure rate ends below this share of its mark
constexpr double kDiskHigh = 1.1;  // and a full disk above this one

std::string span(double ms) {
    return duration_text(std::chrono::milliseconds(static_cast<std::int64_t>(ms)));
}

}  // namespace

std::string_view phase_name(AlarmPhase phase) {
    return kPhases[static_cast<std::size_t>(phase)];
}

std::string_view told_name(AlarmTold told) {
    return kTold[static_cast<std::size_t>(told)];
}

bool breached(const AlarmRule& rule, const AlarmReading& reading, bool firing) {
    switch (rule.what) {
        case What::failure_rate:
            if (firing) return reading.samples > 0 && reading.value >= rule.limit * kRateLow;
            return reading.samples >= rule.at_least && reading.value >= rule.limit;
        case What::stuck:
            return reading.runs_total > 0;
        case What::budget:
            return rule.per_day ? reading.value > rule.limit : reading.runs_total > 0;
        case What::quarantined:
            return reading.runs_total >= (firing ? 1 : rule.at_least);
        case What::disk_free:
            return reading.value < rule.limit * (firing ? kDiskHigh : 1);
    }
    return false;
}

std::optional<AlarmTold> step(const AlarmRule& rule, bool is_so, bool silenced, std::int64_t now_ms,
                              AlarmState& state) {
    // A clock that went back must not hold an alarm until it has caught up.
    for (std::int64_t* moment : {&state.since_ms, &state.calm_ms, &state.told_ms}) {
        *moment = std::min(*moment, now_ms);
    }
    if (state.phase == AlarmPhase::quiet && is_so) {
        state.phase = AlarmPhase::pending;
        state.since_ms = now_ms;
    }
    if (state.phase == AlarmPhase::pending) {
        if (!is_so) {
            state.phase = AlarmPhase::quiet;
            state.since_ms = now_ms;
        } else if (now_ms - state.since_ms >= rule.hold_ms) {
            state = {.phase = AlarmPhase::firing,
                     .since_ms = now_ms,
                     .number = state.number + 1,
                     .acked_by = {}};
        }
    }
    if (state.phase != AlarmPhase::firing) return std::nullopt;
    const auto told = [&](AlarmTold what) {
        state.told_ms = now_ms;
        ++state.tellings;
        return what;
    };
    if (is_so) {
        state.calm_ms = 0;
    } else {
        if (state.calm_ms == 0) state.calm_ms = now_ms;
        if (now_ms - state.calm_ms >= rule.clear_ms) {
            const bool known = state.told_ms != 0;  // who was told that it fires hears of its end
            state.phase = AlarmPhase::quiet;
            state.since_ms = now_ms;
            state.calm_ms = 0;
            if (known) return told(AlarmTold::resolved);
            return std::nullopt;
        }
    }
    if (silenced || !is_so) return std::nullopt;
    if (state.told_ms == 0) return told(AlarmTold::fired);
    if (rule.repeat_ms != 0 && state.acked_ms == 0 && now_ms - state.told_ms >= rule.repeat_ms) {
        return told(AlarmTold::reminded);
    }
    return std::nullopt;
}

json::object to_json(const AlarmState& state) {
    json::object out{{"phase", phase_name(state.phase)},
                     {"since_unix_ms", state.since_ms},
                     {"number", state.number},
                     {"tellings", state.tellings}};
    if (state.calm_ms != 0) out["calm_since_unix_ms"] = state.calm_ms;
    if (state.told_ms != 0) out["told_unix_ms"] = state.told_ms;
    if (state.acked_ms != 0) {
        out["acked_unix_ms"] = state.acked_ms;
        out["acked_by"] = state.acked_by;
    }
    return out;
}

AlarmState alarm_state_from(const json::value& value) {
    AlarmState out;
    const json::object* from = value.if_object();
    if (from == nullptr) return out;
    const auto number = [&](std::string_view name) -> std::int64_t {
        const json::value* field = from->if_contains(name);
        return field != nullptr && field->is_number() ? field->to_number<std::int64_t>() : 0;
    };
    const auto text = [&](std::string_view name) -> std::string {
        const json::value* field = from->if_contains(name);
        return field != nullptr && field->is_string() ? std::string(field->get_string()) : "";
    };
    const auto phase = std::ranges::find(kPhases, text("phase"));
    if (phase != kPhases.end()) out.phase = static_cast<AlarmPhase>(phase - kPhases.begin());
    out.since_ms = number("since_unix_ms");
    out.calm_ms = number("calm_since_unix_ms");
    out.number = static_cast<std::uint64_t>(number("number"));
    out.tellings = static_cast<std::uint64_t>(number("tellings"));
    out.told_ms = number("told_unix_ms");
    out.acked_ms = number("acked_unix_ms");
    out.acked_by = text("acked_by");
    return out;
}

std::string alarm_text(const AlarmRule& rule, const AlarmReading& reading) {
    const std::string runs =
        reading.runs_total == 1 ? "1 run" : fmt::format("{} runs", reading.runs_total);
    switch (rule.what) {
        case What::failure_rate:
            return fmt::format("{:.3g}% of {} runs failed within {}", reading.value * 100,
                               reading.samples, span(static_cast<double>(rule.over_ms)));
        case What::stuck:
            return fmt::format("{} made no progress for {}, or got no answer in time{}{}", runs,
                               span(rule.limit), reading.runs.empty() ? "" : ": ",
                               reading.runs.empty() ? "" : reading.runs.front().detail);
        case What::budget: {
            const std::string_view unit = kUnits[static_cast<std::size_t>(rule.unit)];
            if (!rule.per_day) {
                return fmt::format("{} used more than {} {}", runs, rule.limit, unit);
            }
            return fmt::format("{} {} used since midnight UTC, more than {}", reading.value, unit,
                               rule.limit);
        }
        case What::quarantined:
            return fmt::format("{} quarantined within {}", runs,
                               span(static_cast<double>(rule.over_ms)));
        case What::disk_free:
            return fmt::format("{:.0f} MiB are free where workflows are kept, less than {:.0f}",
                               reading.value / 1'048'576, rule.limit / 1'048'576);
    }
    return {};
}

}  // namespace flow
