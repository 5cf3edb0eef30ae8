#pragma once
// Read-only views of whole files, so that weights are used where the page cache keeps them.

#include <cstddef>
#include <span>
#include <string>

#include "base/core/result.h"
#include "base/files/file_stamp.h"
#include "base/files/unique_fd.h"

namespace base {

/// What the kernel should expect of the next accesses; a hint, never a requirement.
enum class AccessHint { normal, sequential, random, will_need, dont_need };

/// A file mapped for reading. Another process that shortens the file makes later reads fault, so
/// map only files that are replaced by rename (write_file_atomically).
class MappedFile {
public:
    /// Errors: not_found, permission_denied, invalid_argument (a folder or a device), unavailable.
    static Result<MappedFile> open(const std::string& path);

    MappedFile() = default;
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    /// Empty for an empty file. The address stays the same when the object moves.
    std::span<const std::byte> bytes() const { return {data_, size_}; }
    const std::string& path() const { return path_; }
    /// Of the file that is mapped, as it was when it was opened.
    const FileStamp& stamp() const { return stamp_; }
    /// That file is still as it was then: nobody wrote to it, renamed another one over it or
    /// removed it. (A new hard link to it counts as a change too.)
    bool is_unchanged() const;

    void advise(AccessHint hint) const { advise(hint, 0, size_); }
    /// For [offset, offset + size), widened to whole pages. Pre: inside the file.
    void advise(AccessHint hint, std::size_t offset, std::size_t size) const;

    /// Brings [offset, offset + size) into memory and into the page table; returns when it is
    /// there, or sooner where the system cannot: it is a saving only. For files read from front to
    /// back, a few MB at a time, by any number of threads. Cheaper than letting each page fault,
    /// and than AccessHint::will_need, which leaves the page cache in single pages; what is read
    /// here stays in large ones where the file system has them. Pre: inside the file.
    void load(std::size_t offset, std::size_t size) const;

private:
    void unmap() noexcept;
    bool is_cached(std::size_t offset, std::size_t size) const;

    std::string path_;
    UniqueFd file_;
    FileStamp stamp_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace base
