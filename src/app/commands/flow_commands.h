#pragma once
// Parts of `dougong flow`.

#include <vector>

#include "app/command.h"

namespace app {

/// Subcommands about runs: of a server, or of this machine's folder.
std::vector<Command> flow_run_commands();
/// Subcommands about work outside of the server and when it is begun.
std::vector<Command> flow_worker_commands();

}  // namespace app
