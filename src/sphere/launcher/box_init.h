#pragma once
// Process 1 of a box: starts what the server asks for, reaps every orphan, reports ends.

#include <linux/filter.h>

namespace sphere::launcher {

/// Never returns: ends with the server's end of `server`, and the box with it. Pre: set_up_box.
[[noreturn]] void run_box_init(int server, const sock_fprog& filter, bool plain);

}  // namespace sphere::launcher
