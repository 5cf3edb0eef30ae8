#include "base/journal/frame_reader.h"

#include <algorithm>
#include <span>

namespace base::journal {
namespace {
constexpr std::uint64_t kReadBytes = 1u << 20;
}

/// Makes buffer_ hold at least `bytes` from offset_ on; false: the range ends before.
Result<bool> FrameReader::load(std::uint64_t bytes) {
    if (offset_ + bytes > range_.end) return false;
    const std::uint64_t from = offset_ - buffer_at_;
    if (from + bytes <= buffer_.size()) return true;
    if (from < buffer_.size()) {
        buffer_.erase(0, from);
    } else {
        buffer_.clear();
    }
    buffer_at_ = offset_;
    const std::size_t kept = buffer_.size();
    buffer_.resize(std::min(std::max(bytes, kReadBytes), range_.end - offset_));
    const std::size_t got = DG_TRY(
        range_.file->read(offset_ + kept, std::span(buffer_.data() + kept, buffer_.size() - kept)));
    buffer_.resize(kept + got);
    return buffer_.size() >= bytes;
}

Result<FrameReader::Found> FrameReader::next() {
    header_was_right_ = false;
    if (!DG_TRY(load(kFrameHeaderBytes))) return Found::nothing;
    const auto header =
        frame_header(std::string_view(buffer_).substr(offset_ - buffer_at_, kFrameHeaderBytes));
    const SegmentHeader& segment = range_.segment;
    if (!header || header->journal != segment.journal ||
        header->address != segment.index * segment.segment_bytes + offset_) {
        return Found::nothing;
    }
    header_was_right_ = true;
    if (header->sequence != sequence_ || !DG_TRY(load(kFrameHeaderBytes + header->bytes))) {
        return Found::nothing;
    }
    const std::string_view records =
        std::string_view(buffer_).substr(offset_ - buffer_at_ + kFrameHeaderBytes, header->bytes);
    if (!records_are_right(records, *header)) return Found::nothing;
    header_ = *header;
    records_ = records;
    offset_ = align_frame(offset_ + kFrameHeaderBytes + header->bytes);
    ++sequence_;
    return Found::frame;
}

Result<bool> for_each_record(const FrameHeader& header, std::string_view records,
                             const std::function<Result<bool>(Address, std::string_view)>& each) {
    std::uint64_t address = header.address + kFrameHeaderBytes;
    while (!records.empty()) {
        const std::uint64_t extent = record_extent(records);
        const std::string_view record =
            records.substr(kRecordHeaderBytes, extent - kRecordHeaderBytes);
        if (!DG_TRY(each(Address{address}, record))) return false;
        records.remove_prefix(extent);
        address += extent;
    }
    return true;
}

Result<Tail> look_at_tail(const FrameRange& range) {
    Tail tail;
    const SegmentHeader& segment = range.segment;
    std::string window;
    // Windows overlap by a header, so that each possible one is whole in one of them.
    for (std::uint64_t at = range.begin / kFrameAlign * kFrameAlign; at < range.end;
         at += kReadBytes) {
        window.resize(std::min(kReadBytes + kFrameHeaderBytes, range.end - at));
        window.resize(DG_TRY(range.file->read(at, std::span(window.data(), window.size()))));
        if (at < range.begin) {
            std::fill_n(window.begin(), std::min(range.begin - at, window.size()), '\0');
        }
        if (all_zero(window)) continue;
        tail.dirty = true;
        for (std::size_t i = find_frame_magic(window, 0); i < window.size();
             i = find_frame_magic(window, i + kFrameAlign)) {
            if (i + kFrameHeaderBytes > window.size()) break;
            const auto header = frame_header(std::string_view(window).substr(i, kFrameHeaderBytes));
            const std::uint64_t here = segment.index * segment.segment_bytes + at + i;
            const bool ours =
                header && (segment.journal == 0 ||
                           (header->journal == segment.journal && header->address == here));
            if (!ours) continue;
            tail.frame_at = at + i;
            return tail;
        }
    }
    return tail;
}

}  // namespace base::journal
