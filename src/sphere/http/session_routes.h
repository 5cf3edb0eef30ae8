#pragma once
// Live sessions over HTTP: /v1/sandboxes/{id}/sessions, for the tenant whose box it is.

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "sphere/session/session.h"

namespace sphere {

/// Routes over one SessionManager, which outlives them. Stop the server first, then stop().
class SessionApi {
public:
    SessionApi(Sphere& sphere, SessionManager& sessions);

    void register_routes(base::http::Router& router);
    /// Finishes what the workers hold. Idempotent.
    void stop() { calls_.stop(); }

private:
    using Call = base::Result<base::http::Response> (SessionApi::*)(const base::http::Request&);

    void route(base::http::Router& router, std::string_view method, std::string_view pattern,
               Call call);
    void run_cell(const base::http::Request& request, const base::http::ResponderPtr& responder);

    base::Result<base::http::Response> open(const base::http::Request& request);
    base::Result<base::http::Response> list(const base::http::Request& request);
    base::Result<base::http::Response> show(const base::http::Request& request);
    base::Result<base::http::Response> fork(const base::http::Request& request);
    base::Result<base::http::Response> interrupt(const base::http::Request& request);
    base::Result<base::http::Response> close(const base::http::Request& request);

    Sphere& sphere_;
    SessionManager& sessions_;
    base::api::CallPool calls_;
};

}  // namespace sphere
