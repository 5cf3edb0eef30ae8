#pragma once
// Runs of one version of a workflow that go on as another one says, and what a deploy means for
// runs that are open.

#include <functional>
#include <string_view>

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/flow.h"
#include "flow/store/definition_store.h"

namespace flow {

class MigrateRoutes {
public:
    /// The run a request names, when it is its tenant's. Errors: not_found.
    using OwnRun = std::function<base::Result<RunId>(const base::http::Request&)>;
    /// All outlive it.
    MigrateRoutes(Runtime& runtime, RunLog& log, DefinitionStore& definitions, OwnRun own_run)
        : runtime_(runtime), log_(log), definitions_(definitions), own_run_(std::move(own_run)) {}

    void register_routes(base::http::Router& router, base::api::CallPool& pool);

private:
    using Request = base::http::Request;
    using Response = base::http::Response;
    base::Result<Response> one(const Request& request);
    base::Result<Response> many(const Request& request);
    struct Asked;
    base::json::object moved(RunId run, const Asked& asked);

    Runtime& runtime_;
    RunLog& log_;
    DefinitionStore& definitions_;
    const OwnRun own_run_;
};

/// What `to` means for the open runs of its workflow: {"open_runs", "compatibility": {"from",
/// "may_move", "findings"}}, the version before it being `from`; nothing when there is none.
base::json::object effect_of(RunLog& log, std::string_view tenant, const Definition* from,
                             const Definition& to);

}  // namespace flow
