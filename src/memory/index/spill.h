#pragma once
// What need not be in memory: one file without a name, written with system calls (a full disk is an
// error, not a signal) and read through mappings that the kernel may drop. What its disk does not
// give reads as zeros, and sound() says so. Without a folder, plain memory.

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/core/result.h"
#include "base/files/mapping_guard.h"
#include "base/files/unique_fd.h"

namespace memory::index {

/// The file; streams take pieces of it. One writer at a time.
class SpillFile {
public:
    /// Errors: those of the system calls, naming the folder.
    static base::Result<std::unique_ptr<SpillFile>> create(const std::string& dir);

    /// False: there is no folder, pieces are plain memory.
    bool on_disk() const { return static_cast<bool>(fd_); }
    /// Errors: data_loss: it is shorter than what was written, or a page could not be read; then
    /// anything that was read may have been zeros. One system call.
    base::Result<void> sound() const;

private:
    friend class SpillStream;
    SpillFile(base::UniqueFd fd, std::string dir) : fd_(std::move(fd)), dir_(std::move(dir)) {}

    base::UniqueFd fd_;
    std::string dir_;
    std::uint64_t end_ = 0;  ///< bytes of the file that streams have
    std::atomic<bool> damaged_{false};
};

/// Bytes at positions that stay where they are. Pieces double, so that there are few.
class SpillStream {
public:
    /// `piece_bytes`: of the first piece; nothing straddles a piece when records divide it.
    SpillStream(SpillFile& file, std::size_t piece_bytes) : file_(file), first_(piece_bytes) {}
    ~SpillStream();
    SpillStream(const SpillStream&) = delete;
    SpillStream& operator=(const SpillStream&) = delete;

    /// Errors: resource_exhausted (disk full), unavailable. Pre: within one piece.
    base::Result<void> write(std::uint64_t at, const void* bytes, std::size_t size);
    /// Pre: within one piece, written before.
    const std::byte* at(std::uint64_t position) const {
        const unsigned piece = piece_of(position);
        return pieces_[piece].data + (position - begin_of(piece));
    }
    /// The same for records of `bytes`, of which the first piece holds 1 << `log2_first`.
    const std::byte* record(std::uint64_t index, unsigned log2_first, std::size_t bytes) const {
        const auto piece = static_cast<unsigned>(std::bit_width((index >> log2_first) + 1)) - 1;
        const std::uint64_t before = ((std::uint64_t{1} << piece) - 1) << log2_first;
        return pieces_[piece].data + (index - before) * bytes;
    }
    /// The first position from `end` on where `size` bytes are within one piece.
    std::uint64_t place(std::uint64_t end, std::size_t size) const;
    /// Bytes of it in memory that cannot be dropped.
    std::uint64_t bytes_resident() const;

private:
    struct Piece {
        std::byte* data = nullptr;
        std::size_t mapped = 0;
        std::uint64_t offset = 0;  ///< in the file
        base::MappingGuard guard = {};
    };

    unsigned piece_of(std::uint64_t position) const;
    std::uint64_t begin_of(unsigned piece) const {
        return ((std::uint64_t{1} << piece) - 1) * first_;
    }
    std::size_t size_of(unsigned piece) const { return first_ << piece; }
    base::Result<void> map(unsigned piece);

    SpillFile& file_;
    std::size_t first_;
    std::array<Piece, 40> pieces_{};
};

}  // namespace memory::index
