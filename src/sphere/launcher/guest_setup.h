#pragma once
// An agent's first steps: what only process 1 of a container or machine can do.

#include "sphere/launcher/guest_protocol.h"
#include "sphere/launcher/system_root.h"

namespace sphere::launcher {

/// Where a machine's root image is, when it has one.
inline constexpr const char* kGuestDisk = "/dev/vda";

/// A machine's file systems (with kGuestMachine), the loopback, and no way to more capabilities.
Outcome set_up_guest(const GuestSetup& setup);
/// In a command's process: the box's user and nothing else.
Outcome become_guest_user();

}  // namespace sphere::launcher
