#pragma once
// The server that the protocol's official conformance suite tests by names of its own.

#include <functional>

#include "agent/mcp/conformance/fixture.h"
#include "agent/mcp/server.h"

namespace app {

class McpFixture {
public:
    explicit McpFixture(const base::Clock& clock);

    const agent::mcp::Server& server() const { return server_; }
    /// Where changes of its lists are told. Before the first call.
    std::function<void(const agent::mcp::Change&)> changed;

private:
    agent::mcp::conformance::FixtureTools tools_;
    agent::mcp::conformance::FixtureResources resources_;
    agent::mcp::conformance::FixturePrompts prompts_;
    agent::mcp::conformance::FixtureCompletions completions_;
    agent::mcp::TaskBoard tasks_;
    const agent::mcp::Server server_;
};

}  // namespace app
