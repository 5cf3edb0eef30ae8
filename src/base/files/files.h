#pragma once
// Whole files: read, and replaced so that a reader or a crash sees the old or the new, never a mix.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace base {

/// The whole file. Errors: as MappedFile::open; payload_too_large over `bytes_max`.
Result<std::string> read_file(const std::string& path, std::uint64_t bytes_max = 1ull << 30);

/// Writes a temporary beside `path`, fsyncs it, renames it over `path` and fsyncs the folder.
/// Errors: those of the system calls, naming the file; nothing is left behind.
Result<void> write_file_atomically(const std::string& path, std::string_view contents);

/// For content that is produced piece by piece: grows a temporary beside `path`; commit() does the
/// rest of write_file_atomically. Without commit the temporary is removed and `path` is untouched.
/// A killed process leaves its temporary; it is locked (flock) while it is written, so that
/// remove_abandoned can tell.
class AtomicFileWriter {
public:
    static Result<AtomicFileWriter> create(const std::string& path);
    ~AtomicFileWriter();
    AtomicFileWriter(AtomicFileWriter&&) noexcept;
    AtomicFileWriter& operator=(AtomicFileWriter&&) noexcept;

    Result<void> write(std::span<const std::byte> bytes);
    Result<void> write(std::string_view bytes) { return write(std::as_bytes(std::span(bytes))); }
    std::uint64_t bytes_written() const;
    Result<void> commit();

private:
    struct Impl;
    explicit AtomicFileWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Removes from `dir` the temporaries that killed writers left and nobody, in no process, is
/// writing any more. `is_ours` is asked with the file name that a temporary would have got. Returns
/// how many went; a folder that cannot be read has none.
std::size_t remove_abandoned(const std::string& dir,
                             const std::function<bool(std::string_view target)>& is_ours);

/// Something is at `path`, as far as this process may know. (std::filesystem's exists throws when
/// it cannot tell, as for a name that is too long.)
bool path_exists(const std::string& path);
/// Creates `path` and its parents; existing ones are fine.
Result<void> make_dirs(const std::string& path);
/// fsyncs a folder, so that a rename in it survives power loss.
Result<void> sync_dir(const std::string& path);
/// A fresh private folder inside `parent`, removed with its content on destruction.
class TemporaryDir {
public:
    static Result<TemporaryDir> create(const std::string& parent, std::string_view prefix);
    ~TemporaryDir();
    TemporaryDir(TemporaryDir&& other) noexcept;
    TemporaryDir& operator=(TemporaryDir&&) = delete;
    const std::string& path() const { return path_; }

private:
    explicit TemporaryDir(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

/// Bytes an unprivileged user may still write on the file system that holds `path`.
Result<std::uint64_t> free_bytes(const std::string& path);

/// Where caches live: `$XDG_CACHE_HOME/<program>`, else `$HOME/.cache/<program>`, else
/// `/tmp/<program>`. The environment's values are the caller's to read; empty means unset.
std::string cache_dir(std::string_view xdg_cache_home, std::string_view home,
                      std::string_view program);

}  // namespace base
