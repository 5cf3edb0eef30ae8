#include "sphere/guard/guard_metrics.h"

#include <string>

namespace sphere::guard {
namespace {

using base::metrics::Labels;

constexpr std::string_view kSandboxes = "dougong_sphere_sandboxes";
constexpr std::string_view kSandboxesHelp = "Sandboxes there are, by state.";
constexpr std::string_view kAttempts = "dougong_sphere_network_attempts_total";
constexpr std::string_view kAttemptsHelp = "Connections and queries that sandboxes tried.";

/// 0.1 ms to 3.3 s, and 1 ms to 524 s.
std::vector<double> create_bounds() {
    return base::metrics::exponential_bounds(0.0001, 2, 16);
}
std::vector<double> exec_bounds() {
    return base::metrics::exponential_bounds(0.001, 2, 20);
}

}  // namespace

GuardMetrics::GuardMetrics(base::metrics::Registry& registry)
    : registry_(registry),
      ready_(registry.gauge(kSandboxes, kSandboxesHelp, {{"state", "ready"}})),
      executing_(registry.gauge(kSandboxes, kSandboxesHelp, {{"state", "executing"}})),
      paused_(registry.gauge(kSandboxes, kSandboxesHelp, {{"state", "paused"}})),
      created_(registry.counter("dougong_sphere_created_total", "Sandboxes made.")),
      stops_(registry.counter("dougong_sphere_emergency_stops_total", "Emergency stops ordered.")),
      stopped_(registry.counter("dougong_sphere_emergency_stopped_total",
                                "Sandboxes that emergency stops ended.")),
      events_(registry.counter("dougong_sphere_audit_events_total", "Events recorded.")),
      lost_(registry.counter("dougong_sphere_audit_failures_total",
                             "Events that could not be recorded; what they tell of was refused "
                             "unless it had happened.")),
      attempts_(registry.counter(kAttempts, kAttemptsHelp, {{"allowed", "true"}})),
      attempts_refused_(registry.counter(kAttempts, kAttemptsHelp, {{"allowed", "false"}})),
      create_seconds_(registry.histogram("dougong_sphere_create_seconds", "Time to make a sandbox.",
                                         create_bounds())),
      exec_seconds_(
          registry.histogram("dougong_sphere_exec_seconds", "Time commands ran.", exec_bounds())) {}

void GuardMetrics::moved(Presence from, Presence to) {
    const auto gauge = [&](Presence presence) -> base::metrics::Gauge* {
        switch (presence) {
            case Presence::none:
                return nullptr;
            case Presence::ready:
                return &ready_;
            case Presence::executing:
                return &executing_;
            case Presence::paused:
                return &paused_;
        }
        return nullptr;
    };
    if (from == to) return;
    if (auto* const left = gauge(from)) left->add(-1);
    if (auto* const entered = gauge(to)) entered->add(1);
}

void GuardMetrics::created(base::Duration took) {
    created_.add();
    create_seconds_.observe(base::to_seconds(took));
}

void GuardMetrics::refused(std::string_view event, base::Code code) {
    registry_
        .counter("dougong_sphere_refused_total", "What was refused, by what was asked and why.",
                 Labels{{"event", std::string(event)}, {"code", std::string(code_name(code))}})
        .add();
}

void GuardMetrics::ended(const ExecResult& result) {
    registry_
        .counter("dougong_sphere_execs_total", "Commands that ended, by how.",
                 Labels{{"reason", std::string(end_reason_name(result.reason))}})
        .add();
    exec_seconds_.observe(base::to_seconds(result.wall));
}

void GuardMetrics::decided(policy::Effect effect, bool rejected) {
    registry_
        .counter("dougong_sphere_tool_decisions_total", "Tool calls decided about.",
                 Labels{{"effect", rejected ? "rejected" : std::string(effect_name(effect))}})
        .add();
}

void GuardMetrics::attempted(const NetworkAttempt& attempt) {
    (attempt.allowed ? attempts_ : attempts_refused_).add();
}

void GuardMetrics::stopped(std::uint32_t sandboxes) {
    stops_.add();
    stopped_.add(sandboxes);
}

}  // namespace sphere::guard
