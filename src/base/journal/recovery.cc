#include "base/journal/recovery.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "base/journal/frame_reader.h"
#include "base/journal/segment_files.h"

namespace base::journal {
namespace {

using Found = FrameReader::Found;

/// What is in the folder, by the number in its name.
struct Candidate {
    std::unique_ptr<DiskFile> file;
    std::uint64_t bytes = 0;
    std::optional<SegmentHeader> header;  // nullopt: zeros or damaged
};

class Recovery {
public:
    Recovery(Disk& disk, const std::string& dir, std::uint64_t segment_bytes)
        : disk_(disk), dir_(dir) {
        out_.segment_bytes = segment_bytes;
    }

    Result<Recovered> run() {
        DG_TRY(look());
        if (last_ == candidates_.end()) {
            DG_TRY(nothing_lost_without_headers());
        } else {
            out_.id = last_->second.header->journal;
            out_.segment_bytes = last_->second.header->segment_bytes;
            DG_TRY(follow_chain());
            DG_TRY(read_last());
        }
        DG_TRY(look_behind_last());
        DG_TRY(keep_last_frame());
        DG_TRY(tidy());
        return std::move(out_);
    }

private:
    using Candidates = std::map<std::uint64_t, Candidate>;

    std::string path(std::uint64_t index) const { return dir_ + "/" + segment_name(index); }

    Result<void> look();
    Result<void> nothing_lost_without_headers();
    Result<void> follow_chain();
    Result<void> read_last();
    Result<void> look_behind_last();
    Result<void> keep_last_frame();
    Result<void> tidy();

