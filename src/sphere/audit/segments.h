#pragma once
// The files of an audit log, as everyone reads them: segments of lines and the head.
//
//   audit-00000000000000000001.jsonl   named after the sequence number of its first line
//   head                               what was durable at the last sync
//   torn-...                           unfinished ends, moved aside by a later open

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "sphere/audit/chain.h"

namespace sphere::audit {

struct Segment {
    std::string path;
    std::uint64_t first_seq = 0;
};

std::string segment_path(const std::string& dir, std::uint64_t first_seq);

/// Ascending by first_seq. Errors: not_found, permission_denied naming the folder.
base::Result<std::vector<Segment>> list_segments(const std::string& dir);

/// The lines of one segment, front to back; the file may grow meanwhile.
class LineReader {
public:
    /// Starts `offset` bytes into the file, which is the start of a line.
    static base::Result<LineReader> open(const std::string& path, std::uint64_t offset = 0);

    /// The next whole line without its newline; nullopt at the end (for now). The view lives until
    /// the next call. Errors: those of reading; data_loss for a line over kLineBytesMax.
    base::Result<std::optional<std::string_view>> next();
    /// Where the next line begins.
    std::uint64_t offset() const { return offset_; }
    /// After nullopt: bytes behind the last newline.
    std::uint64_t unfinished_bytes() const { return buffer_.size() - at_; }

    /// What an event's bounds allow, and some.
    static constexpr std::size_t kLineBytesMax = 8u << 20;

private:
    LineReader(std::string path, base::UniqueFd file, std::uint64_t offset)
        : path_(std::move(path)), file_(std::move(file)), offset_(offset), read_(offset) {}
    std::string path_;
    base::UniqueFd file_;
    std::string buffer_;
    std::size_t at_ = 0;  ///< in buffer_: the start of the next line
    std::uint64_t offset_, read_;
};

/// The anchor that makes a cut-off end visible. Two slots are written in turn, each with a
/// checksum, so that a crash in the middle of one leaves the other.
class HeadFile {
public:
    /// Errors: those of the system, naming the file.
    static base::Result<HeadFile> open(const std::string& dir);
    base::Result<void> write(const ChainHead& head);
    base::Result<void> sync();

    struct Content {
        std::optional<ChainHead> head;  ///< the newest whole slot; none without a file
        bool damaged = false;           ///< something is in a slot that was not written there
    };
    /// Errors: those of reading.
    static base::Result<Content> read(const std::string& dir);

private:
    HeadFile(std::string path, base::UniqueFd file)
        : path_(std::move(path)), file_(std::move(file)) {}
    std::string path_;
    base::UniqueFd file_;
};

}  // namespace sphere::audit
