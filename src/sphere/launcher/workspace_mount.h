#pragma once
// What a box writes to: a tmpfs, or an overlay of one over the layers of a snapshot.

#include "sphere/launcher/protocol.h"
#include "sphere/launcher/system_root.h"

namespace sphere::launcher {

/// The caller closes both.
struct WorkspaceMount {
    int mount = -1;  ///< detached: becomes /workspace
    int layer = -1;  ///< a folder: where its files really are; `mount`'s root without layers
};

struct WorkspaceRequest {
    std::uint64_t bytes = 0, inodes = 0;
    std::uint32_t host_id = 0;  ///< whose it is, in this launcher's user namespace
    const int* layers = nullptr;
    std::uint32_t layer_count = 0;
    bool user_attributes = false;  ///< not root: the overlay keeps its notes where a user may
};

Outcome make_workspace(const WorkspaceRequest& request, WorkspaceMount& made);

/// Remounts the file system of `layer`. EBUSY while something in it is open for writing.
Outcome seal_layer(int layer, bool read_only);

/// Copies of the mounts /tmp and /dev/shm of the box whose first process is `pid`, which has no
/// other that could change them.
Outcome copy_temporary(int pid, int& temporary, int& shared);

}  // namespace sphere::launcher
