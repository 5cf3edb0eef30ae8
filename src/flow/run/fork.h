#pragma once
// What a run that begins in the middle of another one takes over. Pure: it folds the other's
// events.

#include <functional>
#include <span>

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

/// Gives a run's events from place `from` on to `each`, in order, until that says false.
using History = std::function<base::Result<void>(std::uint64_t from,
                                                 const std::function<bool(const Event&)>& each)>;
/// The same of a whole history that is read three times, and never held.
base::Result<ForkPlan> plan_fork(RunId origin, std::shared_ptr<const Definition> definition,
                                 const History& history, std::string_view step,
                                 const base::json::value& with);

/// Of a whole history, what `definition` of its end can fold: from the last run_migrated on.
std::span<const Event> foldable(std::span<const Event> history);

}  // namespace flow
