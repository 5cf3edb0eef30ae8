#pragma once
// A place for another runtime (runsc, crun) to work in: mounts and processes of its own, which the
// kernel takes away when the server ends, however it ends. The runtime itself promises no such
// thing.

namespace sphere::launcher {

/// Arguments: staging folder, workspace bytes, inodes, the root folder ("-": the host's system),
/// "root" or "user", the number of `joins`, then the runtime's own argv. Descriptors: 0 and 1 the
/// runtime's; 3 a socket of the server's, whose end ends everything; 4 the container's config.json;
/// from 5 the `joins`, files of control groups to be joined by writing 0.
///
/// Says on 3 "w" with a descriptor of the workspace when all is prepared, or "e", a step and an
/// errno. In the staging folder the runtime finds bundle/config.json, bundle/workspace,
/// agent/agent, state and the host's system as a root (system_root.h).
int run_stage(int argc, char** argv);

}  // namespace sphere::launcher
