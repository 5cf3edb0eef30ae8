#include "sphere/files/workspace.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <memory>

#include "base/core/rng.h"
#include "base/files/file_error.h"
#include "sphere/files/beneath.h"
#include "sphere/files/folder.h"
#include "sphere/files/name_text.h"
#include "sphere/files/remove_tree.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;
using base::UniqueFd;

constexpr std::uint32_t kModeMask = 0777;

Result<struct stat> stat_of(int file, const std::vector<std::string>& parts) {
    struct stat info {};
    if (::fstat(file, &info) != 0) return fail_name(errno, "stat", parts);
    return info;
}

Result<void> own(const Workspace& workspace, int file, const std::vector<std::string>& parts) {
    const auto& owner = workspace.owner();
    if (owner && ::fchown(file, owner->uid, owner->gid) != 0) {
        return fail_name(errno, "give away", parts);
    }
    return {};
}

/// Errors: invalid_argument for the workspace itself.
Result<std::vector<std::string>> named(std::string_view name, std::string_view action) {
    auto parts = DG_TRY(split_name(name));
    if (parts.empty()) {
        return base::fail(Code::invalid_argument, "cannot {} the workspace itself", action);
    }
    return parts;
}

std::string joined(const std::string& folder, const std::string& name) {
    return folder.empty() ? name : folder + "/" + name;
}

}  // namespace

Result<Workspace> Workspace::open(const std::string& path) {
    UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) return base::fail_errno(errno, "open", path);
    return Workspace(std::move(root));
}

