#pragma once
// A log that takes values of any size: those that are large go into a blob store first, durably,
// and the event in the log below names them. Who reads sees the values.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "flow/blobs/blob_store.h"
#include "flow/run_log.h"

namespace flow {

struct SpillOptions {
    std::size_t value_bytes = 64u << 10;  ///< larger values leave their event
    std::size_t group_bytes = 4u << 20;   ///< of one append; over it all but small values leave
};

/// Thread-safe; `append` from one thread.
class SpillingRunLog final : public RunLog {
public:
    /// Both outlive it.
    SpillingRunLog(RunLog& log, BlobStore& blobs, SpillOptions options = {});
    ~SpillingRunLog() override;

    Fleet* fleet() override;  ///< of the log below
    void append(std::span<const RunChange> changes, Done done) override;
    void flush() override { log_.flush(); }
    base::Result<StoredRun> load(RunId id) override;
    base::Result<std::vector<Event>> history(RunId id, std::uint64_t skip,
                                             std::uint32_t limit) override;
    base::Result<std::uint64_t> length(RunId id) override { return log_.length(id); }
    base::Result<std::vector<Event>> linked_history(RunId id, std::uint64_t skip,
                                                    std::uint32_t limit) override;
    base::Result<std::string> blob(RunId id, std::string_view hash) override {
        return blobs_.get(id, hash);
    }
    base::Result<void> blobs_of(RunId id,
                                const std::function<void(std::string_view hash)>& each) override;
    base::Result<RunHead> load_head(RunId id) override { return log_.load_head(id); }
    base::Result<std::optional<RunId>> by_key(std::string_view tenant,
                                              std::string_view key) override {
        return log_.by_key(tenant, key);
    }
    base::Result<void> open_runs(const std::function<void(const RunHead&)>& each) override {
        return log_.open_runs(each);
    }
    base::Result<std::vector<RunHead>> list(const RunFilter& filter) override {
        return log_.list(filter);
    }
    base::Result<RunCounts> count(const RunFilter& filter) override { return log_.count(filter); }
    base::json::object health() override { return log_.health(); }

    /// Blobs of runs that are not there. Before the first append.
    base::Result<std::size_t> collect();

    /// For a shared log's commits: `write` gets the changes as the log below is to have them.
    using Write = std::function<void(std::span<const RunChange>, Done)>;
    void pass(std::span<const RunChange> changes, Done done, const Write& write);
    /// The run is decided anew, on what is in the log.
    void forget(RunId run);
    base::Result<void> resolve(RunId run, Event& event);

private:
    bool is_late(std::span<const RunChange> changes);
    void refuse(std::span<const RunChange> changes, base::Error error, const Done& done);
    base::Result<void> spill(RunChange& change, std::size_t bytes_max);
    Done replacing(std::span<const RunChange> changes, Done done);
    static std::string hash_in(std::string_view snapshot);
    base::Result<void> spill(RunId run, base::json::value& value, std::size_t bytes_max);
    base::Result<void> resolve(RunId run, base::json::value& value);

    RunLog& log_;
    BlobStore& blobs_;
    const SpillOptions options_;
    const std::unique_ptr<Fleet> fleet_;
    std::mutex mutex_;                                 // guards broken_
    std::unordered_map<RunId, std::uint64_t> broken_;  ///< place of the first event not written

    /// What a commit that is done sees, also when it is done after this log is gone.
    struct Snapshots {
        std::mutex mutex;  // guards the rest; held while a blob is removed
        BlobStore* blobs;  ///< null: the log is gone
        /// Hash of the last durable one that is a blob, of runs that are not over.
        std::unordered_map<RunId, std::string> last;
    };
    const std::shared_ptr<Snapshots> snapshots_;
};

/// About how long a value is as text, as far as `enough`.
std::size_t text_bytes(const base::json::value& value, std::size_t enough);

}  // namespace flow
