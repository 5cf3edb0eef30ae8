#pragma once
// What the guard counts, under dougong_sphere_.

#include "base/metrics/metrics.h"
#include "sphere/network_attempt.h"
#include "sphere/policy/policy.h"
#include "sphere/sphere.h"

namespace sphere::guard {

/// Thread-safe. The registry outlives it.
class GuardMetrics {
public:
    explicit GuardMetrics(base::metrics::Registry& registry);

    /// A sandbox went from one state to another; none: there was, or is, no such sandbox.
    enum class Presence : std::uint8_t { none, ready, executing, paused };
    void moved(Presence from, Presence to);
    void created(base::Duration took);
    void refused(std::string_view event, base::Code code);
    void ended(const ExecResult& result);
    void decided(policy::Effect effect, bool rejected);
    void attempted(const NetworkAttempt& attempt);
    void stopped(std::uint32_t sandboxes);
    void recorded(bool done) { (done ? events_ : lost_).add(); }

private:
    base::metrics::Registry& registry_;
    base::metrics::Gauge &ready_, &executing_, &paused_;
    base::metrics::Counter &created_, &stops_, &stopped_, &events_, &lost_, &attempts_,
        &attempts_refused_;
    base::metrics::Histogram &create_seconds_, &exec_seconds_;
};

}  // namespace sphere::guard
