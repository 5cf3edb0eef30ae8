#pragma once
// A box of level `process`: a process of this host, in no namespace of its own, behind Landlock and
// a filter. For hosts that forbid namespaces; weaker than the rest of this folder, and told so.

#include "sphere/launcher/protocol.h"
#include "sphere/launcher/system_root.h"

namespace sphere::launcher {

struct PlainDescriptors {
    int go = -1;                      ///< a byte comes when it is recorded
    int workspace = -1, tmp = -1;     ///< folders of its own, which it may write in
    int joins[4] = {-1, -1, -1, -1};  ///< `tasks` files of the groups it joins first of all
};

/// Takes the box's user, drops privileges and restricts files, ports and signals.
Outcome set_up_plain_box(const Create& create, const PlainDescriptors& fds);

/// Commands are one domain deeper than their init: it reaches them, they do not reach it, nor each
/// other. Without it an end of the init would set free what it holds.
Outcome enter_command_domain();

/// Ends everything that began in this box, however it was started. Returns when nothing is left.
void end_descendants();

}  // namespace sphere::launcher
