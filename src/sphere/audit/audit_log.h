#pragma once
// The record that is written before anything else is believed: append-only, hash-chained lines in
// segments, one writer thread, group commit.
//
//   auto log = DG_TRY(AuditLog::open({.dir = dir}, clock));
//   DG_TRY(log->append(event));                  // in order and in memory: microseconds
//   DG_TRY(log->record(event));                  // returns when the line is on the disk

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "sphere/audit/chain.h"
#include "sphere/audit/event.h"
#include "sphere/audit/redactor.h"

namespace sphere::audit {

struct AuditOptions {
    std::string dir;                             ///< made when missing, mode 0700
    std::uint64_t segment_bytes_max = 64 << 20;  ///< then the next segment begins
    std::uint64_t queue_bytes_max = 16 << 20;    ///< of lines that wait for the writer
    /// power_loss: durable is what fdatasync returned for. process_loss: durable is what the kernel
    /// has; it survives kill -9 of this process, not of the machine.
    enum class Durability : std::uint8_t { power_loss, process_loss };
    Durability durability = Durability::power_loss;
};

/// What open found at the end of the last segment.
struct Recovery {
    std::uint64_t torn_bytes = 0;  ///< unfinished, hence never acknowledged
    std::string moved_to;          ///< the file that keeps them
};

/// Thread-safe.
class AuditLog {
public:
    /// Takes the folder for this process, checks the last segment's chain against the head, moves
    /// an unfinished end aside (and records that as event "audit.recovered"). Errors:
    /// failed_precondition when another process has it; data_loss when a line that was once durable
    /// is missing or altered: nothing is appended to a log that cannot be trusted; `dougong audit
    /// verify` names the line.
    static base::Result<std::unique_ptr<AuditLog>> open(AuditOptions options,
                                                        const base::Clock& clock);
    /// Makes everything durable first.
    ~AuditLog();

    /// Queues the event and returns its sequence number. Waits only while queue_bytes_max of lines
    /// wait: whoever floods the log is slowed to the disk's pace. Errors: those of the writer, from
    /// the first failure on until writing works again (resource_exhausted: the disk is full, it is
    /// tried again every second and on every sync; else until the log is opened anew). What cannot
    /// be recorded must not be done: the caller refuses it.
    base::Result<std::uint64_t> append(const AuditEvent& event);
    /// Waits until `seq` and all before it are durable. Errors: as append.
    base::Result<void> sync(std::uint64_t seq);
    /// Everything appended so far.
    base::Result<void> sync();
    /// append and sync; one fdatasync serves all threads that wait together.
    base::Result<std::uint64_t> record(const AuditEvent& event);

    /// For events appended from now on.
    void set_redactor(std::shared_ptr<const Redactor> redactor);

    /// The last durable line.
    ChainHead durable() const;
    /// Waits until something after `seq` is durable, `at_most` has passed, or `stop` is set and
    /// wake() called.
    void wait_for_more(std::uint64_t seq, base::Duration at_most,
                       const std::atomic<bool>& stop) const;
    void wake() const;

    const std::string& dir() const;
    const Recovery& recovery() const;

private:
    struct Impl;
    explicit AuditLog(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sphere::audit
