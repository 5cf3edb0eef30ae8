#pragma once
// Subcommands of `dougong mcp`, one file each.

#include "app/commands/subcommand.h"

namespace app {

Command mcp_serve_command();
Command mcp_list_command();
Command mcp_call_command();
Command mcp_inspect_command();
Command mcp_conformance_client_command();

}  // namespace app
