#include "flow/http/trace_routes.h"

#include "base/api/error_answer.h"
#include "base/api/request_parts.h"
#include "flow/observe/run_trace.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::Result;

namespace {

constexpr std::uint64_t kTotalsEventsMax = 5'000;  // read unasked, to look at one run

}  // namespace

void TraceRoutes::register_routes(base::http::Router& router, base::api::CallPool& pool) {
    pool.route(router, "GET", "/v1/runs/{id}/trace",
               [this](const base::http::Request& request) { return trace(request); });
    for (const char* pattern : {"/v1/runs/{id}/steps/{path}/stream", "/v1/runs/{id}/tokens"}) {
        router.add("GET", pattern,
                   [this, &pool](const base::http::Request& request,
                                 const base::http::ResponderPtr& responder) {
                       pool.post(responder,
                                 [this, request, responder] { stream(request, responder); });
                   });
    }
}

Result<base::http::Response> TraceRoutes::trace(const base::http::Request& request) const {
    const RunId id = DG_TRY(own_run_(request));
    const auto limit = DG_TRY(base::api::query_number(request, "limit", 1, 100'000, 5'000));
    const std::string format = request.query_param("format").value_or("json");
    if (format != "json" && format != "otlp") {
        return base::fail_on("format", Code::invalid_argument, "'format' must be json or otlp");
    }
    const RunTrace found =
        DG_TRY(read_trace(log_, definitions_, id, static_cast<std::size_t>(limit)));
    if (format == "otlp") {
        return base::http::text_response(200, "application/json", to_otlp(found));
    }
    json::object answer = to_json(found);
    answer["run"] = to_text(id);
    return base::api::json_answer(200, answer);
}

void TraceRoutes::stream(const base::http::Request& request,
                         const base::http::ResponderPtr& responder) {
    const auto run = own_run_(request);
    if (!run) return responder->send(base::api::error_response(run.error()));
    if (relay_.pass_on(*run, request, responder)) return;
    if (request.param("path").empty()) {
        tokens_.join(*run, responder, true);
    } else {
        std::string last(request.headers.get("Last-Event-ID"));
        if (last.empty()) last = request.query_param("after").value_or("");
        tokens_.open_step(*run, std::string(request.param("path")), last, responder);
    }
    // A comment, so that who passes it on has something to begin with.
    if (OwnerRelay::was_passed_on(request)) responder->write(":\n\n");
}

Result<void> TraceRoutes::add_totals(RunId run, bool asked, json::object& view) const {
    // What an older version did not count is read from the history.
    const json::value* totals = view.if_contains("totals");
    if (totals == nullptr || !totals->is_object() || !totals->get_object().contains("partial")) {
        return {};
    }
    const json::value* events = view.if_contains("events");
    const bool shortly = events != nullptr && events->is_number() &&
                         events->to_number<std::uint64_t>() <= kTotalsEventsMax;
    if (!asked && !shortly) return {};
    view["totals"] = to_json(DG_TRY(read_trace(log_, definitions_, run, 0)).totals);
    return {};
}

}  // namespace flow
