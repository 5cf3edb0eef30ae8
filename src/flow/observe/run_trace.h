#pragma once
// The trace of one run as it stands in the log.

#include <vector>

#include "flow/observe/run_spans.h"
#include "flow/run_log.h"
#include "flow/step_runner.h"

namespace flow {

struct RunTrace {
    base::trace::Context trace;
    std::vector<RunSpan> spans;  ///< by when they began, outer before inner; open ones too
    RunTotals totals;            ///< of what has ended
    bool truncated = false;      ///< there are more spans than were asked for
};

/// Reads the whole history: O(events). Errors: RunLog::history's, not_found (the definition).
base::Result<RunTrace> read_trace(RunLog& log, DefinitionSource& definitions, RunId run,
                                  std::size_t spans_max);

base::json::object to_json(const RunTrace& trace);
/// As a collector takes it: OTLP's JSON. Only what has ended.
std::string to_otlp(const RunTrace& trace);

}  // namespace flow
