#pragma once
// A run's events from wherever they are kept, a part at a time, so that nobody has to hold all of
// a long run; and the parts that different versions of its workflow made.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "flow/run/event.h"

namespace flow {

/// Gives a run's events from place `from` on to `each`, in order, until that says false.
using History = std::function<base::Result<void>(std::uint64_t from,
                                                 const std::function<bool(const Event&)>& each)>;
/// Of events in memory, which outlive it.
History history_of(std::span<const Event> events);

/// What one definition made: places from `begin` up to `end`.
struct HistoryPart {
    std::string hash;  ///< of the definition
    std::uint64_t begin = 0, end = 0;
};
/// Of a whole history, what each version made, the last first; `hash` is of the run's definition
/// where it has never moved. Reads it once.
base::Result<std::vector<HistoryPart>> history_parts(const History& whole, std::string_view hash);
/// A part alone; its first event has place 0 there. `whole` need not outlive it.
History part_of(History whole, const HistoryPart& part);

/// Of a whole history, what the definition of its end can fold: from the last run_migrated on.
std::span<const Event> foldable(std::span<const Event> history);

}  // namespace flow
