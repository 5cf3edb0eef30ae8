#include "flow/blobs/spilling_fleet.h"

namespace flow {

void SpillingFleet::join(Events events, bool take_up) {
    // A run that comes to us is decided anew: what failed when it was ours before is no matter.
    events.claimed = [this, claimed = std::move(events.claimed)](std::vector<Claimed> runs) {
        for (const Claimed& run : runs) log_.forget(run.head.id);
        claimed(std::move(runs));
    };
    events.whole = [this](RunId run, Event& event) { return log_.resolve(run, event); };
    fleet_.join(std::move(events), take_up);
}

void SpillingFleet::commit(const SharedCommit& commit, RunLog::Done done) {
    log_.pass(commit.changes, std::move(done),
              [&](std::span<const RunChange> changes, RunLog::Done written) {
                  fleet_.commit({changes, commit.postings, commit.settled}, std::move(written));
              });
}

base::Result<std::optional<Claimed>> SpillingFleet::own(RunId run) {
    auto own = DG_TRY(fleet_.own(run));
    if (own) log_.forget(run);
    return own;
}

}  // namespace flow
