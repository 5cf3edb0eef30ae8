#pragma once
// Runs in a PostgreSQL database that many processes share. Heads are rows, so that lists are
// queries; events are packed, a row for each commit of a run. fleet.h says what many processes mean
// for runs, README.md how it is kept true.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flow/fleet.h"
#include "flow/log/postgres_blob_store.h"
#include "flow/log/postgres_member.h"
#include "flow/log/postgres_pool.h"
#include "flow/log/postgres_worker.h"
#include "flow/log/postgres_writer.h"

namespace flow {

/// Thread-safe.
class PostgresRunLog final : public RunLog, public Fleet {
public:
    /// Makes what is missing in the schema, and this process a worker. Errors: as
    /// base::store::Store::open.
    static base::Result<std::unique_ptr<PostgresRunLog>> open(const PostgresOptions& options);
    ~PostgresRunLog() override;  ///< leave()

    Fleet* fleet() override { return this; }
    void append(std::span<const RunChange> changes, Done done) override;
    void flush() override { writer_.flush(); }
    base::Result<StoredRun> load(RunId id) override;
    base::Result<std::vector<Event>> history(RunId id, std::uint64_t skip,
                                             std::uint32_t limit) override;
    base::Result<std::uint64_t> length(RunId id) override;
    base::Result<RunHead> load_head(RunId id) override;
    base::Result<std::optional<RunId>> by_key(std::string_view tenant,
                                              std::string_view key) override;
    base::Result<void> open_runs(const std::function<void(const RunHead&)>& each) override;
    base::Result<std::vector<RunHead>> list(const RunFilter& filter) override;
    base::Result<RunCounts> count(const RunFilter& filter) override;

    void join(Events events, bool take_up) override;
    base::Result<void> rejoin() override { return member_.rejoin(); }
    void leave() override;
    void commit(const SharedCommit& commit, Done done) override;
    void give_back(const Arrival& arrival) override { member_.forget(arrival.number); }
    base::Result<std::optional<Claimed>> own(RunId run) override;
    void ask(Posting posting, Done done) override;
    void watch(RunId run, std::uint64_t from) override { member_.watch(run, from); }
    void unwatch(RunId run) override { member_.unwatch(run); }
    void announce(std::string url) override { worker_.announce(std::move(url)); }
    base::Result<std::vector<FleetWorker>> workers() override;
    base::Result<std::string> owner_url(RunId run) override;

    const PostgresWorker& worker() const { return worker_; }
    /// `told`, on the thread that looks: others gave places of queues back.
    void on_places(std::function<void()> told) { member_.on_places(std::move(told)); }
    /// Connections for short calls of any thread, as long as the log lives.
    PostgresPool& pool() { return pool_; }
    /// Without threads: claims, inboxes, leases, once. Errors: the server's.
    base::Result<void> look() { return member_.look(); }
    /// As if the process had been killed: nothing is written or given back. For simulations.
    void abandon();

private:
    PostgresRunLog(const PostgresOptions& options, base::store::PostgresLocation location);
    base::Result<base::store::PipeAnswer> read(const base::store::PipeStatement& statement) {
        return pool_.run(statement);
    }

    PostgresWorker worker_;
    PostgresWriter writer_;
    PostgresMember member_;
    PostgresPool pool_;
    bool left_ = false;
};

}  // namespace flow
