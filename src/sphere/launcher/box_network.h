#pragma once
// A box's own network: lo, and nothing else. For the broker every address there is becomes local to
// it, so that whatever a program connects to ends at a socket that the server listens on.

#include <cstdint>

#include "sphere/launcher/protocol.h"
#include "sphere/launcher/system_root.h"

namespace sphere::launcher {

/// Brings lo up; with kBroker adds the routes and sends a Listening to `server` for each socket.
/// Pre: still privileged in the box's namespaces.
Outcome set_up_network(const Create& create, int server);

/// A socket on its way to 127.0.0.1 or ::1, or -1 with errno. Never blocks.
int connect_loopback(std::uint16_t port, bool v6);

}  // namespace sphere::launcher
