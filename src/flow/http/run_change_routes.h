#pragma once
// What is done with whole runs: fork them, take them along, decide them again.

#include <functional>

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/flow.h"
#include "flow/run/replay.h"
#include "flow/store/definition_store.h"

namespace flow {

class RunChangeApi {
public:
    /// The run a request names, when it is its tenant's. Errors: not_found.
    using OwnRun = std::function<base::Result<RunId>(const base::http::Request&)>;
    /// All outlive it.
    RunChangeApi(Runtime& runtime, RunLog& log, DefinitionStore& definitions, OwnRun own_run)
        : runtime_(runtime), log_(log), definitions_(definitions), own_run_(std::move(own_run)) {}

    void register_routes(base::http::Router& router, base::api::CallPool& pool);

private:
    using Request = base::http::Request;
    using Response = base::http::Response;
    base::Result<Response> fork(const Request& request);
    base::Result<Response> export_run(const Request& request);
    base::Result<Response> replay_run(const Request& request);
    base::Result<RunExport> whole(RunId run);
    base::Result<void> each_page(RunId run, std::uint64_t from,
                                 const std::function<bool(const std::vector<Event>&)>& each);

    Runtime& runtime_;
    RunLog& log_;
    DefinitionStore& definitions_;
    const OwnRun own_run_;
};

/// What a replay found, for people and programs.
base::json::object to_json(const Replay& replay);

/// An exported run decided again: by its own definition, or by `other`.
/// Errors: invalid_argument (the document), data_loss.
base::Result<base::json::object> replay_answer(const RunExport& one,
                                               std::shared_ptr<const Definition> other);

}  // namespace flow
