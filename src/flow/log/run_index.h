#pragma once
// What is asked of many runs at once, in SQLite: a copy of heads and of where each run's last
// record is. Disposable: it says up to which record it has come, and what it lacks is read from the
// journal again.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/store/store.h"
#include "flow/run_log.h"

namespace flow {

struct IndexRow {
    RunHead head;
    std::uint64_t last = 0;   ///< address of its last record
    bool whole_head = false;  ///< else only what changes is in `head`
};

/// Where in the journal a part of a run's history is.
struct PageMark {
    RunId run;
    std::uint64_t first = 0;    ///< place of the first event of the record
    std::uint64_t address = 0;  ///< of the record
};
/// Records that hold a place divisible by this, but not the run's first, are marked: a short run
/// has no mark, and one of any length is read from a mark on.
inline constexpr std::uint64_t kMarkEvery = 256;
inline bool has_mark(std::uint64_t first, std::uint64_t count) {
    return count != 0 && first + count > kMarkEvery &&
           (first + count - 1) / kMarkEvery * kMarkEvery >= first;
}

class RunIndex {
public:
    /// A file that is damaged, or that the machine went down with, is made anew.
    /// Errors: the store's.
    static base::Result<std::unique_ptr<RunIndex>> open(const std::string& path);
    ~RunIndex();
    RunIndex(const RunIndex&) = delete;
    RunIndex& operator=(const RunIndex&) = delete;

    /// All in one transaction, with how far it has come.
    base::Result<void> apply(std::span<const IndexRow> rows, std::span<const PageMark> marks,
                             std::uint64_t position);
    /// The first marked record of a run that begins at `place` or later; 0: none is marked.
    base::Result<std::uint64_t> mark_from(RunId run, std::uint64_t place);
    /// 0: nothing was applied.
    base::Result<std::uint64_t> position();
    base::Result<std::optional<IndexRow>> find(RunId id);
    base::Result<std::optional<RunId>> by_key(std::string_view tenant, std::string_view key);
    /// See RunLog.
    base::Result<void> open_runs(const std::function<void(const RunHead&)>& each);
    base::Result<std::vector<RunHead>> list(const RunFilter& filter);
    base::Result<RunCounts> count(const RunFilter& filter);

private:
    RunIndex(std::string path, std::unique_ptr<base::store::Store> store)
        : path_(std::move(path)), store_(std::move(store)) {}

    const std::string path_;
    std::unique_ptr<base::store::Store> store_;
};

}  // namespace flow
