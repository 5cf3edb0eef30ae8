#pragma once
// Frames of one segment, one after another, each checked.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/files/disk.h"
#include "base/journal/format.h"
#include "base/journal/group.h"

namespace base::journal {

/// Which bytes are to be read as frames. The file outlives the reader.
struct FrameRange {
    const DiskFile* file = nullptr;
    SegmentHeader segment;
    std::uint64_t begin = kSegmentHeaderBytes;  // offsets in the file
    std::uint64_t end = 0;
};

class FrameReader {
public:
    enum class Found : std::uint8_t { frame, nothing /** no right frame is at offset() */ };

    explicit FrameReader(const FrameRange& range)
        : range_(range), offset_(range.begin), sequence_(range.segment.sequence) {}

    /// Errors: the disk's.
    Result<Found> next();
    /// The frame that next() found: until the next call.
    const FrameHeader& header() const { return header_; }
    std::string_view records() const { return records_; }
    /// Behind the frames found so far.
    std::uint64_t offset() const { return offset_; }
    /// Of the frame that would come next.
    std::uint64_t sequence() const { return sequence_; }
    /// After `nothing`: a header that is right stands there, its records or its number are not.
    bool header_was_right() const { return header_was_right_; }

private:
    Result<bool> load(std::uint64_t bytes);

    FrameRange range_;
    std::uint64_t offset_, sequence_;
    std::string buffer_;  // file bytes from buffer_at_ on
    std::uint64_t buffer_at_ = 0;
    FrameHeader header_;
    std::string_view records_;
    bool header_was_right_ = false;
};

/// Calls `each` for the records of a frame; false: it stopped.
Result<bool> for_each_record(const FrameHeader& header, std::string_view records,
                             const std::function<Result<bool>(Address, std::string_view)>& each);

/// What stands behind the last frame of a segment.
struct Tail {
    bool dirty = false;          ///< something other than zeros
    std::uint64_t frame_at = 0;  ///< offset of a frame's header in it; 0: none
};
/// Looks through [range.begin, range.end). With segment.journal 0, frames of any journal count.
Result<Tail> look_at_tail(const FrameRange& range);

}  // namespace base::journal
