#include "base/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/core/check.h"
#include "base/files/file_error.h"
#include "base/files/unique_fd.h"

namespace base {
namespace {

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
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail_errno(errno, "open", path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "stat", path);
    if (!S_ISREG(status.st_mode)) {
        return fail_on(path, Code::invalid_argument,
                       "{} is not a regular file; name the file itself", path);
    }
    MappedFile mapped;
    mapped.path_ = path;
    mapped.size_ = static_cast<std::size_t>(status.st_size);
    if (mapped.size_ == 0) return mapped;  // mmap refuses empty files
    void* at = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (at == MAP_FAILED) {
        const int code = errno;
        mapped.size_ = 0;
        return fail_errno(code, "map", path);
    }
    mapped.data_ = static_cast<const std::byte*>(at);
    return mapped;
}

MappedFile::~MappedFile() {
    unmap();
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    if (this != &other) {
        unmap();
        path_ = std::move(other.path_);
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

void MappedFile::advise(AccessHint hint, std::size_t offset, std::size_t size) const {
    DG_CHECK(offset <= size_ && size <= size_ - offset, "advice reaches outside of the file");
    if (size == 0) return;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t first = offset / page * page;
    auto* at = const_cast<std::byte*>(data_ + first);  // madvise takes no const; it changes nothing
    static_cast<void>(::madvise(at, offset + size - first, madvise_flag(hint)));
}

void MappedFile::unmap() noexcept {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    data_ = nullptr;
    size_ = 0;
}

}  // namespace base
