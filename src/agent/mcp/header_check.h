#pragma once
// The headers that say again what is in a request's body, for proxies that do not read bodies. Who
// routes by one and who acts by the other must see the same: what differs is refused. Pure.

#include <optional>

#include "agent/mcp/json_rpc.h"
#include "base/http/message.h"

namespace agent::mcp {

/// Mcp-Method and Mcp-Name. Nothing: they agree.
std::optional<RpcError> check_standard_headers(const base::http::Headers& headers,
                                               const Message& request);
/// MCP-Protocol-Version against `_meta`. Pre: `_meta` has it.
std::optional<RpcError> check_version_header(const base::http::Headers& headers,
                                             const Message& request);
/// Mcp-Param-...: those arguments that the tool's schema marks with `x-mcp-header`.
std::optional<RpcError> check_parameter_headers(const base::http::Headers& headers,
                                                const Message& request,
                                                const json::object& input_schema);

}  // namespace agent::mcp
