#pragma once
// dougong_flow_* on /metrics, from durable events. Nothing is allocated per event: counters are
// found once for each definition and kind.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "base/journal/journal.h"
#include "base/metrics/metrics.h"
#include "flow/flow.h"
#include "flow/observe/begun.h"
#include "flow/observe/step_kinds.h"

namespace flow {

class FlowMetrics {
public:
    /// What the log says of its disk at a scrape; empty: it has none of its own.
    using JournalStats = std::function<base::journal::Stats()>;
    /// The registry outlives it; the runtime does until halt(). Begins to listen.
    FlowMetrics(base::metrics::Registry& registry, Runtime& runtime, JournalStats journal);
    ~FlowMetrics();  ///< before the runtime's halt(); scrapes that come later find nothing

private:
    struct Workflow {
        StepKinds kinds;
        base::metrics::Counter &started, &completed, &failed, &cancelled;
    };
    enum Outcome : std::size_t { done, failed, retried, skipped };
    struct Source;

    void heard(RunId run, const std::vector<Event>& events);
    void ended(const Workflow& workflow, RunId run, const Event& event, Outcome outcome);
    const Workflow& workflow_of(const std::shared_ptr<const Definition>& definition);
    std::string label_of(const std::string& workflow);

    base::metrics::Registry& registry_;
    Runtime& runtime_;
    base::metrics::Counter &retries_, &tokens_, &cost_usd_;
    base::metrics::Histogram& timer_seconds_;
    std::shared_ptr<Source> source_;
    std::uint64_t watcher_ = 0;
    // Of the runtime's thread:
    std::unordered_map<const Definition*, std::unique_ptr<Workflow>> workflows_;
    std::set<std::string> names_;  ///< that have a label of their own
    std::map<std::pair<std::string_view, Outcome>, base::metrics::Histogram*> step_seconds_;
    Begun begun_;
};

}  // namespace flow
