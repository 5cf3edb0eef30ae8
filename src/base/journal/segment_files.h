#pragma once
// The files of a journal: their names, and the next one made ahead, so that no commit waits for
// 64 MiB of zeros.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/files/disk.h"

namespace base::journal {

inline constexpr std::string_view kLockName = "lock";
inline constexpr std::string_view kUnfinishedSuffix = ".tmp";

std::string segment_name(std::uint64_t index);
/// nullopt: no segment's name.
std::optional<std::uint64_t> segment_index(std::string_view name);

/// Makes files full of zeros, durable with their names. take and want are the writer's calls, one
/// at a time.
class SegmentFiles {
public:
    /// `spare`: one that is there already.
    SegmentFiles(Disk& disk, std::string dir, std::uint64_t segment_bytes, bool threaded,
                 std::optional<std::uint64_t> spare, const Clock& clock);
    ~SegmentFiles();
    SegmentFiles(const SegmentFiles&) = delete;

    /// The file of segment `index`, made now where none was made ahead.
    Result<std::unique_ptr<DiskFile>> take(std::uint64_t index);
    /// Makes one ahead, on the own thread where there is one. It is tried once: take tries again,
    /// and says why it fails.
    void want(std::uint64_t index);

    std::string path(std::uint64_t index) const { return dir_ + "/" + segment_name(index); }

private:
    Result<std::unique_ptr<DiskFile>> make(std::uint64_t index);
    Result<std::unique_ptr<DiskFile>> fill(const std::string& path);
    Result<void> make_way(Duration took);
    void run();

    Disk& disk_;
    const std::string dir_;
    const std::uint64_t segment_bytes_;
    const Clock& clock_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::optional<std::uint64_t> spare_;   // is there under this number
    std::optional<std::uint64_t> wanted_;  // being made, or about to be
    std::optional<std::uint64_t> given_up_;
    bool stopping_ = false, urgent_ = false;
    std::thread thread_;
};

}  // namespace base::journal
