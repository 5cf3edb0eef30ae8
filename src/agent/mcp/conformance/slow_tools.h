#pragma once
// The suite's tools that go on as tasks.

#include "agent/mcp/features.h"

namespace agent::mcp::conformance {

/// {"name", "description", "inputSchema"} each.
std::vector<json::object> slow_tools();
/// Nothing: it is none of them.
std::optional<base::Result<Outcome>> call_slow_tool(std::string_view name,
                                                    const json::object& arguments,
                                                    Exchange& exchange);
bool is_only_as_task(std::string_view name);

}  // namespace agent::mcp::conformance
