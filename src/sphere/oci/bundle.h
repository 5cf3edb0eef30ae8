#pragma once
// A container as the OCI runtime specification writes it: config.json of a sandbox. Pure.

#include <string>

#include "sphere/spec.h"

namespace sphere::oci {

/// Folders as the runtime sees them (launcher/stage.h).
struct BundlePaths {
    std::string bundle;  ///< with root, workspace and agent in it
};

/// Namespaces of its own, a read-only root, sized tmpfs for /tmp and /dev/shm, the workspace, the
/// agent as process 1 with just what it needs to become the box's user for every command.
/// `own_kernel`: its /proc is not this host's.
std::string make_config(const SandboxSpec& spec, const BundlePaths& paths, bool own_kernel);

}  // namespace sphere::oci
