#pragma once
// Looking at runs: their trace, and what models say while they run.

#include <functional>

#include "base/api/call_pool.h"
#include "flow/http/owner_relay.h"
#include "flow/observe/token_streams.h"
#include "flow/run_log.h"
#include "flow/step_runner.h"

namespace flow {

class TraceRoutes {
public:
    /// The run a request names, if it is the tenant's.
    using OwnRun = std::function<base::Result<RunId>(const base::http::Request&)>;
    /// All outlive it.
    TraceRoutes(RunLog& log, DefinitionSource& definitions, TokenStreams& tokens, OwnerRelay& relay,
                OwnRun own_run)
        : log_(log),
          definitions_(definitions),
          tokens_(tokens),
          relay_(relay),
          own_run_(std::move(own_run)) {}

    void register_routes(base::http::Router& router, base::api::CallPool& pool);
    /// What a run used and where its time went; nothing for runs too long to read for it.
    base::Result<void> add_totals(RunId run, bool asked, base::json::object& view) const;

private:
    base::Result<base::http::Response> trace(const base::http::Request& request) const;
    void stream(const base::http::Request& request, const base::http::ResponderPtr& responder);

    RunLog& log_;
    DefinitionSource& definitions_;
    TokenStreams& tokens_;
    OwnerRelay& relay_;
    const OwnRun own_run_;
};

}  // namespace flow
