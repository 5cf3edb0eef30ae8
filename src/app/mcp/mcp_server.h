#pragma once
// The house as a server of the Model Context Protocol: at /mcp of a server, or over the standard
// streams of `dougong mcp serve`.

#include "agent/mcp/http_endpoint.h"
#include "app/mcp/house_tools.h"

namespace app {

class McpServer {
public:
    /// What `parts` names and the clock outlive it.
    McpServer(const HouseTools::Parts& parts, const base::Clock& clock);

    void register_routes(base::http::Router& router) { endpoint_.register_routes(router); }
    const agent::mcp::Server& server() const { return server_; }
    /// After the HTTP server's stop, before that of what the tools use. Idempotent.
    void stop() { endpoint_.stop(); }

private:
    HouseTools tools_;
    agent::mcp::TaskBoard tasks_;
    const agent::mcp::Server server_;
    agent::mcp::HttpEndpoint endpoint_;
};

}  // namespace app
