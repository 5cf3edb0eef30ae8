#include "base/files/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/core/rng.h"
#include "base/files/file_error.h"
#include "base/files/unique_fd.h"

namespace base {
namespace {

constexpr std::size_t kWriteBytesMax = 64u << 20;  // one write(2) takes at most 2 GiB

std::string parent_of(const std::string& path) {
    const std::string parent = std::filesystem::path(path).parent_path().string();
    return parent.empty() ? "." : parent;
}

Result<void> write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), std::min(bytes.size(), kWriteBytesMax));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "write", path);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::uint64_t bytes_max) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail_errno(errno, "open", path);
    std::string text;
    std::size_t filled = 0;
    while (true) {
        if (filled > bytes_max) {
            return fail_on(path, Code::payload_too_large, "{} is larger than {} bytes", path,
                           bytes_max);
        }
        text.resize(std::max<std::size_t>(filled * 2, 64u << 10));
        const ssize_t n = ::read(file.get(), text.data() + filled, text.size() - filled);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "read", path);
        if (n == 0) break;
        filled += static_cast<std::size_t>(n);
    }
    text.resize(filled);
    return text;
}

Result<void> write_file_atomically(const std::string& path, std::string_view contents) {
    AtomicFileWriter writer = DG_TRY(AtomicFileWriter::create(path));
    DG_TRY(writer.write(contents));
    return writer.commit();
}

struct AtomicFileWriter::Impl {
    std::string path;
    std::string temporary;
    UniqueFd fd;
    std::uint64_t bytes = 0;
    bool committed = false;

    ~Impl() {
        fd.reset();
        if (!committed && !temporary.empty()) ::unlink(temporary.c_str());
    }
};

AtomicFileWriter::AtomicFileWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AtomicFileWriter::~AtomicFileWriter() = default;
AtomicFileWriter::AtomicFileWriter(AtomicFileWriter&&) noexcept = default;
AtomicFileWriter& AtomicFileWriter::operator=(AtomicFileWriter&&) noexcept = default;

Result<AtomicFileWriter> AtomicFileWriter::create(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    impl->path = path;
    const std::string temporary = fmt::format("{}.tmp-{:016x}", path, entropy64());
    impl->fd = UniqueFd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!impl->fd) return fail_errno(errno, "create", temporary);
    impl->temporary = temporary;
    return AtomicFileWriter(std::move(impl));
}

Result<void> AtomicFileWriter::write(std::span<const std::byte> bytes) {
    DG_TRY(write_all(impl_->fd.get(), bytes, impl_->path));
    impl_->bytes += bytes.size();
    return {};
}

std::uint64_t AtomicFileWriter::bytes_written() const {
    return impl_->bytes;
}

Result<void> AtomicFileWriter::commit() {
    if (::fsync(impl_->fd.get()) != 0) return fail_errno(errno, "fsync", impl_->temporary);
    if (::rename(impl_->temporary.c_str(), impl_->path.c_str()) != 0) {
        return fail_errno(errno, "replace", impl_->path);
    }
    impl_->committed = true;
    impl_->fd.reset();
    return sync_dir(parent_of(impl_->path));
}

bool path_exists(const std::string& path) {
    std::error_code cannot_tell;
    return std::filesystem::exists(path, cannot_tell);
}

Result<void> make_dirs(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return fail_errno(error.value(), "create folder", path);
    return {};
}

Result<void> sync_dir(const std::string& path) {
    const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir) return fail_errno(errno, "open folder", path);
    // Some file systems cannot sync a folder; they say EINVAL and order renames themselves.
    if (::fsync(dir.get()) != 0 && errno != EINVAL) return fail_errno(errno, "fsync", path);
    return {};
}

Result<TemporaryDir> TemporaryDir::create(const std::string& parent, std::string_view prefix) {
    std::string path = fmt::format("{}/{}XXXXXX", parent, prefix);
    if (::mkdtemp(path.data()) == nullptr) {
        return fail_errno(errno, "create a temporary folder in", parent);
    }
    return TemporaryDir(std::move(path));
}

TemporaryDir::TemporaryDir(TemporaryDir&& other) noexcept
    : path_(std::exchange(other.path_, std::string())) {}

TemporaryDir::~TemporaryDir() {
    if (path_.empty()) return;
    std::error_code ignored;  // a leftover in a temporary folder is not worth failing for
    std::filesystem::remove_all(path_, ignored);
}

Result<std::uint64_t> free_bytes(const std::string& path) {
    struct statvfs status {};
    if (::statvfs(path.c_str(), &status) != 0) return fail_errno(errno, "stat", path);
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

std::string cache_dir(std::string_view xdg_cache_home, std::string_view home,
                      std::string_view program) {
    if (!xdg_cache_home.empty()) return fmt::format("{}/{}", xdg_cache_home, program);
    if (!home.empty()) return fmt::format("{}/.cache/{}", home, program);
    return fmt::format("/tmp/{}", program);
}

}  // namespace base
