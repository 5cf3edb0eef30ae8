#pragma once
// What a run that begins in the middle of another one takes over. Pure: it folds the other's
// events.

#include <span>

#include "flow/run/history.h"
#include "flow/run/machine.h"

namespace flow {

/// The origin as it stood when `step` last began, with what ran beside that step and has ended
/// since; what was at work then is to begin anew. `history` is the origin's from its start (or from
/// its last run_migrated) and of `definition`.
/// Errors: not_found (the step has not begun), invalid_argument (`with` for a step without input),
/// data_loss.
base::Result<ForkPlan> plan_fork(RunId origin, std::shared_ptr<const Definition> definition,
                                 std::span<const Event> history, std::string_view step,
                                 const base::json::value& with);

/// The same of a history that is read twice, and never held.
base::Result<ForkPlan> plan_fork(RunId origin, std::shared_ptr<const Definition> definition,
                                 const History& history, std::string_view step,
                                 const base::json::value& with);

}  // namespace flow
