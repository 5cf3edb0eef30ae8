#include "engine/kv/spill_file.h"

#define XXH_STATIC_LINKING_ONLY  // for the size of its streaming state
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/core/check.h"
#include "base/files/file_error.h"

namespace engine {
namespace {

constexpr std::uint64_t kBlockBytes = 4096;  // so that dropping one punches whole blocks out

class Checksum {
public:
    Checksum() { XXH3_64bits_reset(&state_); }
    void add(std::span<const std::byte> bytes) {
        XXH3_64bits_update(&state_, bytes.data(), bytes.size());
    }
    std::uint64_t value() const { return XXH3_64bits_digest(&state_); }

private:
    XXH3_state_t state_;
};

template <class Part>
std::uint64_t bytes_of(std::span<const Part> parts) {
    std::uint64_t bytes = 0;
    for (const Part& part : parts) bytes += part.size();
    return bytes;
}

base::Result<void> write_at(int file, std::uint64_t offset, std::span<const std::byte> bytes,
                            const std::string& name) {
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(file, bytes.data(), bytes.size(), static_cast<::off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail_errno(errno, "spill KV to", name);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

base::Result<void> read_at(int file, std::uint64_t offset, std::span<std::byte> bytes,
                           const std::string& name) {
    while (!bytes.empty()) {
        const ssize_t n = ::pread(file, bytes.data(), bytes.size(), static_cast<::off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail_errno(errno, "read spilled KV from", name);
        if (n == 0) {
            return base::fail_on(name, base::Code::data_loss,
                                 "the spill file {} ends at {}, {} bytes before what was saved "
                                 "there; the KV is computed again",
                                 name, offset, bytes.size());
        }
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

}  // namespace

base::Result<std::unique_ptr<SpillFile>> SpillFile::create(const std::string& folder,
                                                           std::uint64_t bytes_max) {
    std::string path = folder + "/kv-spill-XXXXXX";
    base::UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
    if (!file) return base::fail_errno(errno, "create a spill file in", folder);
    if (::unlink(path.c_str()) != 0) return base::fail_errno(errno, "unlink", path);
    return std::make_unique<SpillFile>(std::move(file), folder, bytes_max);
}

SpillFile::SpillFile(base::UniqueFd file, std::string name, std::uint64_t bytes_max)
    : file_(std::move(file)), name_(std::move(name)), bytes_max_(bytes_max) {}

base::Result<SpillId> SpillFile::save(std::span<const std::span<const std::byte>> parts) {
    Entry entry;
    entry.bytes = bytes_of(parts);
    entry.extent = (entry.bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    const std::optional<std::uint64_t> offset = place(entry.extent);
    if (!offset) {
        return base::fail_on(name_, base::Code::resource_exhausted,
                             "{} bytes of KV do not fit the spill file in {}: {} of {} bytes are "
                             "in use",
                             entry.bytes, name_, bytes_total_, bytes_max_);
    }
    entry.offset = *offset;
    Checksum checksum;
    std::uint64_t at = entry.offset;
    for (const std::span<const std::byte> part : parts) {
        if (base::Result<void> done = write_at(file_.get(), at, part, name_); !done) {
            free_extent(entry.offset, entry.extent);
            return std::unexpected(std::move(done).error());
        }
        checksum.add(part);
        at += part.size();
    }
    entry.checksum = checksum.value();
    bytes_total_ += entry.bytes;
    const SpillId id{++ids_};
    entries_.emplace(id, entry);
    return id;
}

base::Result<void> SpillFile::load(SpillId id, std::span<const std::span<std::byte>> parts) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) {
        return base::fail_on(name_, base::Code::not_found, "nothing is spilled as {}", id.value);
    }
    const Entry& entry = found->second;
    DG_CHECK(bytes_of(parts) == entry.bytes, "KV is read back in another size than it was saved");
    Checksum checksum;
    std::uint64_t at = entry.offset;
    for (const std::span<std::byte> part : parts) {
        DG_TRY(read_at(file_.get(), at, part, name_));
        checksum.add(part);
        at += part.size();
    }
    if (checksum.value() != entry.checksum) {
        return base::fail_on(name_, base::Code::data_loss,
                             "{} bytes of spilled KV came back from {} changed: checksum {:016x}, "
                             "saved {:016x}; the KV is computed again",
                             entry.bytes, name_, checksum.value(), entry.checksum);
    }
    return {};
}

void SpillFile::drop(SpillId id) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    bytes_total_ -= found->second.bytes;
    free_extent(found->second.offset, found->second.extent);
    entries_.erase(found);
}

/// First hole that is large enough, else the end of the file.
std::optional<std::uint64_t> SpillFile::place(std::uint64_t extent) {
    if (extent == 0) return 0;
    const auto hole =
        std::ranges::find_if(holes_, [&](const auto& one) { return one.second >= extent; });
    if (hole != holes_.end()) {
        const auto [offset, size] = *hole;
        holes_.erase(hole);
        if (size > extent) holes_.emplace(offset + extent, size - extent);
        return offset;
    }
    if (extent > bytes_max_ || end_ > bytes_max_ - extent) return {};
    return std::exchange(end_, end_ + extent);
}

void SpillFile::free_extent(std::uint64_t offset, std::uint64_t extent) {
    if (extent == 0) return;
    // Gives the disk its blocks back. A file system that cannot keeps them until the process ends.
    const int ignored = ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                    static_cast<::off_t>(offset), static_cast<::off_t>(extent));
    static_cast<void>(ignored);
    auto after = holes_.lower_bound(offset);
    if (after != holes_.end() && offset + extent == after->first) {
        extent += after->second;
        after = holes_.erase(after);
    }
    if (after != holes_.begin()) {
        const auto before = std::prev(after);
        if (before->first + before->second == offset) {
            offset = before->first;
            extent += before->second;
            holes_.erase(before);
        }
    }
    if (offset + extent == end_) {
        end_ = offset;
    } else {
        holes_.emplace(offset, extent);
    }
}

}  // namespace engine
