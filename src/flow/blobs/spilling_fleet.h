#pragma once
// A shared log whose large values leave their events: the part that many processes need.

#include "flow/blobs/spilling_run_log.h"
#include "flow/fleet.h"

namespace flow {

/// Thread-safe as what it passes on to.
class SpillingFleet final : public Fleet {
public:
    /// Both outlive it.
    SpillingFleet(SpillingRunLog& log, Fleet& fleet) : log_(log), fleet_(fleet) {}

    void join(Events events, bool take_up) override;
    base::Result<void> rejoin() override { return fleet_.rejoin(); }
    void leave() override { fleet_.leave(); }
    void commit(const SharedCommit& commit, RunLog::Done done) override;
    void give_back(const Arrival& arrival) override { fleet_.give_back(arrival); }
    base::Result<std::optional<Claimed>> own(RunId run) override;
    void ask(Posting posting, RunLog::Done done) override {
        fleet_.ask(std::move(posting), std::move(done));
    }
    void watch(RunId run, std::uint64_t from) override { fleet_.watch(run, from); }
    void unwatch(RunId run) override { fleet_.unwatch(run); }
    void announce(std::string url) override { fleet_.announce(std::move(url)); }
    base::Result<std::vector<FleetWorker>> workers() override { return fleet_.workers(); }
    base::Result<std::string> owner_url(RunId run) override { return fleet_.owner_url(run); }

private:
    SpillingRunLog& log_;
    Fleet& fleet_;
};

}  // namespace flow
