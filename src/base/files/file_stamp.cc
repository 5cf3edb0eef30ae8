#include "base/files/file_stamp.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/files/file_error.h"

namespace base {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

std::int64_t to_ns(const struct timespec& time) {
    return std::int64_t{time.tv_sec} * kNanosPerSecond + time.tv_nsec;
}

FileStamp to_stamp(const struct stat& found) {
    return {static_cast<std::uint64_t>(found.st_size), to_ns(found.st_mtim), to_ns(found.st_ctim)};
}

}  // namespace

Result<FileStamp> stamp_of(const std::string& path) {
    struct stat found = {};
    if (::stat(path.c_str(), &found) != 0) return fail_errno(errno, "stat", path);
    return to_stamp(found);
}

Result<FileStamp> stamp_of(int fd, const std::string& path) {
    struct stat found = {};
    if (::fstat(fd, &found) != 0) return fail_errno(errno, "stat", path);
    return to_stamp(found);
}

}  // namespace base
