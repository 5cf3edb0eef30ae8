#pragma once
// The emergency stop: who is stopped, until somebody lifts it. [WP 5.7] A stop is an epoch: every
// one gets a number higher than all before it, so that work begun earlier can be told from later.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "sphere/sphere.h"

namespace sphere::policy {

struct Stop {
    StopScope scope;  ///< empty fields match everything
    std::uint64_t epoch = 0;
    std::int64_t unix_ns = 0;
    std::string actor, reason;
};

/// Thread-safe.
class StopBoard {
public:
    /// Reads the stops in force from `path`; none without the file. Errors: data_loss when it is
    /// damaged: who is stopped is then not known, so nothing starts until a person has looked.
    static base::Result<std::unique_ptr<StopBoard>> open(std::string path,
                                                         const base::Clock& clock);

    /// In force for every check that begins after this call began to wait for the file; on disk
    /// when it returns. A second stop of the same scope renews the first. Errors: those of writing;
    /// the stop is in force all the same, but a restart would forget it.
    base::Result<std::uint64_t> stop(const StopScope& scope, std::string actor, std::string reason);
    /// Ends every stop whose scope lies within `scope`; a wider one stays. Returns how many.
    /// Errors: those of writing; then nothing is lifted.
    base::Result<std::uint32_t> lift(const StopScope& scope);

    /// The stop that covers this box, the newest of several. Empty arguments are not covered by a
    /// scope that names theirs. Without any stop: one atomic read.
    std::optional<Stop> covers(std::string_view tenant, std::string_view agent,
                               std::string_view sandbox) const;
    /// As Error: permission_denied naming the stop.
    base::Result<void> check(std::string_view tenant, std::string_view agent,
                             std::string_view sandbox) const;
    std::vector<Stop> list() const;
    /// Of the newest stop ever made here; 0: none.
    std::uint64_t epoch() const;

private:
    StopBoard(std::string path, const base::Clock& clock) : path_(std::move(path)), clock_(clock) {}
    base::Result<void> write(std::uint64_t epoch, const std::vector<Stop>& stops) const;

    const std::string path_;
    const base::Clock& clock_;
    std::mutex writing_;  // held over the file's writing; before mutex_
    mutable std::shared_mutex mutex_;
    std::vector<Stop> stops_;  // guarded by mutex_
    std::uint64_t epoch_ = 0;  // guarded by mutex_
    std::atomic<bool> any_{false};
};

}  // namespace sphere::policy
