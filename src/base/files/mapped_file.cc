#include "base/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/core/check.h"
#include "base/files/file_error.h"

namespace base {
namespace {

/// What passes through the stack on its way into the page cache.
constexpr std::size_t kReadBytes = 64u << 10;
constexpr std::size_t kReadsPerCall = 32;
/// MADV_POPULATE_READ of Linux 5.14, which older headers do not name.
constexpr int kPopulateRead = 22;

/// Reads a part of a file and keeps nothing but what the page cache does. In few large calls, into
/// the same buffer again and again: the system reads ahead by what is asked for at once.
void pass_through(int file, std::size_t offset, std::size_t size) {
    std::array<std::byte, kReadBytes> passing;
    std::array<::iovec, kReadsPerCall> same;
    same.fill({passing.data(), passing.size()});
    while (size > 0) {
        const std::size_t count = std::clamp<std::size_t>(size / kReadBytes, 1, same.size());
        same[0].iov_len = std::min(size, kReadBytes);
        const ::ssize_t got =
            ::preadv(file, same.data(), static_cast<int>(count), static_cast<::off_t>(offset));
        if (got <= 0) return;  // whoever reads the mapping meets the same error
        offset += static_cast<std::size_t>(got);
        size -= static_cast<std::size_t>(got);
    }
}

std::size_t page_bytes() {
    return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

int madvise_flag(AccessHint hint) {
    switch (hint) {
        case AccessHint::normal:
            return MADV_NORMAL;
        case AccessHint::sequential:
            return MADV_SEQUENTIAL;
        case AccessHint::random:
            return MADV_RANDOM;
        case AccessHint::will_need:
            return MADV_WILLNEED;
        case AccessHint::dont_need:
            return MADV_DONTNEED;
    }
    return MADV_NORMAL;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail_errno(errno, "open", path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "stat", path);
    if (!S_ISREG(status.st_mode)) {
        return fail_on(path, Code::invalid_argument,
                       "{} is not a regular file; name the file itself", path);
    }
    MappedFile mapped;
    mapped.path_ = path;
    mapped.stamp_ = DG_TRY(stamp_of(file.get(), path));
    mapped.size_ = static_cast<std::size_t>(status.st_size);
    if (mapped.size_ == 0) return mapped;  // mmap refuses empty files
    void* at = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (at == MAP_FAILED) {
        const int code = errno;
        mapped.size_ = 0;
        return fail_errno(code, "map", path);
    }
    mapped.data_ = static_cast<const std::byte*>(at);
    mapped.file_ = std::move(file);
    return mapped;
}

MappedFile::~MappedFile() {
    unmap();
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::move(other.file_)),
      stamp_(other.stamp_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    if (this != &other) {
        unmap();
        path_ = std::move(other.path_);
        file_ = std::move(other.file_);
        stamp_ = other.stamp_;
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

void MappedFile::advise(AccessHint hint, std::size_t offset, std::size_t size) const {
    DG_CHECK(offset <= size_ && size <= size_ - offset, "advice reaches outside of the file");
    if (size == 0) return;
    const std::size_t first = offset / page_bytes() * page_bytes();
    auto* at = const_cast<std::byte*>(data_ + first);  // madvise takes no const; it changes nothing
    static_cast<void>(::madvise(at, offset + size - first, madvise_flag(hint)));
}

void MappedFile::load(std::size_t offset, std::size_t size) const {
    DG_CHECK(offset <= size_ && size <= size_ - offset, "what to load reaches outside of the file");
    if (size == 0) return;
    const std::size_t first = offset / page_bytes() * page_bytes();
    if (!is_cached(first, offset + size - first)) {
        pass_through(file_.get(), first, offset + size - first);
    }
    auto* at = const_cast<std::byte*>(data_ + first);  // as in advise
    static_cast<void>(::madvise(at, offset + size - first, kPopulateRead));
}

bool MappedFile::is_unchanged() const {
    struct stat status {};
    // A file that lost its name may look the same for as long as the system's clock stands still.
    if (::fstat(file_.get(), &status) != 0 || status.st_nlink == 0) return false;
    const Result<FileStamp> now = stamp_of(file_.get(), path_);
    return now && *now == stamp_;
}

/// Pre: offset is a page's.
bool MappedFile::is_cached(std::size_t offset, std::size_t size) const {
    std::vector<unsigned char> pages((size + page_bytes() - 1) / page_bytes());
    auto* at = const_cast<std::byte*>(data_ + offset);  // as in advise
    if (::mincore(at, size, pages.data()) != 0) return false;
    return std::ranges::all_of(pages, [](unsigned char page) { return (page & 1u) != 0; });
}

void MappedFile::unmap() noexcept {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    data_ = nullptr;
    size_ = 0;
}

}  // namespace base
