#pragma once
// The one way a name in a workspace becomes a descriptor: openat2 resolves it beneath the
// workspace's root in the kernel, atomically, whatever a process inside renames meanwhile.

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"

namespace sphere::files {

/// The parts of a workspace name: "a/b" gives {"a", "b"}, "" and "." the workspace itself. A
/// leading
/// "/" or "/workspace" prefix is not stripped: names are relative.
/// Errors: invalid_argument for "..", an absolute path, a zero byte, a part over 255 bytes.
base::Result<std::vector<std::string>> split_name(std::string_view name);

/// The name that split_name took apart; "" for the workspace itself.
std::string join_name(std::span<const std::string> parts);

/// Opens what `parts` name beneath `root`. Symbolic links that stay beneath are followed, also as
/// the last part unless `flags` has O_NOFOLLOW; those that leave, absolute ones included, and links
/// of /proc are not. Mount points are not crossed. `flags` get O_CLOEXEC, O_NOCTTY and O_NONBLOCK.
/// Names longer than the kernel takes at once are walked in pieces; a link then has to stay beneath
/// its own piece. Errors: those of the system; permission_denied for what leads outside.
base::Result<base::UniqueFd> open_beneath(int root, const std::vector<std::string>& parts,
                                          int flags, mode_t mode = 0);

/// The folder that holds the last of `parts`, and that part. Pre: parts is not empty.
struct Place {
    base::UniqueFd folder;
    std::string name;
};
base::Result<Place> open_parent(int root, const std::vector<std::string>& parts);

struct Owner;  ///< workspace.h
/// As open_parent, making folders that are not there (mode 0755, not through links), of `owner`
/// unless that is null.
base::Result<Place> make_parent(int root, const std::vector<std::string>& parts,
                                const Owner* owner);

/// errno as an Error about a name in a workspace, printable whatever bytes the name has.
std::unexpected<base::Error> fail_name(int error_number, std::string_view action,
                                       const std::vector<std::string>& parts);

}  // namespace sphere::files
