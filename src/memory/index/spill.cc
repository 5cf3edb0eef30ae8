#include "memory/index/spill.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/core/check.h"
#include "base/files/file_error.h"

namespace memory::index {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
    return (value + to - 1) / to * to;
}

/// A file that is gone with its last descriptor, also where O_TMPFILE is unknown.
int open_nameless(const std::string& dir) {
    const int fd = ::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
    std::string path = dir + "/.spill-XXXXXX";
    const int named = ::mkostemp(path.data(), O_CLOEXEC);
    if (named >= 0) ::unlink(path.c_str());
    return named;
}

}  // namespace

base::Result<std::unique_ptr<SpillFile>> SpillFile::create(const std::string& dir) {
    if (dir.empty()) return std::unique_ptr<SpillFile>(new SpillFile({}, {}));
    base::UniqueFd fd(open_nameless(dir));
    if (!fd) return base::fail_errno(errno, "create a file of an index in", dir);
    return std::unique_ptr<SpillFile>(new SpillFile(std::move(fd), dir));
}

base::Result<void> SpillFile::sound() const {
    if (!on_disk()) return {};
    struct stat now {};
    if (::fstat(fd_.get(), &now) != 0) return base::fail_errno(errno, "look at an index in", dir_);
    if (!damaged_ && static_cast<std::uint64_t>(now.st_size) >= end_) return {};
    return base::fail(base::Code::data_loss,
                      "the file of an index in {} cannot be read ({} bytes of {}); it is made "
                      "anew from the memories; if this comes again, check that disk",
                      dir_, now.st_size, end_);
}

SpillStream::~SpillStream() {
    for (Piece& piece : pieces_) {
        piece.guard = {};
        if (piece.data != nullptr) ::munmap(piece.data, piece.mapped);
    }
}

unsigned SpillStream::piece_of(std::uint64_t position) const {
    return static_cast<unsigned>(std::bit_width(position / first_ + 1)) - 1;
}

std::uint64_t SpillStream::place(std::uint64_t end, std::size_t size) const {
    for (unsigned piece = piece_of(end);; ++piece, end = begin_of(piece)) {
        if (end + size <= begin_of(piece) + size_of(piece)) return end;
    }
}

base::Result<void> SpillStream::map(unsigned index) {
    DG_CHECK(index < pieces_.size());
    Piece& piece = pieces_[index];
    const std::size_t size = round_up(size_of(index), kPageBytes);
    const std::uint64_t offset = file_.end_;
    if (file_.on_disk() && ::ftruncate(file_.fd_.get(), static_cast<off_t>(offset + size)) != 0) {
        return base::fail_errno(errno, "grow the file of an index in", file_.dir_);
    }
    void* data = file_.on_disk() ? ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file_.fd_.get(),
                                          static_cast<off_t>(offset))
                                 : ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return base::fail_errno(errno, "map the file of an index in", file_.dir_);
    piece = {static_cast<std::byte*>(data), size, offset, {}};
    if (file_.on_disk()) piece.guard = base::MappingGuard(data, size, file_.damaged_);
    file_.end_ += size;
    return {};
}

base::Result<void> SpillStream::write(std::uint64_t at, const void* bytes, std::size_t size) {
    const unsigned index = piece_of(at);
    if (pieces_[index].data == nullptr) DG_TRY(map(index));
    const Piece& piece = pieces_[index];
    const std::uint64_t within = at - begin_of(index);
    DG_CHECK(within + size <= piece.mapped);
    if (!file_.on_disk()) {
        std::memcpy(piece.data + within, bytes, size);
        return {};
    }
    const char* from = static_cast<const char*>(bytes);
    for (std::size_t done = 0; done < size;) {
        const ssize_t wrote = ::pwrite(file_.fd_.get(), from + done, size - done,
                                       static_cast<off_t>(piece.offset + within + done));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return base::fail_errno(errno, "write the file of an index in", file_.dir_);
        done += static_cast<std::size_t>(wrote);
    }
    return {};
}

std::uint64_t SpillStream::bytes_resident() const {
    std::uint64_t sum = 0;
    for (const Piece& piece : pieces_) sum += file_.on_disk() ? 0 : piece.mapped;
    return sum;
}

}  // namespace memory::index
