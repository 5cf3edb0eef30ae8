#pragma once
// What a run that begins in the middle of another one takes over. Pure: it folds the other's
// events.

#include <span>
#include <string>
#include <vector>

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

/// A part of a history that one definition made.
struct HistoryPart {
    std::string hash;  ///< of the definition
    std::span<const Event> events;
};
/// Of a whole history, whose end is of definition `hash`: what each version made, the last first.
std::vector<HistoryPart> history_parts(std::span<const Event> history, std::string_view hash);

/// Of a whole history, what `definition` of its end can fold: from the last run_migrated on.
std::span<const Event> foldable(std::span<const Event> history);

}  // namespace flow