    Disk& disk_;
    const std::string& dir_;
    Candidates candidates_;
    Candidates::iterator last_;  // the highest with a right header
    std::uint64_t last_frame_at_ = 0;
    std::uint64_t last_frame_end_ = 0;  // 0: the last segment has none
    std::vector<std::string> unfinished_;
    Recovered out_;
};

Result<void> Recovery::look() {
    for (const std::string& name : DG_TRY(disk_.list(dir_))) {
        if (name.ends_with(kUnfinishedSuffix)) unfinished_.push_back(name);
        const std::optional<std::uint64_t> index = segment_index(name);
        if (!index) continue;
        Candidate candidate;
        candidate.file = DG_TRY(disk_.open(path(*index), Disk::Mode::existing));
        candidate.bytes = DG_TRY(candidate.file->size());
        std::array<char, kSegmentHeaderBytes> header{};
        DG_TRY(candidate.file->read(0, header));
        candidate.header = segment_header(std::string_view(header.data(), header.size()));
        if (candidate.header && candidate.header->index != *index) {
            return damaged(path(*index), 0, "it is another segment under this name");
        }
        candidates_.emplace(*index, std::move(candidate));
    }
    last_ = candidates_.end();
    for (auto it = candidates_.begin(); it != candidates_.end(); ++it) {
        if (it->second.header) last_ = it;
    }
    return {};
}

/// No header is right: this is a new journal only when no frame is.
Result<void> Recovery::nothing_lost_without_headers() {
    for (const auto& [index, candidate] : candidates_) {
        const FrameRange all{candidate.file.get(),
                             SegmentHeader{0, index, out_.segment_bytes, 0, 0}, 0, candidate.bytes};
        const Tail tail = DG_TRY(look_at_tail(all));
        if (tail.frame_at != 0) {
            return damaged(path(index), 0, "its header is damaged, and it has records");
        }
    }
    return {};
}

/// From the last segment back: each header says where the frames before it end.
Result<void> Recovery::follow_chain() {
    for (const auto& [index, candidate] : candidates_) {
        const auto& header = candidate.header;
        if (header && (header->journal != out_.id || header->segment_bytes != out_.segment_bytes)) {
            return damaged(path(index), 0, "it or the last one is of another journal");
        }
    }
    std::uint64_t end = last_->second.bytes;
    for (auto it = last_;;) {
        const SegmentHeader& header = *it->second.header;
        out_.segments.push_back(LiveSegment{header, end});
        if (header.follows == 0) break;
        const std::uint64_t before = (header.follows - 1) / out_.segment_bytes;
        end = header.follows - before * out_.segment_bytes;
        if (before >= it->first) return damaged(path(it->first), 40, "it follows a later one");
        const auto found = candidates_.find(before);
        if (found != candidates_.end() && found->second.header) {
            it = found;
            continue;
        }
        if (found != candidates_.end()) {
            return damaged(path(before), 0, "its header is damaged, and later segments follow it");
        }
        // Dropped, oldest first: older ones would have gone before it.
        if (candidates_.begin()->first < before) {
            return damaged(path(before), 0, "it is missing, and older and later segments are here");
        }
        break;
    }
    std::ranges::reverse(out_.segments);
    return {};
}

Result<void> Recovery::read_last() {
    LiveSegment& last = out_.segments.back();
    const std::uint64_t index = last.header.index;
    const Candidate& candidate = last_->second;
    FrameReader frames(
        FrameRange{candidate.file.get(), last.header, kSegmentHeaderBytes, out_.segment_bytes});
    while (DG_TRY(frames.next()) == Found::frame) {
        last_frame_at_ = frames.header().address % out_.segment_bytes;
        last_frame_end_ = frames.offset();
    }
    last.end = frames.offset();
    out_.sequence = frames.sequence();
    if (frames.header_was_right()) {
        // A torn write, unless the number shows that it is not the one that should be here.
        std::array<char, kFrameHeaderBytes> bytes{};
        DG_TRY(candidate.file->read(last.end, bytes));
        const auto header = frame_header(std::string_view(bytes.data(), bytes.size()));
        if (header && header->sequence != out_.sequence) {
            return damaged(path(index), last.end,
                           fmt::format("write {} stands here, {} was expected", header->sequence,
                                       out_.sequence));
        }
    }
    // One write is on its way at a time: whatever is behind the first that is not right had to
    // wait until that one was acknowledged.
    const std::uint64_t behind = std::min(last.end + kFrameAlign, out_.segment_bytes);
    const Tail tail = DG_TRY(
        look_at_tail(FrameRange{candidate.file.get(), last.header, behind, out_.segment_bytes}));
    if (tail.frame_at != 0) {
        return damaged(path(index), last.end,
                       fmt::format("a later write at offset {} is whole", tail.frame_at));
    }
    std::array<char, kFrameAlign> first{};
    DG_TRY(candidate.file->read(last.end, first));
    const bool dirty = tail.dirty || !all_zero(std::string_view(first.data(), first.size())) ||
                       candidate.bytes != out_.segment_bytes;
    // What a crash left is never written over: the journal goes on in a new segment.
    out_.next_index = dirty ? index + 1 : index;
    out_.next_offset = dirty ? 0 : last.end;
    out_.end = index * out_.segment_bytes + last.end;
    if (last_frame_end_ != 0) return {};
    // Its first write was never acknowledged; where it is torn, the segment is none.
    out_.end = last.header.follows;
    if (dirty) out_.segments.pop_back();
    return {};
}

/// Segments after the last one with a right header: made ahead, or half made.
Result<void> Recovery::look_behind_last() {
    for (auto it = last_ == candidates_.end() ? candidates_.begin() : std::next(last_);
         it != candidates_.end(); ++it) {
        const Candidate& candidate = it->second;
        const FrameRange all{candidate.file.get(),
                             SegmentHeader{out_.id, it->first, out_.segment_bytes, 0, 0}, 0,
                             candidate.bytes};
        const Tail tail = DG_TRY(look_at_tail(all));
        if (tail.frame_at != 0) {
            return damaged(path(it->first), 0, "its header is damaged, and it has records");
        }
        const bool usable = !tail.dirty && candidate.bytes == out_.segment_bytes;
        if (usable && !out_.spare) out_.spare = it->first;
        if (tail.dirty) {
            out_.next_index = it->first + 1;
            out_.next_offset = 0;
        }
    }
    return {};
}

/// The last frame may be in the page cache alone: its process was killed before it was synced, or
/// the sync failed and the kernel forgot about it. It counts from now on, so it is written again,
/// the same bytes.
Result<void> Recovery::keep_last_frame() {
    // Names may be as fresh: a segment that was moved into place and not yet synced.
    DG_TRY(disk_.sync_dir(dir_));
    if (last_ == candidates_.end()) return {};
    DiskFile& file = *last_->second.file;
    const auto again = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
        std::string bytes(to - from, '\0');
        const std::size_t got = DG_TRY(file.read(from, bytes));
        return file.write(from, std::string_view(bytes).substr(0, got));
    };
    DG_TRY(again(0, kSegmentHeaderBytes));
    if (last_frame_end_ != 0) DG_TRY(again(last_frame_at_, last_frame_end_));
    return file.sync();
}

/// Removes what is no part of the journal: half made, or written in vain.
Result<void> Recovery::tidy() {
    for (const std::string& name : unfinished_) DG_TRY(disk_.remove(dir_ + "/" + name));
    for (const auto& [index, candidate] : candidates_) {
        const auto is_live = [&](const LiveSegment& s) { return s.header.index == index; };
        if (std::ranges::any_of(out_.segments, is_live) || out_.spare == index) continue;
        // A header without frames says what the segment before it must not be asked for.
        if (last_ != candidates_.end() && index == last_->first) continue;
        DG_TRY(disk_.remove(path(index)));
    }
    return {};
}

}  // namespace

std::unexpected<Error> damaged(const std::string& path, std::uint64_t offset,
                               std::string_view what) {
    return fail_on(path, Code::data_loss,
                   "segment {} is damaged at offset {}: {}; restore the file from a copy, nothing "
                   "was changed",
                   path, offset, what);
}

Result<void> check_segment(const DiskFile& file, const std::string& path,
                           const LiveSegment& segment) {
    FrameReader frames(FrameRange{&file, segment.header, kSegmentHeaderBytes, segment.end});
    while (DG_TRY(frames.next()) == Found::frame) {
    }
    if (frames.offset() == segment.end) return {};
    return damaged(path, frames.offset(), "no whole write stands there, later ones do");
}

Result<Recovered> recover(Disk& disk, const std::string& dir, std::uint64_t segment_bytes) {
    return Recovery(disk, dir, segment_bytes).run();
}

}  // namespace base::journal
