#pragma once
// What people look at and programs seldom need: counts, the graph a run goes through, what a step
// is called with, what a new version means for open runs, and how the plane is.

#include <functional>

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/flow.h"
#include "flow/store/definition_store.h"

namespace flow {

class ViewRoutes {
public:
    using RunOf = std::function<base::Result<RunId>(const base::http::Request&)>;
    /// All outlive it. `run_of` finds the run that a request's tenant means.
    ViewRoutes(Runtime& runtime, RunLog& log, DefinitionStore& definitions, RunOf run_of)
        : runtime_(runtime), log_(log), definitions_(definitions), run_of_(std::move(run_of)) {}
    void register_routes(base::http::Router& router, base::api::CallPool& pool);

private:
    using Request = base::http::Request;
    using Response = base::http::Response;
    base::Result<Response> counts(const Request& request);
    base::Result<Response> graph(const Request& request);
    base::Result<Response> step(const Request& request);
    base::Result<Response> compatibility(const Request& request);
    base::Result<Response> health(const Request& request);

    Runtime& runtime_;
    RunLog& log_;
    DefinitionStore& definitions_;
    const RunOf run_of_;
};

}  // namespace flow
