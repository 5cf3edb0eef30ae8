#pragma once
// Threads for calls that may block, so that none runs on a network thread.

#include <functional>

#include "base/core/result.h"
#include "base/exec/worker.h"
#include "base/http/router.h"
#include "base/http/server.h"

namespace base::api {

class CallPool {
public:
    using Call = std::function<base::Result<base::http::Response>(const base::http::Request&)>;

    CallPool(std::size_t threads, std::size_t queue_max) : workers_(threads, queue_max) {}

    /// Has a worker make `call`; answers 429 when too many wait.
    void post(const base::http::ResponderPtr& responder, std::function<void()> call);
    /// A route whose answer or error a worker makes. `call` outlives the server.
    void route(base::http::Router& router, std::string_view method, std::string_view pattern,
               Call call);
    /// For work without a request. False: too much waits, or stopped.
    bool post(std::function<void()> call) { return workers_.post(std::move(call)); }
    /// Finishes what waits. Idempotent.
    void stop() { workers_.stop(); }

private:
    base::Worker workers_;
};

}  // namespace base::api
