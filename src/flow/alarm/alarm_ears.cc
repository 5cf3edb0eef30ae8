#include "flow/alarm/alarm_ears.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "flow/definition/duration.h"

namespace flow {

using What = AlarmRule::What;
using Unit = AlarmRule::Unit;

namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::size_t kNotedMax = 10'000;  // between two looks; what is counted is counted anyway
constexpr std::size_t kDetailBytesMax = 300;

std::string cut(std::string_view text) {
    return std::string(text.substr(0, kDetailBytesMax));
}

/// What a step's end adds to a run's budget, in the rule's unit.
double used(const RunState& state, const AlarmRule& rule, std::int64_t now_ms) {
    switch (rule.unit) {
        case Unit::tokens:
            return static_cast<double>(state.tokens);
        case Unit::cost_usd:
            return state.cost_usd;
        case Unit::seconds:
            return static_cast<double>(now_ms - state.started_ms) / 1000;
    }
    return 0;
}

bool is_human(const RunState& state, std::string_view path) {
    const Step* step = find_definition(*state.definition, path);
    return step != nullptr && std::holds_alternative<HumanAction>(step->action);
}

/// Why this rule is about the run from this event on; empty: it is not.
std::string reason(const RunState& state, const Event& event, const AlarmRule& rule) {
    switch (rule.what) {
        case What::failure_rate:
            if (event.kind != EventKind::run_failed) return {};
            return event.error ? cut(event.error->message) : std::string("failed");
        case What::quarantined:
            if (event.kind != EventKind::step_quarantined) return {};
            return fmt::format("step {}: {}", event.path,
                               event.error ? cut(event.error->message) : std::string("lost"));
        case What::stuck:
            if (event.kind == EventKind::step_escalated) {
                return fmt::format("nobody answered {} in time", event.path);
            }
            if (event.kind == EventKind::step_failed && event.error &&
                event.error->code == base::Code::deadline_exceeded && is_human(state, event.path)) {
                return fmt::format("nobody answered {} until its end", event.path);
            }
            return {};
        case What::budget:
            if (rule.per_day || used(state, rule, event.at_ms) <= rule.limit) return {};
            return fmt::format("used {:.6g}", used(state, rule, event.at_ms));
        case What::disk_free:
            return {};
    }
    return {};
}

void stuck_within(const ScopeState& scope, std::int64_t now_ms, std::int64_t limit_ms,
                  std::string& why, bool& waits) {
    for (std::uint32_t i = 0; i < scope.steps.size() && why.empty(); ++i) {
        const StepState& step = scope.steps[i];
        if (step.status == StepStatus::pending || is_settled(step.status)) continue;
        const auto path = [&] { return path_of(scope, i); };
        const bool late = step.until_ms != 0 && now_ms - step.until_ms >= limit_ms;
        switch (step.status) {
            case StepStatus::running:
                why = fmt::format("the call of {} has not come back", path());
                break;
            case StepStatus::waiting:
                if (late) {
                    why = fmt::format("what {} waits for is past", path());
                    break;
                }
                waits = true;
                break;
            case StepStatus::backoff:
                if (late) {
                    why = fmt::format("the next attempt of {} is past", path());
                    break;
                }
                waits = true;
                break;
            case StepStatus::open:
                if (step.scopes.empty()) waits = true;  // a child, which is looked at by itself
                break;
            default:
                break;
        }
        for (const auto& inner : step.scopes) stuck_within(*inner, now_ms, limit_ms, why, waits);
    }
}

/// A person who was to answer and whose question went to somebody else.
void overdue_within(const ScopeState& scope, std::string& why) {
    for (std::uint32_t i = 0; i < scope.steps.size() && why.empty(); ++i) {
        const StepState& step = scope.steps[i];
        if (step.status == StepStatus::waiting && step.output.is_object() &&
            step.output.get_object().contains("escalated_to")) {
            why = fmt::format("nobody answered {} in time", path_of(scope, i));
        }
        for (const auto& inner : step.scopes) overdue_within(*inner, why);
    }
}

}  // namespace

std::int64_t keep_until(const AlarmRule& rule, std::int64_t at_ms) {
    return at_ms + rule.over_ms;
}

