#pragma once
// The launcher proper: one thread that clones box inits when the server asks, and tells of ends.

namespace sphere::launcher {

/// Serves `server` until its other end is closed; then kills what is left. The exit status.
int run_spawner(int server);

}  // namespace sphere::launcher
