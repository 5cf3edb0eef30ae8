#include "engine/catalog/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "base/json/json.h"

namespace engine {

using base::Code;
using base::fail_errno;
using base::fail_on;
using base::Result;

namespace {

std::vector<PartRange> split(std::uint64_t bytes, std::uint64_t range_bytes) {
    std::vector<PartRange> ranges;
    for (std::uint64_t first = 0; first < bytes; first += range_bytes) {
        ranges.push_back({first, std::min(range_bytes, bytes - first), 0});
    }
    if (ranges.empty()) ranges.push_back({});
    return ranges;
}

/// The open file is the one that `path` names now.
bool is_at(int fd, const std::string& path) {
    struct stat open {
    }, named{};
    return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
           open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

std::optional<std::uint64_t> count_field(const base::json::value& value) {
    if (!value.is_int64() || value.get_int64() < 0) return std::nullopt;
    return static_cast<std::uint64_t>(value.get_int64());
}

/// The ranges of a state file, or nothing when it is damaged, of another file, or does not cover
/// `bytes` exactly. A state is only a way to save time: whatever is odd about it, start afresh.
std::optional<std::vector<PartRange>> parse_state(const std::string& text,
                                                  const std::string& identity,
                                                  std::uint64_t bytes) {
    const auto json = base::parse_json(text);
    const base::json::object* object = json ? json->if_object() : nullptr;
    const base::json::value* stored = object ? object->if_contains("identity") : nullptr;
    const base::json::value* list = object ? object->if_contains("ranges") : nullptr;
    if (stored == nullptr || !stored->is_string() || stored->get_string() != identity ||
        list == nullptr || !list->is_array()) {
        return std::nullopt;
    }
    std::vector<PartRange> ranges;
    std::uint64_t at = 0;
    for (const base::json::value& value : list->get_array()) {
        const base::json::array* pair = value.if_array();
        if (pair == nullptr || pair->size() != 2) return std::nullopt;
        const auto size = count_field((*pair)[0]), done = count_field((*pair)[1]);
        if (!size || !done || *size == 0 || *done > *size || *size > bytes - at)
            return std::nullopt;
        ranges.push_back({at, *size, *done});
        at += *size;
    }
    if (at != bytes) return std::nullopt;
    return ranges;
}

}  // namespace

Result<PartFile> PartFile::open(const std::string& target, std::uint64_t bytes,
                                const std::string& identity, std::uint64_t range_bytes) {
    PartFile part;
    part.target_ = target;
    part.part_ = target + ".part";
    part.state_ = target + ".part.json";
    part.identity_ = identity;
    part.bytes_ = bytes;
    do {
        part.fd_ = base::UniqueFd(::open(part.part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
        if (!part.fd_) return fail_errno(errno, "create", part.part_);
        if (::flock(part.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
            return fail_on(target, Code::failed_precondition,
                           "{} is being fetched by another process; wait for it or end it", target);
        }
        // Whoever finished between our open and our lock has renamed this very file to the target.
    } while (!is_at(part.fd_.get(), part.part_));
    DG_TRY(part.load_state(bytes, range_bytes));
    return part;
}

Result<void> PartFile::load_state(std::uint64_t bytes, std::uint64_t range_bytes) {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return fail_errno(errno, "stat", part_);
    const auto text = base::read_file(state_);
    const bool whole = static_cast<std::uint64_t>(status.st_size) == bytes;
    if (text && bytes > 0 && whole) {
        if (auto stored = parse_state(*text, identity_, bytes)) {
            ranges_ = std::move(*stored);
            return {};
        }
    }
    if (::ftruncate(fd_.get(), 0) != 0) return fail_errno(errno, "empty", part_);
    const std::string folder = std::filesystem::path(target_).parent_path().string();
    const std::uint64_t free = DG_TRY(base::free_bytes(folder));
    if (free < bytes) {
        discard();
        return fail_on(target_, Code::resource_exhausted,
                       "{} needs {} bytes, {} has {} free: {} are missing", target_, bytes, folder,
                       free, bytes - free);
    }
    if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) {
        return fail_errno(errno, "enlarge", part_);
    }
    ranges_ = split(bytes, range_bytes);  // only now: the size is the server's word
    return save(ranges_);
}

Result<void> PartFile::write(std::uint64_t offset, std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
        const ssize_t n =
            ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "write", part_);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

Result<void> PartFile::restart_as_stream() {
    if (::ftruncate(fd_.get(), 0) != 0) return fail_errno(errno, "empty", part_);
    ::unlink(state_.c_str());
    bytes_ = 0;
    ranges_ = split(0, 1);
    return {};
}

Result<void> PartFile::save(const std::vector<PartRange>& ranges) {
    ranges_ = ranges;
    if (bytes_ == 0) return {};  // a stream of unknown end cannot be continued
    if (::fdatasync(fd_.get()) != 0) return fail_errno(errno, "fsync", part_);
    base::json::array list;
    for (const PartRange& range : ranges) {
        list.push_back(base::json::array{range.size, range.done});
    }
    const base::json::object state{{"identity", identity_}, {"ranges", std::move(list)}};
    return base::write_file_atomically(state_, base::to_text(state));
}

Result<void> PartFile::finish() {
    if (::fsync(fd_.get()) != 0) return fail_errno(errno, "fsync", part_);
    if (::rename(part_.c_str(), target_.c_str()) != 0) return fail_errno(errno, "replace", target_);
    ::unlink(state_.c_str());
    return base::sync_dir(std::filesystem::path(target_).parent_path().string());
}

void PartFile::discard() {
    ::unlink(part_.c_str());
    ::unlink(state_.c_str());
}

}  // namespace engine
