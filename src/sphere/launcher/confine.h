#pragma once
// What a process of a box can never get back: limits, capabilities, files, system calls.

#include <linux/filter.h>

#include "sphere/launcher/protocol.h"
#include "sphere/launcher/system_root.h"

namespace sphere::launcher {

/// The kernel's Landlock version; 0 or less: none.
int landlock_abi();

/// No new privileges, no capability in any set, no core dumps, not to be traced. Without
/// `bounding_set` that one is somebody else's to empty.
Outcome drop_privileges(bool bounding_set = true);
/// Files below /tmp, /workspace and /dev/shm may be written, the rest read and executed; no TCP but
/// with `network`; no signal and no abstract socket out of the box.
Outcome restrict_files(bool network);
/// Of a host's files: the system's programs may be read and executed, the two folders written, the
/// rest not opened; no TCP, no signal and no abstract socket to anything outside.
Outcome restrict_host_files(int workspace, int tmp);
/// Signals and abstract sockets only: one domain more around what this process becomes.
Outcome restrict_scopes();
Outcome install_filter(const sock_fprog& program);
/// Core files, locked memory, queues and priorities, where drop_privileges is not called.
Outcome lower_limits();
Outcome limit_process(const ProcessLimits& limits);
/// Of a process limited before; 0: none.
Outcome limit_processor_time(std::uint64_t seconds);

}  // namespace sphere::launcher
