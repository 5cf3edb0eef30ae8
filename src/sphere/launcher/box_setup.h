#pragma once
// A box from the inside: what its first process does between clone and ready.

#include "sphere/launcher/protocol.h"
#include "sphere/launcher/system_root.h"

namespace sphere::launcher {

/// Descriptors of a new box's init; -1 where it has none.
struct BoxDescriptors {
    int server = -1;                  ///< its end of the socket to the server
    int go = -1;                      ///< a byte comes when ids are mapped and groups joined
    int workspace = -1;               ///< a detached mount
    int template_root = -1;           ///< a folder
    int temporary = -1, shared = -1;  ///< detached mounts of /tmp and /dev/shm; -1: fresh ones
    int joins[4] = {-1, -1, -1, -1};  ///< `tasks` files of the groups it joins first of all
};

/// Builds the root, takes the box's identity and restricts itself. Pre: cwd is the staging folder
/// or, without a template, "/" of a copy of the system's namespace.
Outcome set_up_box(const Create& create, const BoxDescriptors& fds);

}  // namespace sphere::launcher
