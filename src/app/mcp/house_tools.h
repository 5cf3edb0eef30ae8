#pragma once
// Memories, sandboxes and workflows as tools of the Model Context Protocol, for whoever's tenant
// asks.

#include <optional>
#include <string>
#include <vector>

#include "agent/mcp/features.h"
#include "flow/tools/workflow_tools.h"
#include "memory/memory.h"
#include "sphere/tools/sandbox_tools.h"

namespace app {

/// Thread-safe.
class HouseTools final : public agent::mcp::Tools {
public:
    /// Null: there are none, and their tools are not listed. All outlive it.
    struct Parts {
        memory::MemoryStore* memories = nullptr;
        sphere::tools::SandboxTools* sandboxes = nullptr;
        flow::Runtime* runtime = nullptr;  ///< with the two below
        flow::RunLog* log = nullptr;
        flow::DefinitionStore* definitions = nullptr;
    };
    explicit HouseTools(const Parts& parts);

    std::vector<base::json::object> list(const agent::mcp::Caller& caller) const override;
    base::Result<agent::mcp::Outcome> call(std::string_view name,
                                           const base::json::object& arguments,
                                           agent::mcp::Exchange& exchange) override;

private:
    memory::MemoryStore* const memories_;
    sphere::tools::SandboxTools* const sandboxes_;
    std::optional<flow::tools::WorkflowTools> workflows_;
    std::vector<base::json::object> listing_;
};

}  // namespace app
