#pragma once
// The disk as what must be durable sees it. A seam: the machine's own (linux_disk.h), or one in
// memory that loses, tears and refuses writes from a seed (base/sim/sim_disk.h).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace base {

/// An open file. Thread-safe as far as calls do not touch the same bytes.
///
/// Errors of all calls: those of the system, naming the file (resource_exhausted: the disk or a
/// quota is full; data_loss: the device failed). After a failed write or sync nothing is known
/// about the bytes that were to be kept, and a later sync of the same bytes proves nothing.
class DiskFile {
public:
    virtual ~DiskFile() = default;

    /// Bytes from `offset` on; fewer than asked only at the end of the file.
    virtual Result<std::size_t> read(std::uint64_t offset, std::span<char> into) const = 0;
    /// All of `bytes`, or an error with some of them written. May be lost until sync.
    virtual Result<void> write(std::uint64_t offset, std::string_view bytes) = 0;
    /// What was written, and what is needed to find it again, survives power loss.
    virtual Result<void> sync() = 0;
    /// write, then sync of at least these bytes, in the cheapest way there is.
    virtual Result<void> write_durably(std::uint64_t offset, std::string_view bytes) = 0;
    /// Takes space on the disk for [0, bytes), which reads as zeros where nothing was written.
    /// Where the file system cannot promise space ahead, the file only grows.
    virtual Result<void> reserve(std::uint64_t bytes) = 0;
    /// Cuts or extends with zeros.
    virtual Result<void> resize(std::uint64_t bytes) = 0;
    virtual Result<std::uint64_t> size() const = 0;
};

/// Held until destroyed, or until the process ends in whatever way.
class DiskLock {
public:
    virtual ~DiskLock() = default;
};

/// Names in folders. A change of names may be lost, or come before another, until sync_dir.
/// Thread-safe.
class Disk {
public:
    enum class Mode : std::uint8_t { existing, fresh /** an old one of this name is emptied */ };

    virtual ~Disk() = default;

    /// For reading and writing. Errors: not_found in mode `existing`.
    virtual Result<std::unique_ptr<DiskFile>> open(const std::string& path, Mode mode) = 0;
    /// Replaces what is at `to`: a crash leaves the one or the other.
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    virtual Result<void> remove(const std::string& path) = 0;
    /// Names of the files in `dir`, sorted.
    virtual Result<std::vector<std::string>> list(const std::string& dir) = 0;
    /// Creates `dir` with its parents, durably; fine when it exists.
    virtual Result<void> make_dir(const std::string& dir) = 0;
    virtual Result<void> sync_dir(const std::string& dir) = 0;
    /// The file at `path`, made where it is missing, is this owner's alone, among processes and
    /// within one. Errors: failed_precondition when somebody has it.
    virtual Result<std::unique_ptr<DiskLock>> lock(const std::string& path) = 0;
};

}  // namespace base
