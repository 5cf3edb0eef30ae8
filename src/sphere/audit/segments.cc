#include "sphere/audit/segments.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "base/files/sha256.h"

namespace sphere::audit {
namespace {

using base::Code;
using base::Result;

constexpr std::string_view kPrefix = "audit-", kSuffix = ".jsonl";
constexpr std::size_t kSeqDigits = 20, kReadBytes = 1u << 16;
constexpr std::size_t kSlotBytes = 128, kCheckDigits = 16;

std::optional<std::uint64_t> seq_of(std::string_view name) {
    if (name.size() != kPrefix.size() + kSeqDigits + kSuffix.size() || !name.starts_with(kPrefix) ||
        !name.ends_with(kSuffix)) {
        return std::nullopt;
    }
    const std::string_view digits = name.substr(kPrefix.size(), kSeqDigits);
    std::uint64_t seq = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + kSeqDigits, seq);
    if (error != std::errc() || end != digits.data() + kSeqDigits) return std::nullopt;
    return seq;
}

std::string slot_text(const ChainHead& head) {
    const std::string text = head_text(head);
    std::string slot = fmt::format("{} {}", text, base::sha256_hex(text).substr(0, kCheckDigits));
    slot.resize(kSlotBytes - 1, ' ');
    return slot + '\n';
}

std::optional<ChainHead> read_slot(std::string_view slot) {
    const std::size_t space = slot.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    auto head = parse_head(slot.substr(0, space));
    if (!head || slot != slot_text(*head)) return std::nullopt;
    return std::move(*head);
}

}  // namespace

std::string segment_path(const std::string& dir, std::uint64_t first_seq) {
    return fmt::format("{}/{}{:020}{}", dir, kPrefix, first_seq, kSuffix);
}

Result<std::vector<Segment>> list_segments(const std::string& dir) {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(dir.c_str()), ::closedir);
    if (!folder) return base::fail_errno(errno, "list", dir);
    std::vector<Segment> segments;
    while (const dirent* entry = ::readdir(folder.get())) {
        if (const auto seq = seq_of(entry->d_name)) {
            segments.push_back({dir + "/" + entry->d_name, *seq});
        }
    }
    std::ranges::sort(segments, {}, &Segment::first_seq);
    return segments;
}

Result<LineReader> LineReader::open(const std::string& path, std::uint64_t offset) {
    base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return base::fail_errno(errno, "open", path);
    return LineReader(path, std::move(file), offset);
}

Result<std::optional<std::string_view>> LineReader::next() {
    std::size_t searched = at_;
    while (true) {
        const std::size_t end = buffer_.find('\n', searched);
        if (end != std::string::npos) {
            const std::string_view line(buffer_.data() + at_, end - at_);
            offset_ += line.size() + 1;
            at_ = end + 1;
            return line;
        }
        if (buffer_.size() - at_ > kLineBytesMax) {
            return base::fail_on(path_, Code::data_loss,
                                 "{}: the line at byte {} is longer than {} bytes", path_, offset_,
                                 kLineBytesMax);
        }
        buffer_.erase(0, at_);
        at_ = 0;
        searched = buffer_.size();
        buffer_.resize(searched + kReadBytes);
        ssize_t n = 0;
        do {
            n = ::pread(file_.get(), buffer_.data() + searched, kReadBytes,
                        static_cast<off_t>(read_));
        } while (n < 0 && errno == EINTR);
        const int error_number = errno;
        buffer_.resize(searched + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (n < 0) return base::fail_errno(error_number, "read", path_);
        if (n == 0) return std::nullopt;
        read_ += static_cast<std::uint64_t>(n);
    }
}

Result<HeadFile> HeadFile::open(const std::string& dir) {
    const std::string path = dir + "/head";
    base::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file) return base::fail_errno(errno, "open", path);
    return HeadFile(path, std::move(file));
}

Result<void> HeadFile::write(const ChainHead& head) {
    const std::string slot = slot_text(head);
    // A group commit moves `seq` by any number, so the turn comes from the file, not from seq.
    std::string now(2 * kSlotBytes, '\0');
    const ssize_t n = ::pread(file_.get(), now.data(), now.size(), 0);
    if (n < 0) return base::fail_errno(errno, "read", path_);
    const auto first = read_slot(std::string_view(now).substr(0, kSlotBytes));
    const auto second = read_slot(std::string_view(now).substr(kSlotBytes));
    const bool into_second = first && (!second || first->seq >= second->seq);
    const off_t at = into_second ? kSlotBytes : 0;
    const ssize_t written = ::pwrite(file_.get(), slot.data(), slot.size(), at);
    if (written != static_cast<ssize_t>(slot.size())) {
        return base::fail_errno(written < 0 ? errno : ENOSPC, "write", path_);
    }
    return {};
}

Result<void> HeadFile::sync() {
    if (::fdatasync(file_.get()) != 0) return base::fail_errno(errno, "sync", path_);
    return {};
}

Result<HeadFile::Content> HeadFile::read(const std::string& dir) {
    const std::string path = dir + "/head";
    Content content;
    if (!base::path_exists(path)) return content;
    const std::string text = DG_TRY(base::read_file(path, 1u << 20));
    for (std::size_t at = 0; at < text.size(); at += kSlotBytes) {
        const auto head = read_slot(std::string_view(text).substr(at, kSlotBytes));
        if (!head || at >= 2 * kSlotBytes) {
            content.damaged = true;
        } else if (!content.head || head->seq > content.head->seq) {
            content.head = head;
        }
    }
    return content;
}

}  // namespace sphere::audit
