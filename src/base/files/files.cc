#include "base/files/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

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

constexpr std::string_view kTemporaryMark = ".tmp-";  // then 16 hexadecimal digits
constexpr std::size_t kMarkDigits = 16;

/// A new temporary for `path`, locked for as long as the descriptor is open.
Result<std::pair<UniqueFd, std::string>> create_temporary(const std::string& path) {
    while (true) {
        std::string name = fmt::format("{}{}{:016x}", path, kTemporaryMark, entropy64());
        UniqueFd fd(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        if (!fd) return fail_errno(errno, "create", name);
        const bool is_taken = ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
        struct stat status {};
        // Somebody sweeping the folder came between: what is open has no name, or soon none.
        const bool is_gone = ::fstat(fd.get(), &status) == 0 && status.st_nlink == 0;
        if (!is_taken && !is_gone) return std::pair(std::move(fd), std::move(name));
    }
}

/// The name that a temporary would have got; empty: `name` is no temporary.
std::string_view target_of(std::string_view name) {
    if (name.size() <= kTemporaryMark.size() + kMarkDigits) return {};
    const std::size_t mark_at = name.size() - kMarkDigits - kTemporaryMark.size();
    const std::string_view digits = name.substr(name.size() - kMarkDigits);
    const bool good = name.substr(mark_at, kTemporaryMark.size()) == kTemporaryMark &&
                      std::ranges::all_of(digits, [](unsigned char c) {
                          return std::isdigit(c) != 0 || (c >= 'a' && c <= 'f');
                      });
    return good ? name.substr(0, mark_at) : std::string_view();
}

bool remove_if_unlocked(const std::string& path) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return false;
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    return file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 && ::unlink(path.c_str()) == 0;
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
    std::tie(impl->fd, impl->temporary) = DG_TRY(create_temporary(path));
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

std::size_t remove_abandoned(const std::string& dir,
                             const std::function<bool(std::string_view target)>& is_ours) {
    namespace fs = std::filesystem;
    std::vector<std::string> found;
    std::error_code error;
    for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
        const std::string name = it->path().filename().string();
        const std::string_view target = target_of(name);
        if (!target.empty() && is_ours(target)) found.push_back(it->path().string());
    }
    return static_cast<std::size_t>(std::ranges::count_if(found, remove_if_unlocked));
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
