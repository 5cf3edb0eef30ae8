#pragma once
// May runs of one version of a workflow go on with another?

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flow/definition/definition.h"

namespace flow {

struct Finding {
    enum class Weight : std::uint8_t {
        note,    ///< a moved run goes on, in a way that somebody should know
        blocks,  ///< a run that is there cannot move
    };
    Weight weight = Weight::note;
    std::string step;  ///< empty: the workflow
    std::string message;
};

/// How far one run is, by step ids. What is in neither has not started.
struct RunPosition {
    std::set<std::string> done, open;
};

/// What moving from `from` to `to` means: for the run that is at `at`, or without it for a run that
/// may be anywhere. In the order of `from`, then of `to`.
std::vector<Finding> compatibility(const Definition& from, const Definition& to,
                                   const std::optional<RunPosition>& at = std::nullopt);

bool may_move(const std::vector<Finding>& findings);

}  // namespace flow