std::string stuck_why(const RunState& state, std::int64_t updated_ms, std::int64_t now_ms,
                      std::int64_t limit_ms) {
    if (is_final(state.status) || state.status == RunStatus::paused) return {};
    std::string why;
    overdue_within(state.root, why);
    if (!why.empty() || now_ms - updated_ms < limit_ms) return why;
    if (!state.queued_in.empty()) return {};
    bool waits = false;
    stuck_within(state.root, now_ms, limit_ms, why, waits);
    for (const Undo& undo : state.undos) {
        if (undo.state.status == StepStatus::running && why.empty()) {
            why = fmt::format("the call that undoes {} has not come back", undo.path);
        }
    }
    if (!why.empty() || waits) return why;
    return "nothing is out, and nothing is waited for";
}

AlarmEars::AlarmEars(Runtime& runtime) : runtime_(runtime) {
    std::promise<void> attached;
    runtime_.post([&] {
        watcher_ = runtime_.engine().watch(
            [this](RunId run, const std::vector<Event>& events, std::uint64_t) {
                if (listens_.load(std::memory_order_relaxed)) heard(run, events);
            });
        attached.set_value();
    });
    attached.get_future().wait();
}

AlarmEars::~AlarmEars() {
    std::promise<void> detached;
    runtime_.post([&] {
        runtime_.engine().unwatch(watcher_);
        detached.set_value();
    });
    detached.get_future().wait();
}

void AlarmEars::set_rules(Rules rules) {
    const std::lock_guard lock(mutex_);
    listens_ = rules != nullptr && !rules->empty();
    rules_ = std::move(rules);
}

AlarmEars::Heard AlarmEars::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(heard_, {});
}

void AlarmEars::give_back(Heard heard) {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, counts] : heard_.counts) heard.counts[key].add(counts);
    for (NotedRun& run : heard_.runs) {
        if (heard.runs.size() < kNotedMax) heard.runs.push_back(std::move(run));
    }
    heard_ = std::move(heard);
}

void AlarmEars::note(const RunState& state, const Event& event, const AlarmRule& rule,
                     Heard& into) {
    std::string why = reason(state, event, rule);
    if (why.empty() || into.runs.size() >= kNotedMax) return;
    into.runs.push_back({.tenant = rule.tenant,
                         .rule = rule.name,
                         .workflow = state.definition->name,
                         .run = {state.id, event.at_ms, std::move(why)},
                         // Who was asked instead may answer at any moment.
                         .keep_until_ms = event.kind == EventKind::step_escalated
                                              ? event.at_ms
                                              : keep_until(rule, event.at_ms)});
}

/// On the runtime's thread, for every event.
void AlarmEars::heard(RunId run, const std::vector<Event>& events) {
    if (runtime_.engine().foreign(run)) return;        // its own process notes it
    const auto loaded = runtime_.engine().state(run);  // in memory: it was just written
    if (!loaded) return;
    const RunState& state = **loaded;
    const std::lock_guard lock(mutex_);
    if (rules_ == nullptr) return;
    std::vector<const AlarmRule*> about;
    for (const AlarmRule& rule : *rules_) {
        if (rule.covers(state.tenant, state.definition->name)) about.push_back(&rule);
    }
    if (about.empty()) return;
    for (const Event& event : events) {
        const bool ended =
            event.kind == EventKind::run_completed || event.kind == EventKind::run_failed;
        const bool over = ended || event.kind == EventKind::run_cancelled;
        if (over || event.tokens != 0 || event.cost_usd != 0) {
            AlarmCounts& counts =
                heard_.counts[{state.tenant, state.definition->name, event.at_ms / kMinuteMs}];
            counts.completed += event.kind == EventKind::run_completed ? 1 : 0;
            counts.failed += event.kind == EventKind::run_failed ? 1 : 0;
            counts.tokens += event.tokens;
            counts.cost_usd += event.cost_usd;
            if (over) {
                counts.run_ms += static_cast<std::uint64_t>(
                    std::max<std::int64_t>(0, event.at_ms - state.started_ms));
            }
        }
        for (const AlarmRule* rule : about) note(state, event, *rule, heard_);
    }
}

}  // namespace flow
