#pragma once
// From the files in a folder to where a journal stands. Everything is looked at before anything is
// changed, and of what was acknowledged nothing is.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/disk.h"
#include "base/journal/format.h"

namespace base::journal {

/// A segment whose records are part of the journal.
struct LiveSegment {
    SegmentHeader header;
    std::uint64_t end = 0;  // offset behind its last frame
};

struct Recovered {
    std::uint64_t id = 0;  // 0: there is no journal yet
    std::uint64_t segment_bytes = 0;
    std::vector<LiveSegment> segments;  // in order
    std::uint64_t sequence = 1;         // of the next frame
    std::uint64_t end = 0;              // address behind the last frame; 0: none
    /// Where the next frame goes. Offset 0: into a segment that is to be made.
    std::uint64_t next_index = 0, next_offset = 0;
    std::optional<std::uint64_t> spare;  // a segment of zeros
};

/// `segment_bytes` is for a journal that is still to be made. Errors: data_loss, naming segment
/// and offset; those of the disk.
Result<Recovered> recover(Disk& disk, const std::string& dir, std::uint64_t segment_bytes);

/// Each frame of `segment` is right and the last one ends where it should. Error: data_loss.
Result<void> check_segment(const DiskFile& file, const std::string& path,
                           const LiveSegment& segment);

std::unexpected<Error> damaged(const std::string& path, std::uint64_t offset,
                               std::string_view what);

}  // namespace base::journal
