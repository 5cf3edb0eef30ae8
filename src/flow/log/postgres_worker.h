#pragma once
// Who this process is among those that share a database: its row among workers, its lease, and the
// number that proves it in each transaction.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/core/clock.h"
#include "base/store/postgres_pipe.h"

namespace flow {

struct PostgresOptions {
    std::string url = {};      ///< postgresql://..., with ?schema=NAME
    std::string own_url = {};  ///< where people find this process
    std::chrono::milliseconds lease{10'000};
    /// How often inboxes and leases are looked at without being told.
    std::chrono::milliseconds poll{500};
    std::uint32_t claim_max = 256;  ///< runs claimed at a time, so that many workers share them
    const base::Clock* clock = nullptr;  ///< of leases; null: the server's
    /// false: no threads; appends wait until flush, the rest until look. For simulations.
    bool threaded = true;
};

/// Thread-safe.
class PostgresWorker {
public:
    using Pipe = base::store::PostgresPipe;
    PostgresWorker(PostgresOptions options, base::store::PostgresLocation location);

    struct Proof {
        std::int64_t worker = 0, fence = 0;  ///< worker 0: no member now
    };
    Proof proof() const;
    /// A new row. Errors: the server's.
    base::Result<void> join(Pipe& pipe);
    /// How things stand, without a write.
    struct Glance {
        bool held = true;     ///< the lease
        bool old = false;     ///< it wants to be renewed, or the row has another URL
        bool claims = false;  ///< some worker's lease is over, or its runs have no owner
    };
    base::Result<Glance> glance(Pipe& pipe) const;
    /// Makes the lease longer. False: it does not hold any more.
    base::Result<bool> renew(Pipe& pipe);
    /// After a connection was lost with commit `number` out. The fence goes up, so what the old
    /// connection still has cannot be committed; true: it was before. A fence that did not hold is
    /// told by proof().
    base::Result<bool> was_committed(Pipe& pipe, std::int64_t number);
    /// Gives everything back at once.
    base::Result<void> leave(Pipe& pipe);
    /// No member any more. True for the first who says so.
    bool lose();

    void announce(std::string url);

    base::Result<std::unique_ptr<Pipe>> connect(std::string_view part) const;
    base::store::PipeValue now() const;
    const PostgresOptions& options() const { return options_; }
    const std::string& channels() const { return channels_; }

private:
    const PostgresOptions options_;
    const base::store::PostgresLocation location_;
    const std::string channels_;
    mutable std::mutex mutex_;  // guards what is below
    Proof proof_;
    std::int64_t last_ = 0;  ///< who it was, when it is nobody now
    std::string url_;
};

}  // namespace flow
