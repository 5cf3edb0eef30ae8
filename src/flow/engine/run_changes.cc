// What an engine does to runs that were at work when its process died.

#include <utility>

#include "flow/engine/run_engine.h"

namespace flow {

/// Calls that were out are made again; after a crash each is counted first, durably, so that one
/// that kills the process does not do so for ever.
void RunEngine::call_lost(RunId run, bool crashed) {
    const auto found = hot(run);
    if (!found) return;
    std::vector<Call> calls = Machine((*found)->state).outstanding();
    if (!crashed) {
        for (Call& call : calls) make(std::move(call));
        return;
    }
    std::vector<LostCall> lost;
    lost.reserve(calls.size());
    for (Call& call : calls) {
        if (call.admission) {  // it did nothing that could have killed us
            make(std::move(call));
            continue;
        }
        lost.push_back({call.path, call.attempt});
        if (call.step->queue.empty()) continue;
        // It comes again in a moment; its place in the queue it has from now on.
        call.admission = call.holds = true;
        runner_.run(std::move(call), [](const base::Result<StepOutput>&) {});
    }
    if (lost.empty()) return;
    input(
        run,
        [lost = std::move(lost), most = options_.lost_max](Machine& machine,
                                                           std::int64_t now) -> base::Result<void> {
            machine.lost(lost, most, now);
            return {};
        },
        {}, true);
}

}  // namespace flow
