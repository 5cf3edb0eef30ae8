// dougong mcp conformance-client: what the protocol's official suite starts as a client.
#include "agent/mcp/client/conformance.h"
#include "app/commands/mcp_commands.h"

namespace app {
namespace {

using base::Code;
using base::Result;

Result<int> conformance_client(const Args& args, Program& program) {
    const auto from = [&](std::string_view name) {
        return variable(program.environment, name).value_or("");
    };
    agent::mcp::ClientScenario scenario;
    scenario.url = args.value("URL").value_or("");
    scenario.name = from("MCP_CONFORMANCE_SCENARIO");
    scenario.revision = from("MCP_CONFORMANCE_PROTOCOL_VERSION");
    if (scenario.name.empty()) {
        return base::fail(Code::invalid_argument,
                          "MCP_CONFORMANCE_SCENARIO is not set; the suite sets it when it starts "
                          "this command");
    }
    if (const std::string text = from("MCP_CONFORMANCE_CONTEXT"); !text.empty()) {
        const auto context = DG_TRY(base::parse_json(text));
        if (!context.is_object()) {
            return base::fail(Code::invalid_argument, "MCP_CONFORMANCE_CONTEXT is no JSON object");
        }
        scenario.context = context.get_object();
    }
    DG_TRY(agent::mcp::run_client_scenario(scenario, program.clock));
    return 0;
}

}  // namespace

Command mcp_conformance_client_command() {
    return subcommand(
        "conformance-client", "Do what the protocol's conformance suite asks of a client",
        "For the suite's 'client' mode: it starts this with its server's address, and names the "
        "scenario in MCP_CONFORMANCE_SCENARIO.",
        {{"URL", "The suite's server.", true, false}}, {},
        {{"dougong mcp conformance-client http://127.0.0.1:4000/mcp", "As the suite calls it."}},
        conformance_client);
}

}  // namespace app
