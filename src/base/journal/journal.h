#pragma once
// The append-only log that workflow runs, decisions, the ledger and the audit trail are folds of.
//
//   auto journal = DG_TRY(Journal::open(disk, dir, {}));
//   DG_TRY(journal->scan({}, [&](Address at, std::string_view record) -> Result<bool> { ... }));
//   Group group;
//   group.add(record);
//   DG_TRY(journal->commit(group));      // durable now
//
// Nothing that was acknowledged is lost by kill -9 or power loss; what was not is there whole, as
// its group, or not at all. README.md says how.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/files/disk.h"
#include "base/journal/group.h"

namespace base::journal {

struct Options {
    /// Of one file. A journal that exists keeps its own. 4 KiB to 1 GiB, a multiple of 4 KiB.
    std::uint64_t segment_bytes = 64u << 20;
    /// Of one record; a group may have as many as fit in a segment (group_bytes_max).
    std::uint64_t record_bytes_max = 16u << 20;
    /// Of what waits for the disk. Over it append fails and commit waits.
    std::uint64_t pending_bytes_max = 64u << 20;
    /// Of durable records that are kept in memory for read.
    std::uint64_t recent_bytes_max = 8u << 20;
    /// Where drop_before moves segments, on the same file system; empty: it removes them.
    std::string archive_dir{};
    /// Checks every record when opening, not only those of the last segment. Without it damage
    /// elsewhere is told by the scan or read that meets it.
    bool check_all = false;
    /// false: no threads; appends wait until flush, which calls what is done. For simulations.
    bool threaded = true;
    /// Names a new journal; 0: by chance.
    std::uint64_t id = 0;
    /// For latencies in Stats; nullptr: the machine's. Outlives the journal.
    const Clock* clock = nullptr;
};

/// How many syncs the percentiles of Stats look back.
inline constexpr std::size_t kRecentSyncs = 512;

/// Counted since the journal was opened, except for bytes and segments.
struct Stats {
    std::uint64_t bytes = 0;     ///< on the disk, of the segments that hold records
    std::uint64_t segments = 0;  ///< that hold records
    std::uint64_t records = 0;   ///< durable
    std::uint64_t groups = 0;    ///< durable
    std::uint64_t syncs = 0;     ///< that succeeded; groups / syncs is how many shared one
    std::uint64_t failures = 0;  ///< writes that failed, with everything behind them
    std::uint64_t pending_bytes = 0;
    /// Element i counts syncs of [2^(i-1), 2^i) microseconds; groups in a sync.
    std::array<std::uint64_t, 32> sync_us{};
    std::array<std::uint64_t, 32> groups_in_sync{};
    /// Of the last syncs, at most kRecentSyncs; 0 when there was none.
    std::uint32_t sync_p50_us = 0, sync_p99_us = 0;
};

/// Thread-safe. Destroying it waits for what was appended.
class Journal {
public:
    using Done = std::function<void(Result<void>)>;
    /// False stops the scan.
    using Each = std::function<Result<bool>(Address, std::string_view)>;

    /// Makes `dir` and the journal where there is none, else recovers: a last write that a crash
    /// tore is forgotten. Errors: failed_precondition (another owner holds it), data_loss (damage
    /// before the tail; names segment and offset; nothing is changed), invalid_argument (options),
    /// resource_exhausted, those of the disk.
    static Result<std::unique_ptr<Journal>> open(Disk& disk, std::string dir,
                                                 const Options& options);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// Gives the group its place, behind all before it, and returns the address of its first
    /// record (Group::address has the others'). `done` is called on the journal's thread (in
    /// flush without threads), in the order of appends, when the group is durable or its write
    /// failed; it may append, must not commit, and should be quick: the next sync waits for it.
    ///
    /// A write that fails (resource_exhausted: full; unavailable: the device) fails all groups
    /// behind it, too. None of them is ever found again, unless the process ends before the next
    /// append that succeeds. Later appends work as soon as the disk does.
    ///
    /// Errors, without a call of `done`: invalid_argument (no record), payload_too_large,
    /// resource_exhausted (pending_bytes_max).
    Result<Address> append(const Group& group, Done done);
    /// Appends and waits until durable; waits for room, too. Errors: as append, and the write's.
    Result<Address> commit(const Group& group);
    /// Waits until everything appended before is durable or failed, and said so. Pre: not from a
    /// `done`.
    void flush();

    /// One record, checked; also one that still waits for the disk. Errors: not_found (dropped, or
    /// outside of what is written), data_loss (no record begins there, or a damaged one).
    Result<std::string> read(Address address) const;
    /// Calls `each` for the durable records from `from` on (0: the first there is), in order, up
    /// to the end that was durable when it was called. Beside appends and other scans. Errors:
    /// not_found (`from` was dropped, or drop_before came in its way), data_loss with segment and
    /// offset, those of `each`.
    Result<void> scan(Address from, const Each& each) const;

    /// Removes, or moves to the archive, the segments that lie before `address` as a whole.
    /// Durable when it returns; a crash before leaves the later ones. Pre: not from a scan.
    Result<void> drop_before(Address address);

    /// Every record is in [begin, end); end grows with what is durable.
    Address begin() const;
    Address end() const;
    std::uint64_t segment_bytes() const;
    /// Of one group, headers of records included.
    std::uint64_t group_bytes_max() const;
    Stats stats() const;

private:
    class Impl;
    explicit Journal(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace base::journal
