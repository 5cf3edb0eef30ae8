#pragma once
// /v1/workflows and /v1/runs: deploy, start, watch, answer, steer.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/api/call_pool.h"
#include "base/exec/batch_job.h"
#include "base/http/router.h"
#include "base/http/server.h"
#include "flow/flow.h"
#include "flow/store/definition_store.h"

namespace flow {

class OwnerRelay;
class RunStreams;
class RunChangeApi;
class TraceRoutes;
class TokenStreams;
class ViewRoutes;
class HistoryRoutes;

class FlowApi {
public:
    /// All outlive it. `tokens`: what models say, where steps ask some.
    FlowApi(Runtime& runtime, RunLog& log, DefinitionStore& definitions, const base::Clock& clock,
            TokenStreams* tokens = nullptr);
    ~FlowApi();  ///< stop()

    void register_routes(base::http::Router& router);
    /// After the server's stop, before the runtime's end. Idempotent.
    void stop();

private:
    using Request = base::http::Request;
    using Response = base::http::Response;
    base::Result<Response> deploy(const Request& request);
    base::Result<Response> workflows(const Request& request);
    base::Result<Response> workflow(const Request& request);
    base::Result<Response> remove(const Request& request);
    base::Result<Response> graph(const Request& request);
    base::Result<Response> runs(const Request& request);
    base::Result<Response> run(const Request& request);
    base::Result<Response> signal(const Request& request);
    base::Result<Response> answer(const Request& request);
    base::Result<Response> pause(const Request& request);
    base::Result<Response> resume(const Request& request);
    base::Result<Response> cancel(const Request& request);
    base::Result<Response> retry(const Request& request);
    base::Result<Response> publish(const Request& request);
    base::Result<Response> stats(const Request& request);
    void start(const Request& request, const base::http::ResponderPtr& responder);
    base::Result<RunId> own_run(const Request& request);

    Runtime& runtime_;
    RunLog& log_;
    DefinitionStore& definitions_;
    base::api::CallPool pool_;
    std::unique_ptr<TokenStreams> own_tokens_;
    TokenStreams& tokens_;
    std::unique_ptr<OwnerRelay> relay_;
    std::unique_ptr<TraceRoutes> traces_;
    std::shared_ptr<RunStreams> streams_;
    std::unique_ptr<RunChangeApi> changes_;
    std::unique_ptr<ViewRoutes> views_;
    std::unique_ptr<HistoryRoutes> history_;
    class Waits;
    std::shared_ptr<Waits> waits_;
};

base::json::object to_json(const RunHead& head);

}  // namespace flow
