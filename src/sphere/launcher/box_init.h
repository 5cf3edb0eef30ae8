#pragma once
// Process 1 of a box: starts what the server asks for, reaps every orphan, reports ends.

#include <linux/filter.h>

#include "sphere/launcher/protocol.h"
#include "sphere/launcher/system_root.h"

namespace sphere::launcher {

/// In a child: a session of its own, these descriptors as 0 to 2, limits, the filter (if any), and
/// the program; `plain`: of level process. Returns only what failed.
Outcome become_command(const Start& start, Command& wanted, const int (&fds)[3],
                       const sock_fprog* filter, bool plain = false);

/// Never returns: ends with the server's end of `server`, and the box with it. Pre: set_up_box.
[[noreturn]] void run_box_init(int server, const sock_fprog& filter, bool plain);

}  // namespace sphere::launcher
