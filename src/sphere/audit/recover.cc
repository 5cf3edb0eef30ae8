#include "sphere/audit/recover.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "sphere/audit/segments.h"

namespace sphere::audit {
namespace {

using base::Code;
using base::Result;

Result<std::uint64_t> file_bytes(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return base::fail_errno(errno, "stat", path);
    return static_cast<std::uint64_t>(info.st_size);
}

std::unexpected<base::Error> lost(const std::string& path, std::uint64_t seq,
                                  const ChainHead& head) {
    return base::fail_on(path, Code::data_loss,
                         "{}: line of event {} is missing or wrong although all up to {} were "
                         "durable. Nothing is appended to it: run dougong audit verify, keep the "
                         "folder as evidence and start a new one",
                         path, seq, head.seq);
}

/// Moves what follows `keep` bytes aside and cuts the segment there. The copy is durable first.
Result<Recovery> move_aside(const std::string& dir, const std::string& path, std::uint64_t keep,
                            std::uint64_t seq) {
    const std::string text = DG_TRY(base::read_file(path));
    Recovery recovery{text.size() - keep, ""};
    for (int n = 0;; ++n) {
        recovery.moved_to = fmt::format("{}/torn-{:020}-{}", dir, seq, n);
        if (!base::path_exists(recovery.moved_to)) break;
    }
    DG_TRY(base::write_file_atomically(
        recovery.moved_to, std::string_view(text).substr(static_cast<std::size_t>(keep))));
    const base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) return base::fail_errno(errno, "open", path);
    if (::ftruncate(file.get(), static_cast<off_t>(keep)) != 0 || ::fsync(file.get()) != 0) {
        return base::fail_errno(errno, "cut", path);
    }
    return recovery;
}

}  // namespace

Result<RecoveredEnd> recover_end(const std::string& dir) {
    const HeadFile::Content anchor = DG_TRY(HeadFile::read(dir));
    const ChainHead head = anchor.head.value_or(ChainHead{});
    const auto segments = DG_TRY(list_segments(dir));
    RecoveredEnd end;
    if (segments.empty()) {
        if (head.seq != 0) return lost(dir, head.seq, head);
        return end;
    }
    end.segment = segments.back().path;
    if (!anchor.head) {  // it is written before the first segment
        return base::fail_on(dir, Code::data_loss,
                             "{} has segments but no readable head; run dougong audit verify, keep "
                             "the folder as evidence and start a new one",
                             dir);
    }
    LineReader reader = DG_TRY(LineReader::open(end.segment));
    std::uint64_t expected = segments.back().first_seq;
    if (expected > head.seq + 1) {
        return base::fail_on(dir, Code::data_loss,
                             "{}: segments reach event {} but the head says {}; run dougong audit "
                             "verify, keep the folder as evidence and start a new one",
                             dir, expected, head.seq);
    }
    bool first = true;
    std::uint64_t good = 0;
    while (const auto line = DG_TRY(reader.next())) {
        const auto read = open_line(*line);
        const bool follows =
            read && read->seq == expected &&
            (first ? expected != 1 || read->prev == ChainHead{}.hash : read->prev == end.head.hash);
        const bool anchored = !read || read->seq != head.seq || read->hash == head.hash;
        if (!follows || !anchored) {
            if (expected <= head.seq) return lost(end.segment, expected, head);
            break;  // after the head: a crash of the machine may leave anything there
        }
        end.head = {read->seq, std::string(read->hash)};
        good = reader.offset();
        ++expected;
        first = false;
    }
    if (expected <= head.seq) return lost(end.segment, expected, head);
    if (end.head.seq == 0) end.head = head;  // an empty segment: the chain ends in the one before
    end.bytes = good;
    if (DG_TRY(file_bytes(end.segment)) > good) {
        end.recovery = DG_TRY(move_aside(dir, end.segment, good, expected));
    }
    return end;
}

}  // namespace sphere::audit
