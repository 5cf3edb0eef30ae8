// dougong mcp: the Model Context Protocol, from both sides.
#include "app/commands/commands.h"
#include "app/commands/mcp_commands.h"

namespace app {

Command mcp_command() {
    return command_group("mcp", "Speak the Model Context Protocol",
                         "Offers what is here to clients of the protocol, and calls its servers.",
                         {mcp_serve_command(), mcp_list_command(), mcp_call_command(),
                          mcp_inspect_command(), mcp_conformance_client_command()});
}

}  // namespace app
