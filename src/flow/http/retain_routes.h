#pragma once
// /v1/flow/purge and /v1/flow/archive: finished runs that go, and those that went.

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/retain/retainer.h"

namespace flow {

class RetainApi {
public:
    /// Both outlive it.
    RetainApi(Retainer& retainer, const base::Clock& clock)
        : retainer_(retainer), clock_(clock), pool_(2, 256) {}
    ~RetainApi() { stop(); }
    void register_routes(base::http::Router& router);
    /// After the server's stop. Idempotent.
    void stop() { pool_.stop(); }

private:
    using Request = base::http::Request;
    using Response = base::http::Response;
    base::Result<Response> purge(const Request& request);
    base::Result<Response> list(const Request& request);
    base::Result<Response> show(const Request& request);
    base::Result<RunArchive*> archive();

    Retainer& retainer_;
    const base::Clock& clock_;
    base::api::CallPool pool_;
};

}  // namespace flow
