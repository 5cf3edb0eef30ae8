#pragma once
// One function per subcommand; each lives in a file of its own name.

#include "app/command.h"

namespace app {

Command serve_command();
Command run_command();
Command chat_command();
Command models_command();
/// Those of `dougong models` that speak to a running server.
std::vector<Command> served_models_commands();
Command sandbox_command();
Command memory_command();
Command bench_command();
Command audit_command();
Command policy_command();
Command flow_command();
Command agent_command();
Command mcp_command();
Command config_command();
Command version_command();
Command completion_command();
Command manual_command();

/// `dougong` itself with every subcommand: the one table of what the program can do.
const Command& command_table();

}  // namespace app
