#pragma once
// Runs in one process's journal: each record names its run's last one, so that a run is read by
// going back from its newest record to its last snapshot. In memory: the addresses of runs that
// were written lately; everything else about many runs is in an index that follows.

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/exec/batch_job.h"
#include "base/journal/journal.h"
#include "flow/log/record.h"
#include "flow/log/run_index.h"
#include "flow/run_log.h"

namespace flow {

/// Thread-safe; `append` from one thread.
class JournalRunLog final : public RunLog {
public:
    /// The journal outlives this. `index_path`: a file of its own. `threaded` false: the index
    /// follows in `catch_up` alone, for simulations. Errors: data_loss, the disk's.
    static base::Result<std::unique_ptr<JournalRunLog>> open(base::journal::Journal& journal,
                                                             const std::string& index_path,
                                                             bool threaded = true);
    ~JournalRunLog() override;

    void append(std::span<const RunChange> changes, Done done) override;
    void flush() override { journal_.flush(); }
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
    base::json::object health() override;

    /// Brings the index to what is durable.
    base::Result<void> catch_up();

private:
    struct Place {
        std::uint64_t last = 0;     ///< address of the newest record, durable or on its way
        std::uint64_t durable = 0;  ///< of the newest durable one; 0: none
        std::uint32_t writes = 0;
        bool broken = false;  ///< a write failed, and some behind it have not said so yet
        bool over = false;
    };
    JournalRunLog(base::journal::Journal& journal, std::unique_ptr<RunIndex> index);
    base::Result<void> read_tail();
    base::Result<std::uint64_t> address_of(RunId id);
    base::Result<void> place_of(RunId id);
    base::Result<std::size_t> index_batch();
    struct Written {
        IndexRow row;
        std::optional<PageMark> mark;  ///< its address is row.last
    };
    static Written written(const RunChange& change, std::uint64_t count, bool whole_head,
                           std::uint64_t address);
    void settled(std::vector<Written>& rows, bool written);

    base::journal::Journal& journal_;
    const std::unique_ptr<RunIndex> index_;
    std::mutex mutex_;  // guards what is below; taken before the journal's own, by append
    std::unordered_map<RunId, Place> places_;      ///< of runs that were written lately
    std::deque<Written> waiting_;                  ///< durable, not in the index; in order
    std::unordered_map<std::string, RunId> keys_;  ///< of runs in waiting_
    std::mutex indexing_;                          // held while a batch goes into the index
    std::unique_ptr<base::BatchJob> job_;
};

}  // namespace flow
