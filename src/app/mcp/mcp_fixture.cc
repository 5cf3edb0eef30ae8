#include "app/mcp/mcp_fixture.h"

#include "app/build_info.h"
#include "base/files/aead.h"

namespace app {

McpFixture::McpFixture(const base::Clock& clock)
    : tools_([this](const agent::mcp::Change& change) {
          if (changed) changed(change);
      }),
      tasks_(clock),
      server_({.name = "dougong-conformance",
               .title = "Dougong, conformance fixture",
               .version = std::string(build_info().version),
               .instructions = "Only for tests of the protocol."},
              {.tools = &tools_,
               .resources = &resources_,
               .prompts = &prompts_,
               .completions = &completions_,
               .tasks = &tasks_,
               .changes = true},
              base::SecretKey::random(), clock) {}

}  // namespace app
