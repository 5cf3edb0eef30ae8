#include "sphere/files/beneath.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <span>

#include "base/files/file_error.h"
#include "sphere/files/name_text.h"
#include "sphere/files/workspace.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;
using base::UniqueFd;

constexpr std::size_t kPieceBytesMax = PATH_MAX - 1;
/// EAGAIN: something was renamed while the kernel looked. A box that does nothing else cannot hold
/// us here for ever.
constexpr int kTriesMax = 10'000;

int try_open(int folder, const char* path, int flags, mode_t mode) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if ((flags & O_PATH) != 0) {
        how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    }
    how.mode = (flags & O_CREAT) != 0 ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    for (int tries = 0; tries < kTriesMax; ++tries) {
        const long fd = ::syscall(SYS_openat2, folder, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(fd);
    }
    return -1;
}

/// How many of `parts` fit into one path.
std::size_t piece_length(std::span<const std::string> parts) {
    std::size_t bytes = 0, count = 0;
    while (count < parts.size() && bytes + parts[count].size() + 1 <= kPieceBytesMax) {
        bytes += parts[count++].size() + 1;
    }
    return count;
}

std::string path_of(std::span<const std::string> parts) {
    return parts.empty() ? "." : join_name(parts);
}

/// As open_beneath, errno in `errno`.
UniqueFd open_parts(int root, std::span<const std::string> parts, int flags, mode_t mode) {
    UniqueFd folder;
    while (true) {
        const int at = folder ? folder.get() : root;
        const std::size_t count = piece_length(parts);
        const std::string piece = path_of(parts.first(count));
        parts = parts.subspan(count);
        if (parts.empty()) return UniqueFd(try_open(at, piece.c_str(), flags, mode));
        folder = UniqueFd(try_open(at, piece.c_str(), O_PATH | O_DIRECTORY, 0));
        if (!folder) return {};
    }
}

}  // namespace

Result<std::vector<std::string>> split_name(std::string_view name) {
    const auto refused = [&](std::string_view why) {
        return base::fail_on(escape_name(name.substr(0, 200)), Code::invalid_argument, "'{}' {}",
                             escape_name(name.substr(0, 200)), why);
    };
    if (name.starts_with('/')) return refused("is absolute; names are relative to the workspace");
    if (name.find('\0') != std::string_view::npos) return refused("holds a zero byte");
    std::vector<std::string> parts;
    while (!name.empty()) {
        const std::size_t slash = std::min(name.find('/'), name.size());
        const std::string_view part = name.substr(0, slash);
        name.remove_prefix(std::min(slash + 1, name.size()));
        if (part.empty() || part == ".") continue;
        if (part == "..") return refused("holds '..'; name it from the workspace down");
        if (part.size() > NAME_MAX) return refused("has a part of more than 255 bytes");
        parts.emplace_back(part);
    }
    return parts;
}

std::string join_name(std::span<const std::string> parts) {
    std::string name;
    for (const std::string& part : parts) {
        if (!name.empty()) name += '/';
        name += part;
    }
    return name;
}

std::unexpected<base::Error> fail_name(int error_number, std::string_view action,
                                       const std::vector<std::string>& parts) {
    std::string shown = escape_name(path_of(parts));
    if (shown.size() > 300) shown = shown.substr(0, 300) + "...";
    switch (error_number) {
        case EXDEV:
            return base::fail_on(shown, Code::permission_denied,
                                 "cannot {} {}: it leads out of the workspace", action, shown);
        case ELOOP:
            return base::fail_on(shown, Code::permission_denied,
                                 "cannot {} {}: a symbolic link is not followed here", action,
                                 shown);
        case EAGAIN:
            return base::fail_on(shown, Code::unavailable,
                                 "cannot {} {}: its folders are being moved; try again", action,
                                 shown);
        case ENOTEMPTY:
            return base::fail_on(shown, Code::failed_precondition, "cannot {} {}: not empty",
                                 action, shown);
        case EISDIR:
        case ENOTDIR:
        case ENXIO:
            return base::fail_on(shown, Code::failed_precondition,
                                 "cannot {} {}: it, or a part of its name, is {} a folder", action,
                                 shown, error_number == EISDIR ? "" : "not");
        case EEXIST:
            return base::fail_on(shown, Code::already_exists, "cannot {} {}: something is there",
                                 action, shown);
        default:
            return base::fail_errno(error_number, action, shown);
    }
}

Result<UniqueFd> open_beneath(int root, const std::vector<std::string>& parts, int flags,
                              mode_t mode) {
    UniqueFd file = open_parts(root, parts, flags, mode);
    if (!file) return fail_name(errno, "open", parts);
    return file;
}

Result<Place> open_parent(int root, const std::vector<std::string>& parts) {
    const std::vector<std::string> above(parts.begin(), parts.end() - 1);
    return Place{DG_TRY(open_beneath(root, above, O_PATH | O_DIRECTORY)), parts.back()};
}

Result<Place> make_parent(int root, const std::vector<std::string>& parts, const Owner* owner) {
    const std::span<const std::string> above(parts.data(), parts.size() - 1);
    // The longest part of the way that is there, then one folder after the other.
    std::size_t depth = above.size();
    UniqueFd folder;
    while (true) {
        folder = open_parts(root, above.first(depth), O_PATH | O_DIRECTORY, 0);
        if (folder) break;
        if (errno != ENOENT || depth == 0) return fail_name(errno, "open the folder of", parts);
        --depth;
    }
    for (; depth < above.size(); ++depth) {
        const std::string& name = above[depth];
        const bool made = ::mkdirat(folder.get(), name.c_str(), 0755) == 0;
        if ((!made && errno != EEXIST) || (made && owner != nullptr &&
                                           ::fchownat(folder.get(), name.c_str(), owner->uid,
                                                      owner->gid, AT_SYMLINK_NOFOLLOW) != 0)) {
            return fail_name(errno, "make the folder of", parts);
        }
        folder =
            UniqueFd(try_open(folder.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW, 0));
        if (!folder) return fail_name(errno, "open the folder of", parts);
    }
    return Place{std::move(folder), parts.back()};
}

}  // namespace sphere::files
