#pragma once
// Finished runs that left the store: files of a folder, `runs-2026-12-01-0001.jsonl.zst`, a new one
// each day and for each process, so that nothing stands behind what a crash tore; `zstdcat` prints
// as a line of JSON for each run, as GET /v1/runs/{id}/export gives it. Before each run's line,
// where zstd skips it, stands its head, so that a list reads no run.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/files/disk.h"
#include "base/json/json.h"
#include "flow/run_log.h"

namespace flow {

struct ArchivedRun {
    RunHead head;
    std::string line;  ///< the export as JSON, without an end of line
};

struct ArchiveFilter {
    std::string tenant = {}, workflow = {};  ///< workflow empty: any
    std::optional<RunId> after = {};         ///< of the last page; the newest come first
    std::uint32_t limit = 50;
};

/// Thread-safe. One owner of a folder at a time.
class RunArchive {
public:
    /// Makes the folder. Errors: failed_precondition (another process has it), the disk's.
    static base::Result<std::unique_ptr<RunArchive>> open(base::Disk& disk, std::string dir);

    /// Appends them to the day's file; durable when it returns. What a failed add left is
    /// overwritten by the next one; a run that was added twice is found once. Errors: the disk's.
    base::Result<void> add(std::span<const ArchivedRun> runs, std::int64_t now_ms);
    /// Heads as GET /v1/runs gives them. Errors: the disk's.
    base::Result<std::vector<base::json::object>> list(const ArchiveFilter& filter);
    /// A run's line. Errors: not_found, data_loss (it is damaged).
    base::Result<std::string> read(std::string_view tenant, RunId run);

private:
    struct Entry;
    RunArchive(base::Disk& disk, std::string dir, std::unique_ptr<base::DiskLock> lock)
        : disk_(disk), dir_(std::move(dir)), lock_(std::move(lock)) {}
    base::Result<std::vector<std::string>> files();
    base::Result<void> walk(base::DiskFile& file,
                            const std::function<void(const Entry&)>& each) const;

    base::Disk& disk_;
    const std::string dir_;
    const std::unique_ptr<base::DiskLock> lock_;
    std::mutex mutex_;       // guards what is below, and the end of the files
    std::string name_;       ///< of the file that was added to last
    std::uint64_t end_ = 0;  ///< of what is whole in it
};

}  // namespace flow
