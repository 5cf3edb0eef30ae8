#pragma once
// Sandboxes over HTTP: /v1/sandboxes and /v1/emergency_stop. A tenant (header X-Dougong-Tenant,
// "default" without it) sees and stops its own boxes only; /admin/v1/emergency_stop reaches all.

#include <cstdint>

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "sphere/http/file_routes.h"
#include "sphere/http/image_routes.h"
#include "sphere/http/log_routes.h"
#include "sphere/http/terminal.h"
#include "sphere/sphere.h"

namespace sphere {

struct SandboxApiOptions {
    std::size_t threads = 2;     ///< for calls that block: making and removing boxes
    std::size_t queue_max = 64;  ///< waiting for them; then 429
    /// A request for more output than this is refused: it is gathered in memory.
    std::uint64_t output_bytes_max = 64ull << 20;
    FileRoutesOptions files = {};
    ImageRoutesOptions images = {};
    LogBookOptions logs = {};
};

/// Routes over one Sphere, which outlives them. Stop the server first, then stop().
class SandboxApi {
public:
    SandboxApi(Sphere& sphere, const base::Clock& clock, SandboxApiOptions options);

    void register_routes(base::http::Router& router);
    /// Finishes what the workers hold. Idempotent.
    void stop();

private:
    using Call = base::Result<base::http::Response> (SandboxApi::*)(const base::http::Request&);

    void route(base::http::Router& router, std::string_view method, std::string_view pattern,
               Call call);
    void run_exec(const base::http::Request& request, const base::http::ResponderPtr& responder);

    base::Result<base::http::Response> create(const base::http::Request& request);
    base::Result<base::http::Response> list(const base::http::Request& request);
    base::Result<base::http::Response> host(const base::http::Request& request);
    base::Result<base::http::Response> show(const base::http::Request& request);
    base::Result<base::http::Response> remove(const base::http::Request& request);
    base::Result<base::http::Response> pause(const base::http::Request& request);
    base::Result<base::http::Response> resume(const base::http::Request& request);
    base::Result<base::http::Response> set_network(const base::http::Request& request);
    base::Result<base::http::Response> write_stdin(const base::http::Request& request);
    base::Result<base::http::Response> send_signal(const base::http::Request& request);
    base::Result<base::http::Response> resize(const base::http::Request& request);
    base::Result<base::http::Response> snapshot(const base::http::Request& request);
    base::Result<base::http::Response> fork(const base::http::Request& request);
    base::Result<base::http::Response> list_snapshots(const base::http::Request& request);
    base::Result<base::http::Response> remove_snapshot(const base::http::Request& request);
    base::Result<base::http::Response> stop_tenant(const base::http::Request& request);
    base::Result<base::http::Response> lift_tenant(const base::http::Request& request);
    base::Result<base::http::Response> stop_any(const base::http::Request& request);
    base::Result<base::http::Response> lift_any(const base::http::Request& request);

    Sphere& sphere_;
    const SandboxApiOptions options_;
    base::api::CallPool calls_;
    LogBook book_;
    FileRoutes files_;
    ImageRoutes images_;
    LogRoutes logs_;
    TerminalRoutes terminals_;
};

}  // namespace sphere
