#pragma once
// A run as the spans of a trace: the run, its steps, their attempts and pauses before the next,
// blocks (rounds, arms, branches). Pure: events in, spans out; the same events always give the same
// spans with the same ids, so a restart or another process goes on with the same trace.
//
// What users wrote or models said is in no span: names, ids, counts and codes only.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/trace/trace.h"
#include "flow/observe/step_kinds.h"
#include "flow/run/event.h"
#include "flow/run/run_id.h"
#include "flow/run/totals.h"

namespace flow {

struct RunSpan {
    base::trace::SpanId id{}, parent{};  ///< parent zero: the trace's root
    std::string_view what;  ///< "run", "step", "attempt", "block", "backoff", "paused", "resumed"
    std::string name;
    std::string path;                       ///< of the step or block; empty: the run's
    std::string_view kind;                  ///< of the step
    std::int64_t start_ms = 0, end_ms = 0;  ///< end 0: it is not over
    std::string_view status;                ///< "open", "done", "failed", "cancelled", "skipped"
    std::vector<base::trace::Attribute> attributes;
};

class RunSpans {
public:
    RunSpans(RunId run, std::shared_ptr<const Definition> definition);
    /// Every event of the run, in order, from the first.
    void add(const Event& event);
    /// Spans that ended since the last call, inner before outer.
    std::vector<RunSpan> take_ended();
    std::vector<RunSpan> open() const;
    /// Known once the first event was added.
    const base::trace::Context& trace() const { return trace_; }
    bool over() const { return open_.empty() && events_ != 0; }
    const RunTotals& totals() const { return totals_; }
    std::string_view workflow() const { return kinds_.definition().name; }

private:
    RunSpan& begin(std::string key, std::string_view what, std::string name, std::string_view path,
                   std::uint32_t attempt, const Event& event, base::trace::SpanId parent);
    RunSpan& begin_step(const Event& event);
    void end(const std::string& key, std::string_view status, const Event& event);
    void end_within(const std::string& prefix, const Event& event);
    void attempt_ended(const Event& event, bool good);
    void step_ended(const Event& event, std::string_view status);
    void run_ended(const Event& event, std::string_view status);
    void count(const RunSpan& span);
    base::trace::SpanId above(std::string_view path) const;
    std::string_view kind_of(std::string_view path) const;

    const RunId run_;
    const StepKinds kinds_;
    base::trace::Context trace_;
    base::trace::SpanId root_{};
    std::uint64_t events_ = 0;
    std::uint32_t resumptions_ = 0;
    std::int64_t now_ms_ = 0;
    std::set<base::trace::SpanId> begun_now_;           ///< at now_ms_
    std::map<std::string, RunSpan, std::less<>> open_;  ///< by path and what; see keys in the .cc
    std::vector<RunSpan> ended_;
    RunTotals totals_;
};

/// For a collector. `trace` is the run's.
base::trace::Span to_span(const RunSpan& span, const base::trace::Context& trace);
base::json::object to_json(const RunSpan& span);

}  // namespace flow
