#pragma once
// Policies, the audit record and stops in force over HTTP. A tenant sees what concerns it; the
// routes under /admin see all.

#include <functional>

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "sphere/guard/guarded_sphere.h"

namespace sphere {

/// Routes over one guarded sphere, which outlives them. Stop the server first, then stop().
class GuardApi {
public:
    explicit GuardApi(guard::GuardedSphere& sphere);

    void register_routes(base::http::Router& router);
    /// Finishes what the worker holds. Idempotent.
    void stop() { calls_.stop(); }

private:
    using Call = base::Result<base::http::Response> (GuardApi::*)(const base::http::Request&);

    void route(base::http::Router& router, std::string_view method, std::string_view pattern,
               Call call);
    base::Result<base::http::Response> policies(const base::http::Request& request);
    base::Result<base::http::Response> all_policies(const base::http::Request& request);
    base::Result<base::http::Response> decide(const base::http::Request& request);
    base::Result<base::http::Response> reload(const base::http::Request& request);
    base::Result<base::http::Response> audit(const base::http::Request& request);
    base::Result<base::http::Response> all_audit(const base::http::Request& request);
    base::Result<base::http::Response> stops(const base::http::Request& request);
    base::Result<base::http::Response> all_stops(const base::http::Request& request);
    base::Result<base::http::Response> events(const base::http::Request& request,
                                              std::string tenant);

    guard::GuardedSphere& sphere_;
    base::api::CallPool calls_;
};

}  // namespace sphere
