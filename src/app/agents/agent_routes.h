#pragma once
// /v1/agents: packs deployed, listed and run. A run is a run of the pack's workflow and is seen,
// answered, signalled, forked and cancelled under /v1/runs.

#include <string>
#include <vector>

#include "agent/pack/pack.h"
#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/flow.h"
#include "flow/store/definition_store.h"

namespace app {

class AgentApi {
public:
    /// All outlive it. `tools`: those that packs may name besides the built-in ones.
    AgentApi(flow::Runtime& runtime, flow::RunLog& log, flow::DefinitionStore& definitions,
             std::vector<agent::Tool> tools)
        : runtime_(runtime),
          log_(log),
          definitions_(definitions),
          tools_(std::move(tools)),
          pool_(2, 1'024) {}
    ~AgentApi() { pool_.stop(); }

    /// After those of /v1/workflows, which start its runs. The router outlives it.
    void register_routes(base::http::Router& router);
    /// The routes as OpenAPI has them.
    static base::json::object paths();

private:
    using Request = base::http::Request;
    using Response = base::http::Response;
    base::Result<Response> deploy(const Request& request);
    base::Result<Response> list(const Request& request);
    base::Result<Response> show(const Request& request);
    base::Result<Response> remove(const Request& request);
    base::Result<Response> schema(const Request& request);
    base::Result<Response> stop(const Request& request);
    base::Result<void> check_agents(const std::string& tenant, const agent::Pack& pack);

    flow::Runtime& runtime_;
    flow::RunLog& log_;
    flow::DefinitionStore& definitions_;
    const std::vector<agent::Tool> tools_;
    base::api::CallPool pool_;
};

}  // namespace app
