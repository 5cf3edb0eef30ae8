#pragma once
// The unfinished half of a download on disk: bytes, and how far each range has come.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"

namespace engine {

/// [first, first + size) of the file; `done` leading bytes of it are on disk.
struct PartRange {
    std::uint64_t first = 0, size = 0, done = 0;

    bool complete() const { return done == size; }
    bool operator==(const PartRange&) const = default;
};

/// Holds an exclusive lock on the part while it lives: one downloader per target, also across
/// processes. write() may be called from many threads on different ranges.
class PartFile {
public:
    /// Continues what an earlier run of the same identity and size left, else starts afresh.
    /// bytes 0: unknown size, one range of unknown end, never continued. Errors:
    /// failed_precondition (locked by another process), resource_exhausted (not enough space:
    /// says how much is missing).
    static base::Result<PartFile> open(const std::string& target, std::uint64_t bytes,
                                       const std::string& identity, std::uint64_t range_bytes);

    const std::string& path() const { return part_; }
    const std::vector<PartRange>& ranges() const { return ranges_; }

    base::Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes) const;
    /// Drops all bytes and begins again with one range of unknown end.
    base::Result<void> restart_as_stream();
    /// Records `ranges` after their bytes are safely on disk.
    base::Result<void> save(const std::vector<PartRange>& ranges);
    /// Makes the part the target and forgets the state.
    base::Result<void> finish();
    /// Removes part and state.
    void discard();

private:
    base::Result<void> load_state(std::uint64_t bytes, std::uint64_t range_bytes);

    std::string target_, part_, state_, identity_;
    std::uint64_t bytes_ = 0;
    base::UniqueFd fd_;
    std::vector<PartRange> ranges_;  // as last saved
};

}  // namespace engine
