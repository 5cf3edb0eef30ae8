#include "flow/http/view_routes.h"

#include <numeric>

#include "base/api/request_parts.h"
#include "flow/definition/compatibility.h"
#include "flow/definition/graph.h"
#include "flow/fleet.h"
#include "flow/http/run_filter.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::Result;
using base::api::json_answer;
using base::api::query_number;
using base::api::tenant_of;

void ViewRoutes::register_routes(base::http::Router& router, base::api::CallPool& pool) {
    using Member = Result<Response> (ViewRoutes::*)(const Request&);
    const auto add = [&](std::string_view pattern, Member member) {
        pool.route(router, "GET", pattern,
                   [this, member](const Request& request) { return (this->*member)(request); });
    };
    add("/v1/runs/counts", &ViewRoutes::counts);
    add("/v1/runs/{id}/graph", &ViewRoutes::graph);
    add("/v1/runs/{id}/step", &ViewRoutes::step);
    add("/v1/workflows/{name}/compatibility", &ViewRoutes::compatibility);
    add("/v1/flow/health", &ViewRoutes::health);
}

Result<base::http::Response> ViewRoutes::counts(const Request& request) {
    const RunCounts counts = DG_TRY(log_.count(DG_TRY(run_filter_of(request))));
    json::object by_status;
    for (std::size_t i = 0; i < counts.by_status.size(); ++i) {
        by_status[status_name(static_cast<RunStatus>(i))] = counts.by_status[i];
    }
    const auto total =
        std::accumulate(counts.by_status.begin(), counts.by_status.end(), std::uint64_t{0});
    return json_answer(
        200, {{"total", total}, {"waiting", counts.waiting}, {"status", std::move(by_status)}});
}

Result<base::http::Response> ViewRoutes::graph(const Request& request) {
    const RunId run = DG_TRY(run_of_(request));
    const json::object state = DG_TRY(runtime_.show(run));
    const auto definition =
        DG_TRY(definitions_.by_hash(std::string_view(state.at("definition").as_string())));
    json::object answer = graph_json(*definition);
    answer["version"] = state.at("version");
    answer["document"] = definition->document;
    return json_answer(200, answer);
}

Result<base::http::Response> ViewRoutes::step(const Request& request) {
    const RunId run = DG_TRY(run_of_(request));
    const std::string path = request.query_param("path").value_or("");
    json::object answer{{"path", path}};
    DG_TRY(runtime_.peek(run, [&](Machine& machine, std::int64_t now_ms) -> Result<void> {
        auto made = machine.request(path, now_ms);
        if (!made && made.error().code == Code::not_found) {
            return std::unexpected(std::move(made).error());
        }
        if (made) {
            answer["request"] = *std::move(made);
        } else {
            answer["error"] = {{"code", base::code_name(made.error().code)},
                               {"message", made.error().message}};
        }
        return {};
    }));
    return json_answer(200, answer);
}

Result<base::http::Response> ViewRoutes::compatibility(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const auto version_of = [&](std::string_view which) -> Result<std::uint32_t> {
        return static_cast<std::uint32_t>(DG_TRY(query_number(request, which, 0, 1ll << 31, 0)));
    };
    const std::string_view name = request.param("name");
    const auto from = DG_TRY(definitions_.find(tenant, name, DG_TRY(version_of("from"))));
    const auto to = DG_TRY(definitions_.find(tenant, name, DG_TRY(version_of("to"))));
    const std::vector<Finding> findings = flow::compatibility(*from, *to);
    json::array list;
    for (const Finding& one : findings) {
        list.push_back({{"weight", one.weight == Finding::Weight::blocks ? "blocks" : "note"},
                        {"step", one.step},
                        {"message", one.message}});
    }
    return json_answer(200, {{"from", from->version},
                             {"to", to->version},
                             {"may_move", may_move(findings)},
                             {"findings", std::move(list)}});
}

Result<base::http::Response> ViewRoutes::health(const Request& request) {
    RunFilter open;
    open.tenant = DG_TRY(tenant_of(request));
    open.status = "open";
    const RunCounts counts = DG_TRY(log_.count(open));
    const EngineStats stats = runtime_.stats();
    json::object answer = log_.health();
    if (Fleet* fleet = log_.fleet(); fleet != nullptr) {
        json::array workers;
        for (const FleetWorker& one : DG_TRY(fleet->workers())) {
            workers.push_back({{"worker", std::to_string(one.number)},
                               {"url", one.url},
                               {"lease_until", one.lease_until_ms},
                               {"runs", one.runs}});
        }
        answer["store"] = "postgresql";
        answer["fleet"] = std::move(workers);
    }
    answer["runs"] = {
        {"open", stats.runs_open}, {"hot", stats.runs_hot}, {"waiting", counts.waiting}};
    answer["timers"] = stats.timers;
    answer["calls_out"] = stats.calls_out;
    answer["stalled_inputs"] = stats.stalled_inputs;
    answer["since_start"] = {{"started", stats.started}, {"completed", stats.completed},
                             {"failed", stats.failed},   {"cancelled", stats.cancelled},
                             {"events", stats.events},   {"commits", stats.commits}};
    return json_answer(200, answer);
}

}  // namespace flow
