#pragma once
// Places of queues that processes share, as rows: how many each has, how many it waits for, what
// began of late. Whoever asks works out its own fair share from what the others have; all who ask
// come one after the other.

#include <memory>
#include <mutex>

#include "base/store/store.h"
#include "flow/log/postgres_run_log.h"
#include "flow/queue/shared_places.h"

namespace flow {

/// Thread-safe. One transaction for each share(), whatever the number of queues; it writes where
/// something changed.
class PostgresPlaces final : public SharedPlaces {
public:
    /// `log`: as which worker, on whose clock. It outlives this. Errors: as Store::open.
    static base::Result<std::unique_ptr<PostgresPlaces>> open(PostgresRunLog& log);

    base::Result<std::vector<Grant>> share(std::span<const Wish> wishes) override;
    void on_change(std::function<void()> told) override { log_.on_places(std::move(told)); }

private:
    using Transaction = base::store::Transaction;
    PostgresPlaces(PostgresRunLog& log, std::unique_ptr<base::store::Store> store)
        : log_(log), store_(std::move(store)) {}
    base::Result<Grant> share_one(Transaction& tx, const Wish& wish, std::int64_t worker,
                                  std::int64_t now_ms) const;

    PostgresRunLog& log_;
    const std::unique_ptr<base::store::Store> store_;
};

}  // namespace flow
