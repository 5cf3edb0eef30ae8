#pragma once
// Names of a run's spans. They follow from the run and its events alone, so that whoever goes on
// with a run, or looks at it later, names them the same.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/trace/trace.h"
#include "flow/run/state.h"

namespace flow {

/// The trace a run is in and the span above its own: `traceparent`'s; without one, the run's id is
/// the trace's and nothing is above.
base::trace::Context run_trace(RunId run, std::string_view traceparent);
/// Of what began at `began_ms`. `path`: a step's, a block's ("each[3]"), empty for the run itself;
/// `attempt` 0: the step as a whole.
base::trace::SpanId span_id(RunId run, std::string_view path, std::uint32_t attempt,
                            std::int64_t began_ms);
/// What a run that the step at `path` starts is under.
std::string child_traceparent(RunState& parent, std::string_view path);

}  // namespace flow
