#pragma once
// What an agent does with a sandbox, as tools over HTTP: GET /v1/sandboxes/tools lists them as MCP
// lists tools, POST /v1/sandboxes/tools/{name} calls one.

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "sphere/guard/guarded_sphere.h"
#include "sphere/session/session.h"
#include "sphere/tools/sandbox_tools.h"

namespace sphere {

/// Routes over one guarded sphere: each call is decided by the policy's rules for tools and
/// recorded before it is made. Both outlive it. Stop the server first, then stop().
class ToolApi {
public:
    ToolApi(guard::GuardedSphere& sphere, SessionManager& sessions,
            tools::SandboxToolsOptions options = {});

    void register_routes(base::http::Router& router);
    /// The same tools for who asks within this process.
    tools::SandboxTools& tools() { return tools_; }
    /// Ends what calls run and finishes what the workers hold. Idempotent.
    void stop() {
        tools_.stop();
        calls_.stop();
    }

private:
    base::Result<base::http::Response> call(const base::http::Request& request);

    tools::SandboxTools tools_;
    base::api::CallPool calls_;
};

}  // namespace sphere
