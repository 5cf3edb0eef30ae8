// Reading beside appends, and letting go of what is old.
#include <algorithm>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "base/journal/frame_reader.h"
#include "base/journal/journal_impl.h"

namespace base::journal {
namespace {
constexpr std::size_t kFilesOpenMax = 64;
constexpr std::size_t kRecordGuessBytes = 4096;
}  // namespace

Address Journal::Impl::begin() const {
    std::lock_guard lock(mutex_);
    if (segments_.empty()) return Address{end_};
    return Address{segments_.begin()->first * segment_bytes_ + kSegmentHeaderBytes +
                   kFrameHeaderBytes};
}

Address Journal::Impl::end() const {
    std::lock_guard lock(mutex_);
    return Address{end_};
}

Result<Journal::Impl::FilePtr> Journal::Impl::file_of(std::uint64_t index) {
    {
        std::lock_guard lock(mutex_);
        const auto found = segments_.find(index);
        if (found == segments_.end()) {
            return fail(Code::not_found, "segment {} of the journal in {} was dropped", index,
                        dir_);
        }
        if (found->second.file) return found->second.file;
    }
    FilePtr file = DG_TRY(disk_.open(path(index), Disk::Mode::existing));
    std::lock_guard lock(mutex_);
    const auto found = segments_.find(index);
    if (found == segments_.end() || found->second.file) return file;
    note_opened(found->second, file);
    return file;
}

/// Under the lock. Closes the file that was opened longest ago where there are many: who reads it
/// still holds it, and the active one is held by who writes.
void Journal::Impl::note_opened(Segment& segment, FilePtr file) {
    segment.file = std::move(file);
    opened_.push_back(segment.live.header.index);
    if (opened_.size() <= kFilesOpenMax) return;
    if (const auto old = segments_.find(opened_.front()); old != segments_.end()) {
        old->second.file.reset();
    }
    opened_.pop_front();
}

std::string_view Journal::Impl::in_memory(Address address) const {
    if (!recent_.empty() && address.n >= recent_.front()->begin() && address.n < end_) {
        const auto behind = std::ranges::upper_bound(
            recent_, address.n, {}, [](const FramePtr& frame) { return frame->begin(); });
        return (*std::prev(behind))->record(address);
    }
    if (writing_ && address.n >= writing_->begin() && address.n < writing_->end()) {
        return writing_->record(address);
    }
    for (const FramePtr& frame : queue_) {
        if (address.n >= frame->begin() && address.n < frame->end()) return frame->record(address);
    }
    return {};
}

Result<std::string> Journal::Impl::read(Address address) {
    const std::uint64_t index = address.n / segment_bytes_;
    const std::uint64_t offset = address.n % segment_bytes_;
    std::uint64_t end = 0;
    {
        std::lock_guard lock(mutex_);
        if (const std::string_view record = in_memory(address); record.data() != nullptr) {
            return std::string(record);
        }
        const auto found = segments_.find(index);
        if (found != segments_.end()) end = found->second.live.end;
    }
    if (offset < kSegmentHeaderBytes + kFrameHeaderBytes || offset + kRecordHeaderBytes > end) {
        return fail(Code::not_found,
                    "the journal in {} has no record at {}: it was dropped, or "
                    "never was there",
                    dir_, address.n);
    }
    const FilePtr file = DG_TRY(file_of(index));
    std::string bytes(std::min<std::uint64_t>(kRecordGuessBytes, end - offset), '\0');
    bytes.resize(DG_TRY(file->read(offset, bytes)));
    if (bytes.size() >= kRecordHeaderBytes) {
        const std::uint64_t extent = record_extent(bytes);
        if (extent > bytes.size() && offset + extent <= end) {
            const std::size_t got = bytes.size();
            bytes.resize(extent);
            DG_TRY(file->read(offset + got, std::span(bytes).subspan(got)));
        }
    }
    if (const auto record = record_at(bytes, address.n)) return std::string(*record);
    return damaged(path(index), offset, "no whole record begins there");
}

Result<void> Journal::Impl::scan(Address from, const Each& each) {
    std::vector<LiveSegment> segments;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [index, segment] : segments_) segments.push_back(segment.live);
    }
    const bool has_older =
        from.n != 0 && !segments.empty() && from.n < segments.front().header.index * segment_bytes_;
    if (has_older) {
        return fail(Code::not_found, "the journal in {} begins at {}; {} was dropped", dir_,
                    begin().n, from.n);
    }
    for (const LiveSegment& segment : segments) {
        if (segment.header.index < from.n / segment_bytes_) continue;
        if (!DG_TRY(scan_segment(segment, from, each))) break;
    }
    return {};
}

Result<bool> Journal::Impl::scan_segment(const LiveSegment& segment, Address from,
                                         const Each& each) {
    const std::uint64_t index = segment.header.index;
    const FilePtr file = DG_TRY(file_of(index));
    const Each wanted = [&](Address at, std::string_view record) -> Result<bool> {
        return at < from ? true : each(at, record);
    };
    FrameReader frames(FrameRange{file.get(), segment.header, kSegmentHeaderBytes, segment.end});
    while (DG_TRY(frames.next()) == FrameReader::Found::frame) {
        if (index * segment_bytes_ + frames.offset() <= from.n) continue;
        const Each& call = frames.header().address < from.n ? wanted : each;
        if (!DG_TRY(for_each_record(frames.header(), frames.records(), call))) return false;
    }
    if (frames.offset() == segment.end) return true;
    return damaged(path(index), frames.offset(), "no whole write stands there, later ones do");
}

Result<void> Journal::Impl::check_all() {
    for (const auto& [index, segment] : segments_) {
        const FilePtr file = DG_TRY(disk_.open(path(index), Disk::Mode::existing));
        DG_TRY(check_segment(*file, path(index), segment.live));
    }
    return {};
}

/// Removes segments between live ones: written in vain, and not removed then. An older file than
/// one that is missing would look like a gap.
Result<void> Journal::Impl::drop_dead() {
    bool removed = false;
    for (const std::string& name : DG_TRY(disk_.list(dir_))) {
        const std::optional<std::uint64_t> index = segment_index(name);
        if (!index) continue;
        {
            std::lock_guard lock(mutex_);
            if (*index >= segments_.rbegin()->first || segments_.contains(*index)) continue;
        }
        DG_TRY(disk_.remove(path(*index)));
        removed = true;
    }
    return removed ? disk_.sync_dir(dir_) : Result<void>();
}

Result<void> Journal::Impl::drop_before(Address address) {
    std::lock_guard one_at_a_time(drop_mutex_);
    bool first = true;
    while (true) {
        std::uint64_t oldest = 0;
        {
            std::lock_guard lock(mutex_);
            if (segments_.size() < 2) return {};
            oldest = segments_.begin()->first;
        }
        if (oldest >= address.n / segment_bytes_) return {};
        if (std::exchange(first, false)) DG_TRY(drop_dead());
        // Oldest first, each durably: a crash never leaves a gap that would look like damage.
        if (options_.archive_dir.empty()) {
            DG_TRY(disk_.remove(path(oldest)));
        } else {
            DG_TRY(disk_.rename(path(oldest), options_.archive_dir + "/" + segment_name(oldest)));
            DG_TRY(disk_.sync_dir(options_.archive_dir));
        }
        DG_TRY(disk_.sync_dir(dir_));
        std::lock_guard lock(mutex_);
        segments_.erase(oldest);
    }
}

}  // namespace base::journal
