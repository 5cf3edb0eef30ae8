#include "flow/http/schedule_routes.h"

#include <algorithm>

#include "base/api/request_parts.h"

namespace flow {

namespace json = base::json;
using base::Result;
using base::api::json_answer;
using base::api::tenant_of;
using base::http::Request;
using base::http::Response;

namespace {

constexpr std::string_view kOverlaps[] = {"allow", "skip", "queue"};
constexpr std::string_view kCatchUps[] = {"none", "last", "all"};

json::object to_json(const ScheduleView& view) {
    const Schedule& schedule = view.schedule;
    json::object out{{"object", "schedule"}, {"workflow", view.workflow}, {"name", schedule.name}};
    if (!schedule.cron.empty()) {
        out["cron"] = schedule.cron;
    } else {
        out["every_ms"] = schedule.every.count();
    }
    out["zone"] = schedule.zone.empty() ? "UTC" : schedule.zone;
    if (schedule.jitter.count() > 0) out["jitter_ms"] = schedule.jitter.count();
    out["overlap"] = kOverlaps[static_cast<std::size_t>(schedule.overlap)];
    out["catch_up"] = kCatchUps[static_cast<std::size_t>(schedule.catch_up)];
    out["paused"] = view.state.paused;
    if (view.next_s) out["next_unix_ms"] = *view.next_s * 1000;
    out["decided_up_to_unix_ms"] = view.state.last_s * 1000;
    if (!view.state.pending.empty()) out["pending"] = view.state.pending.size();
    if (!view.state.last_run.empty()) out["last_run"] = view.state.last_run;
    if (!view.error.empty()) out["error"] = view.error;
    return out;
}

Result<Response> list(Scheduler& scheduler, const Request& request) {
    json::array data;
    for (const ScheduleView& view : DG_TRY(scheduler.list(DG_TRY(tenant_of(request))))) {
        data.push_back(to_json(view));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> steer(Scheduler& scheduler, const Request& request, bool paused) {
    DG_TRY(scheduler.set_paused(DG_TRY(tenant_of(request)), request.param("workflow"),
                                request.query_param("name").value_or(""), paused));
    return json_answer(200, {{"workflow", request.param("workflow")}, {"paused", paused}});
}

Result<Response> trigger(Scheduler& scheduler, const Request& request) {
    const RunId run =
        DG_TRY(scheduler.trigger(DG_TRY(tenant_of(request)), request.param("workflow"),
                                 request.query_param("name").value_or("")));
    return json_answer(201, {{"object", "run"}, {"id", to_text(run)}, {"status", "running"}});
}

Result<Response> queues(QueuedRunner& runner, const base::Clock& clock, const Request& request) {
    json::array data;
    for (const QueueView& view : runner.queues(DG_TRY(tenant_of(request)))) {
        const QueueBoard::Counts& counts = view.counts;
        json::object one{{"object", "queue"},
                         {"workflow", view.workflow},
                         {"queue", view.queue},
                         {"running", counts.running},
                         {"waiting", counts.waiting}};
        if (counts.limits.concurrency != 0) one["concurrency"] = counts.limits.concurrency;
        if (counts.limits.starts != 0) {
            one["starts_max"] = counts.limits.starts;
            one["window_ms"] = base::to_millis(counts.limits.window);
        }
        if (counts.waiting != 0) {
            one["oldest_ms"] =
                std::max<std::int64_t>(0, clock.unix_ns() / 1'000'000 - counts.oldest_since_ms);
        }
        data.push_back(std::move(one));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

}  // namespace

ScheduleApi::ScheduleApi(Scheduler& scheduler, QueuedRunner& queues, const base::Clock& clock)
    : scheduler_(scheduler), queues_(queues), clock_(clock), pool_(1, 1'024) {}

ScheduleApi::~ScheduleApi() {
    stop();
}

void ScheduleApi::register_routes(base::http::Router& router) {
    pool_.route(router, "GET", "/v1/schedules",
                [this](const Request& request) { return list(scheduler_, request); });
    pool_.route(router, "POST", "/v1/schedules/{workflow}/pause",
                [this](const Request& request) { return steer(scheduler_, request, true); });
    pool_.route(router, "POST", "/v1/schedules/{workflow}/resume",
                [this](const Request& request) { return steer(scheduler_, request, false); });
    pool_.route(router, "POST", "/v1/schedules/{workflow}/trigger",
                [this](const Request& request) { return trigger(scheduler_, request); });
    pool_.route(router, "GET", "/v1/queues",
                [this](const Request& request) { return queues(queues_, clock_, request); });
}

}  // namespace flow
