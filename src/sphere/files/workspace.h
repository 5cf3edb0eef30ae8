#pragma once
// Files of a workspace, for callers outside the box: every name is resolved beneath the workspace
// and nowhere else, whatever the box does at the same time (S47). Names are bytes (name_text.h).
//
// Symbolic links: read, list, watch and the folders on the way follow links that stay beneath the
// workspace (node_modules/.bin is full of them) and refuse those that leave. stat, remove and
// rename act on a link itself; write replaces it.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"

namespace sphere::files {

enum class EntryType : std::uint8_t { file, folder, link, other };
std::string_view entry_type_name(EntryType type);

struct Entry {
    std::string name;  ///< relative to the workspace, bytes
    EntryType type = EntryType::other;
    std::uint64_t bytes = 0;
    std::uint32_t mode = 0;  ///< permission bits
    std::int64_t modified_unix_ns = 0;
    std::string link_target;  ///< of a link
};

struct ListOptions {
    bool recursive = false;
    std::size_t entries_max = 10'000;
    std::size_t depth_max = 4096;
};
struct Listing {
    std::vector<Entry> entries;  ///< folder by folder, by name
    bool truncated = false;      ///< more is there than the limits let through
};

struct WriteOptions {
    bool create_parents = true;
    bool replace = true;     ///< false: already_exists when something is there
    std::uint32_t mode = 0;  ///< 0: that of the file it replaces, else 0644; never set-id bits
};

struct Owner {
    uid_t uid;
    gid_t gid;
};

/// Any thread may use it. Calls are independent of each other.
class Workspace {
public:
    /// `root` is an open folder. Files made here belong to `owner`, when given.
    explicit Workspace(base::UniqueFd root, std::optional<Owner> owner = std::nullopt)
        : root_(std::move(root)), owner_(owner) {}
    /// Errors: those of opening `path`, which is trusted.
    static base::Result<Workspace> open(const std::string& path);

    /// At most `bytes_max` bytes from `offset`; fewer at the end. Regular files only: a FIFO or a
    /// device is a failed_precondition at once, never a wait. Errors: not_found, permission_denied
    /// for a name that leads outside.
    base::Result<std::string> read(std::string_view name, std::uint64_t offset = 0,
                                   std::size_t bytes_max = 16u << 20) const;
    /// A reader sees the old content or the new. Other hard links keep the old one.
    base::Result<void> write(std::string_view name, std::string_view content,
                             const WriteOptions& options = {}) const;
    base::Result<Listing> list(std::string_view name, const ListOptions& options = {}) const;
    base::Result<Entry> stat(std::string_view name) const;
    /// A folder that is not empty only with `recursive`. What a box adds meanwhile may make it fail
    /// with unavailable; what was removed until then is gone.
    base::Result<void> remove(std::string_view name, bool recursive = false) const;
    /// Errors: already_exists unless `replace`.
    base::Result<void> rename(std::string_view from, std::string_view to,
                              bool replace = false) const;
    /// Making one that is there is no error.
    base::Result<void> make_folder(std::string_view name, bool parents = true) const;
    /// As a tar entry asks: `target` as it is, which may lead anywhere; nothing here follows it
    /// out.
    base::Result<void> make_link(std::string_view name, const std::string& target) const;

    int root() const { return root_.get(); }
    const std::optional<Owner>& owner() const { return owner_; }

private:
    base::UniqueFd root_;
    std::optional<Owner> owner_;
};

/// One file being written beside its name; becomes it on commit and vanishes without. For content
/// that comes in pieces.
class FileWriter {
public:
    static base::Result<FileWriter> create(const Workspace& workspace, std::string_view name,
                                           const WriteOptions& options = {});
    FileWriter(FileWriter&&) noexcept;
    FileWriter& operator=(FileWriter&&) = delete;
    ~FileWriter();
    base::Result<void> write(std::string_view bytes);
    base::Result<void> commit();

private:
    FileWriter() = default;
    std::vector<std::string> parts_;
    base::UniqueFd folder_, file_;
    std::string temporary_;
    bool replace_ = true;
};

}  // namespace sphere::files
