#include "app/mcp/mcp_server.h"

#include "app/build_info.h"
#include "base/files/aead.h"

namespace app {
namespace {

agent::mcp::ServerInfo house_info() {
    return {.name = "dougong",
            .title = "Dougong",
            .version = std::string(build_info().version),
            .instructions =
                "memory_* keep and find what should outlast this conversation: search before you "
                "ask a person for what they may have said already. task_* keep the state of long "
                "work. run_code, run_command and *_file work in a sandbox of your own, where "
                "nothing can break. workflow_* start durable work that goes on without you."};
}

}  // namespace

McpServer::McpServer(const HouseTools::Parts& parts, const base::Clock& clock)
    : tools_(parts),
      tasks_(clock),
      server_(house_info(), {.tools = &tools_, .tasks = &tasks_}, base::SecretKey::random(), clock),
      endpoint_(server_) {}

}  // namespace app
