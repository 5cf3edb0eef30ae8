#pragma once
// Subcommands of `dougong mcp`, one file each.

#include "app/commands/subcommand.h"

namespace app {

Command mcp_serve_command();

}  // namespace app
