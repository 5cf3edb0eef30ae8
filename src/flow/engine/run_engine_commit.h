#pragma once
// Internal to the engine: one write on its way.

#include <string>
#include <utility>
#include <vector>

#include "flow/engine/run_engine.h"

namespace flow {

/// What one write will have brought about.
struct RunEngine::Commit {
    std::vector<RunChange> changes;
    std::vector<std::uint64_t> serials;  ///< of each change: the copy of the run it was decided on
    std::vector<Call> calls;
    std::vector<std::pair<RunId, std::string>> cancelled;
    std::vector<RunId> more;
    std::vector<RunId> parents;   ///< that are told of children once this is durable
    std::vector<Waiting> inputs;  ///< what came in
    std::vector<Posting> postings;
    std::vector<Settled> settled;
    Started started;
    std::string key;  ///< of keys_
    RunId run;        ///< that was started

    bool empty() const { return changes.empty() && postings.empty(); }
};

}  // namespace flow