Result<std::string> Workspace::read(std::string_view name, std::uint64_t offset,
                                    std::size_t bytes_max) const {
    const auto parts = DG_TRY(named(name, "read"));
    const UniqueFd file = DG_TRY(open_beneath(root_.get(), parts, O_RDONLY));
    const struct stat info = DG_TRY(stat_of(file.get(), parts));
    if (!S_ISREG(info.st_mode)) {
        return base::fail_on(escape_name(name), Code::failed_precondition,
                             "cannot read {}: it is no regular file", escape_name(name));
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    std::string content;
    content.resize(std::min<std::uint64_t>(bytes_max, size - std::min(size, offset)));
    std::size_t done = 0;
    while (done < content.size()) {
        const ssize_t n = ::pread(file.get(), content.data() + done, content.size() - done,
                                  static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_name(errno, "read", parts);
        if (n == 0) break;  // shortened meanwhile
        done += static_cast<std::size_t>(n);
    }
    content.resize(done);
    return content;
}

Result<void> Workspace::write(std::string_view name, std::string_view content,
                              const WriteOptions& options) const {
    FileWriter writer = DG_TRY(FileWriter::create(*this, name, options));
    DG_TRY(writer.write(content));
    return writer.commit();
}

Result<Listing> Workspace::list(std::string_view name, const ListOptions& options) const {
    const auto start = DG_TRY(split_name(name));
    Listing listing;
    std::vector<std::vector<std::string>> waiting{start};
    while (!waiting.empty()) {
        const std::vector<std::string> folder = std::move(waiting.back());
        waiting.pop_back();
        auto open =
            open_beneath(root_.get(), folder,
                         O_RDONLY | O_DIRECTORY | (folder.size() == start.size() ? 0 : O_NOFOLLOW));
        if (!open) {
            if (folder.size() == start.size()) return std::unexpected(std::move(open).error());
            continue;  // gone, or no longer a folder, since it was seen
        }
        const std::size_t room = options.entries_max - listing.entries.size();
        FolderContent content = DG_TRY(read_folder(std::move(*open), folder, room));
        listing.truncated |= content.truncated;
        const std::string prefix = join_name(folder);
        const std::size_t first = waiting.size();
        for (Entry& entry : content.entries) {
            if (options.recursive && entry.type == EntryType::folder) {
                if (folder.size() - start.size() + 1 < options.depth_max) {
                    waiting.push_back(folder);
                    waiting.back().push_back(entry.name);
                } else {
                    listing.truncated = true;
                }
            }
            entry.name = joined(prefix, entry.name);
            listing.entries.push_back(std::move(entry));
        }
        std::reverse(waiting.begin() + static_cast<std::ptrdiff_t>(first), waiting.end());
        if (listing.truncated && listing.entries.size() >= options.entries_max) break;
    }
    return listing;
}

Result<Entry> Workspace::stat(std::string_view name) const {
    const auto parts = DG_TRY(split_name(name));
    Entry entry;
    if (parts.empty()) {
        struct stat info {};
        if (::fstat(root_.get(), &info) != 0) return fail_name(errno, "stat", parts);
        entry = entry_of(info);
    } else {
        const Place place = DG_TRY(open_parent(root_.get(), parts));
        entry = DG_TRY(stat_entry(place.folder.get(), place.name, parts));
    }
    entry.name = join_name(parts);
    return entry;
}

Result<void> Workspace::remove(std::string_view name, bool recursive) const {
    const auto parts = DG_TRY(named(name, "remove"));
    const Place place = DG_TRY(open_parent(root_.get(), parts));
    if (::unlinkat(place.folder.get(), place.name.c_str(), 0) == 0) return {};
    if (errno != EISDIR) return fail_name(errno, "remove", parts);
    if (::unlinkat(place.folder.get(), place.name.c_str(), AT_REMOVEDIR) == 0) return {};
    if (errno != ENOTEMPTY || !recursive) return fail_name(errno, "remove", parts);
    return remove_tree(root_.get(), place.folder.get(), place.name, parts);
}

Result<void> Workspace::rename(std::string_view from, std::string_view to, bool replace) const {
    const auto from_parts = DG_TRY(named(from, "rename"));
    const auto to_parts = DG_TRY(named(to, "rename to"));
    const Place source = DG_TRY(open_parent(root_.get(), from_parts));
    const Place target = DG_TRY(open_parent(root_.get(), to_parts));
    if (::renameat2(source.folder.get(), source.name.c_str(), target.folder.get(),
                    target.name.c_str(), replace ? 0 : RENAME_NOREPLACE) != 0) {
        return fail_name(errno, "rename", errno == EEXIST ? to_parts : from_parts);
    }
    return {};
}

Result<void> Workspace::make_folder(std::string_view name, bool parents) const {
    const auto parts = DG_TRY(split_name(name));
    if (parts.empty()) return {};
    const Place place = parents
                            ? DG_TRY(make_parent(root_.get(), parts, owner_ ? &*owner_ : nullptr))
                            : DG_TRY(open_parent(root_.get(), parts));
    if (::mkdirat(place.folder.get(), place.name.c_str(), 0755) != 0) {
        if (errno != EEXIST) return fail_name(errno, "make", parts);
        const Entry entry = DG_TRY(stat_entry(place.folder.get(), place.name, parts));
        if (entry.type != EntryType::folder) return fail_name(EEXIST, "make", parts);
        return {};
    }
    const auto& owner = owner_;
    if (owner && ::fchownat(place.folder.get(), place.name.c_str(), owner->uid, owner->gid,
                            AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_name(errno, "give away", parts);
    }
    return {};
}

Result<void> Workspace::make_link(std::string_view name, const std::string& target) const {
    const auto parts = DG_TRY(named(name, "make a link of"));
    const Place place = DG_TRY(make_parent(root_.get(), parts, owner_ ? &*owner_ : nullptr));
    if (::symlinkat(target.c_str(), place.folder.get(), place.name.c_str()) != 0) {
        return fail_name(errno, "link", parts);
    }
    const auto& owner = owner_;
    if (owner && ::fchownat(place.folder.get(), place.name.c_str(), owner->uid, owner->gid,
                            AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_name(errno, "give away", parts);
    }
    return {};
}

std::string_view entry_type_name(EntryType type) {
    switch (type) {
        case EntryType::file:
            return "file";
        case EntryType::folder:
            return "folder";
        case EntryType::link:
            return "link";
        case EntryType::other:
            return "other";
    }
    return "";
}

Result<FileWriter> FileWriter::create(const Workspace& workspace, std::string_view name,
                                      const WriteOptions& options) {
    FileWriter writer;
    writer.parts_ = DG_TRY(named(name, "write"));
    writer.replace_ = options.replace;
    const Owner* const owner = workspace.owner() ? &*workspace.owner() : nullptr;
    Place place = options.create_parents
                      ? DG_TRY(make_parent(workspace.root(), writer.parts_, owner))
                      : DG_TRY(open_parent(workspace.root(), writer.parts_));
    struct stat old {};
    const bool there =
        ::fstatat(place.folder.get(), place.name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && !options.replace) return fail_name(EEXIST, "write", writer.parts_);
    if (there && S_ISDIR(old.st_mode)) return fail_name(EISDIR, "write", writer.parts_);
    const std::uint32_t kept = there && S_ISREG(old.st_mode) ? old.st_mode & kModeMask : 0644u;
    const std::uint32_t mode = options.mode != 0 ? options.mode & kModeMask : kept;
    do {
        writer.temporary_ = fmt::format(".dougong-{:016x}", base::entropy64());
        writer.file_ =
            UniqueFd(::openat(place.folder.get(), writer.temporary_.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    } while (!writer.file_ && errno == EEXIST);
    if (!writer.file_) {
        writer.temporary_.clear();
        return fail_name(errno, "write", writer.parts_);
    }
    writer.folder_ = std::move(place.folder);
    DG_TRY(own(workspace, writer.file_.get(), writer.parts_));
    if (::fchmod(writer.file_.get(), mode) != 0) return fail_name(errno, "write", writer.parts_);
    return writer;
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : parts_(std::move(other.parts_)),
      folder_(std::move(other.folder_)),
      file_(std::move(other.file_)),
      temporary_(std::exchange(other.temporary_, {})),
      replace_(other.replace_) {}

FileWriter::~FileWriter() {
    if (!temporary_.empty()) ::unlinkat(folder_.get(), temporary_.c_str(), 0);
}

Result<void> FileWriter::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_name(errno, "write", parts_);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<void> FileWriter::commit() {
    // The box sees the temporary too and may swap it for something else; then that gets the name,
    // inside the workspace all the same.
    if (::renameat2(folder_.get(), temporary_.c_str(), folder_.get(), parts_.back().c_str(),
                    replace_ ? 0 : RENAME_NOREPLACE) != 0) {
        return fail_name(errno, "write", parts_);
    }
    temporary_.clear();
    return {};
}

}  // namespace sphere::files
