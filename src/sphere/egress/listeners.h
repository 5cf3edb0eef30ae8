#pragma once
// Internal to the broker: the sockets in a box's network, and queries over them.

#include <memory>

#include "sphere/egress/core.h"

namespace sphere::egress {

/// Serves `listener` for `box` until close(). The box and the core outlive it.
std::unique_ptr<ListenerHandler> make_listener(Core& core, Box& box, Listener listener);

}  // namespace sphere::egress
