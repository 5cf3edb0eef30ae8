#pragma once
// Figures of the last minutes for the console: one sample a second and percentiles over a minute.
// Pure: time and counters come in as arguments. Field names: docs/design/admin-api.md.

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "gate/model_backend.h"

namespace gate {

/// What this process used so far.
struct ProcessUsage {
    std::uint64_t rss_bytes = 0;
    double cpu_seconds_total = 0;
};
ProcessUsage process_usage();

class LiveStats {
public:
    explicit LiveStats(base::Instant started) : started_(started) {}

    /// One finished API request; absent times were never reached.
    struct Latencies {
        std::optional<double> ttft_ms, itl_ms, e2e_ms;
        bool failed = false;
    };
    void record(base::Instant now, const Latencies& latencies);

    struct Inputs {
        base::Instant now;
        std::int64_t unix_ms = 0;
        BackendStats backend;
        ProcessUsage process;
        std::uint32_t open_connections = 0;
    };
    /// Makes the next sample; rates are since the tick before. Called once a second.
    void tick(const Inputs& inputs);

    /// One Sample as JSON text: current gauges and totals, rates of the last tick.
    std::string sample(const Inputs& inputs) const;
    /// The newest tick's sample; empty before the first.
    std::string latest() const;
    /// Samples of the last 15 minutes, oldest first.
    std::vector<std::string> history() const;

    std::uint64_t requests_total() const;
    std::uint64_t errors_total() const;

private:
    struct Rates {
        double prefill_tokens_per_s = 0, decode_tokens_per_s = 0, requests_per_s = 0;
    };
    /// Totals at a tick, for shares over the last minute.
    struct PromptTotals {
        std::uint64_t prompt_tokens = 0, cached_tokens = 0;
    };
    enum Series { kTtft, kItl, kE2e, kSeriesCount };
    struct Observation {
        base::Instant at;
        double value = 0;
    };

    std::string sample_locked(const Inputs& inputs) const;
    void append_percentiles(std::string& out, Series series, base::Instant now) const;
    void append_engine(std::string& out, const BackendStats& backend) const;

    const base::Instant started_;
    mutable std::mutex mutex_;  // guards what follows
    std::array<std::deque<Observation>, kSeriesCount> observations_;
    std::uint64_t requests_total_ = 0, errors_total_ = 0;
    std::optional<Inputs> last_tick_;
    std::uint64_t requests_at_last_tick_ = 0;
    Rates rates_;
    std::deque<PromptTotals> prompt_totals_;  // one a tick, the last minute, oldest first
    std::deque<std::string> history_;
};

}  // namespace gate
