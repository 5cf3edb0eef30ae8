#include "flow/http/flow_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/api/error_answer.h"
#include "base/api/request_parts.h"
#include "base/json/object_reader.h"
#include "flow/definition/graph.h"
#include "flow/definition/read_definition.h"
#include "flow/http/history_routes.h"
#include "flow/http/owner_relay.h"
#include "flow/http/run_change_routes.h"
#include "flow/http/run_filter.h"
#include "flow/http/run_streams.h"
#include "flow/http/trace_routes.h"
#include "flow/http/view_routes.h"
#include "flow/http/watch_socket.h"
#include "flow/observe/token_streams.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::ObjectReader;
using base::Result;
using base::api::body_of;
using base::api::error_response;
using base::api::json_answer;
using base::api::query_flag;
using base::api::query_number;
using base::api::tenant_of;
using base::http::ResponderPtr;

namespace {

constexpr std::size_t kNameMax = 256;
constexpr std::int64_t kWaitMax = 24 * 3'600'000;
constexpr std::chrono::milliseconds kWaitGrain{50};

json::object deployed_json(const Deployed& one) {
    return {{"object", "workflow"},           {"name", one.name},
            {"version", one.version},         {"hash", one.hash},
            {"description", one.description}, {"created_unix_ms", one.created_ms}};
}

json::object end_json(RunId run, const RunHead& head, const json::value& output) {
    json::object out{{"object", "run"}, {"id", to_text(run)}, {"status", status_name(head.status)}};
    if (head.status == RunStatus::completed) {
        out["output"] = output;
    } else if (!head.error.empty()) {
        out["error"] = head.error;
    }
    return out;
}

/// The caller's span, where the header is a good one; as the standard asks, a bad one is no header.
std::string traceparent_of(const base::http::Request& request) {
    const auto given = base::trace::parse_traceparent(request.headers.get("traceparent"));
    return given ? base::trace::format_traceparent(*given) : std::string();
}

/// A body that may be any JSON value; empty is null.
Result<json::value> value_of(const base::http::Request& request) {
    if (request.body.empty()) return json::value();
    return base::parse_json(request.body, {.depth_max = 128});
}

}  // namespace

json::object to_json(const RunHead& head) {
    json::object out{{"object", "run"},
                     {"id", to_text(head.id)},
                     {"workflow", head.workflow},
                     {"version", head.version},
                     {"status", status_name(head.status)},
                     {"started_unix_ms", head.started_ms},
                     {"updated_unix_ms", head.updated_ms}};
    if (head.finished_ms != 0) out["finished_unix_ms"] = head.finished_ms;
    if (head.due_ms != 0) out["due_unix_ms"] = head.due_ms;
    if (head.parent) out["parent"] = to_text(*head.parent);
    if (!head.labels.is_null()) out["labels"] = head.labels;
    if (!head.error.empty()) out["error"] = head.error;
    if (!head.waiting.empty()) out["waiting"] = json::value_from(head.waiting);
    if (!head.idempotency_key.empty()) out["idempotency_key"] = head.idempotency_key;
    if (head.forked_from) out["forked_from"] = to_text(*head.forked_from);
    if (head.events != 0) out["events"] = head.events;
    if (head.totals) out["totals"] = to_json(*head.totals);
    return out;
}

/// Requests that wait for a run's end no longer than they said.
class FlowApi::Waits : public std::enable_shared_from_this<Waits> {
public:
    explicit Waits(const base::Clock& clock)
        : clock_(clock), job_([this] { return answer_late(); }, kWaitGrain) {}

    struct Wait {
        ResponderPtr responder;
        std::mutex mutex;
        bool answered = false;
        bool claim() {
            const std::lock_guard lock(mutex);
            return !std::exchange(answered, true);
        }
    };
    void add(RunId run, std::int64_t patience_ms, std::shared_ptr<Wait> wait) {
        const std::lock_guard lock(mutex_);
        late_.emplace(clock_.now() + std::chrono::milliseconds(patience_ms),
                      std::pair(run, std::move(wait)));
    }

private:
    Result<std::size_t> answer_late() {
        std::vector<std::pair<RunId, std::shared_ptr<Wait>>> due;
        {
            const std::lock_guard lock(mutex_);
            const auto end = late_.upper_bound(clock_.now());
            for (auto at = late_.begin(); at != end; ++at) due.push_back(std::move(at->second));
            late_.erase(late_.begin(), end);
        }
        for (const auto& [run, wait] : due) {
            if (!wait->claim()) continue;
            wait->responder->send(
                json_answer(202, {{"object", "run"}, {"id", to_text(run)}, {"status", "running"}}));
        }
        return 0;
    }

    const base::Clock& clock_;
    std::mutex mutex_;  // guards late_
    std::multimap<base::Instant, std::pair<RunId, std::shared_ptr<Wait>>> late_;
    base::BatchJob job_;
};

FlowApi::FlowApi(Runtime& runtime, RunLog& log, DefinitionStore& definitions,
                 const base::Clock& clock, TokenStreams* tokens)
    : runtime_(runtime),
      log_(log),
      definitions_(definitions),
      // Who gives something to another process's run waits for that process.
      pool_(runtime.fleet() != nullptr ? 32 : 4, 4'096),
      own_tokens_(tokens == nullptr ? std::make_unique<TokenStreams>(clock) : nullptr),
      tokens_(tokens == nullptr ? *own_tokens_ : *tokens),
      relay_(std::make_unique<OwnerRelay>(runtime)),
      traces_(std::make_unique<TraceRoutes>(
          log, definitions, tokens_, *relay_,
          [this](const Request& request) { return own_run(request); })),
      streams_(std::make_shared<RunStreams>(runtime, log, tokens_)),
      changes_(std::make_unique<RunChangeApi>(
          runtime, log, definitions, [this](const Request& request) { return own_run(request); })),
      views_(std::make_unique<ViewRoutes>(
          runtime, log, definitions, [this](const Request& request) { return own_run(request); })),
      history_(std::make_unique<HistoryRoutes>(
          log, [this](const Request& request) { return own_run(request); })),
      waits_(std::make_shared<Waits>(clock)) {
    tokens_.attach(runtime);
    streams_->attach();
}

FlowApi::~FlowApi() {
    stop();
}

void FlowApi::stop() {
    pool_.stop();
    relay_->stop();
    if (streams_) streams_->detach();
    streams_.reset();
    tokens_.detach();
}

void FlowApi::register_routes(base::http::Router& router) {
    using Member = Result<Response> (FlowApi::*)(const Request&);
    const auto add = [&](std::string_view method, std::string_view pattern, Member member) {
        pool_.route(router, method, pattern,
                    [this, member](const Request& request) { return (this->*member)(request); });
    };
    add("POST", "/v1/workflows", &FlowApi::deploy);
    add("GET", "/v1/workflows", &FlowApi::workflows);
    add("GET", "/v1/workflows/{name}", &FlowApi::workflow);
    add("DELETE", "/v1/workflows/{name}", &FlowApi::remove);
    add("GET", "/v1/workflows/{name}/graph", &FlowApi::graph);
    router.add("POST", "/v1/workflows/{name}/runs",
               [this](const Request& request, const ResponderPtr& responder) {
                   start(request, responder);
               });
    add("GET", "/v1/runs", &FlowApi::runs);
    add("GET", "/v1/runs/{id}", &FlowApi::run);
    history_->register_routes(router, pool_);
    add("POST", "/v1/runs/{id}/signals/{name}", &FlowApi::signal);
    add("POST", "/v1/runs/{id}/answer", &FlowApi::answer);
    add("POST", "/v1/runs/{id}/pause", &FlowApi::pause);
    add("POST", "/v1/runs/{id}/resume", &FlowApi::resume);
    add("POST", "/v1/runs/{id}/cancel", &FlowApi::cancel);
    add("POST", "/v1/runs/{id}/retry", &FlowApi::retry);
    changes_->register_routes(router, pool_);
    add("POST", "/v1/events/{name}", &FlowApi::publish);
    add("GET", "/v1/flow", &FlowApi::stats);
    views_->register_routes(router, pool_);
    traces_->register_routes(router, pool_);
    router.add(
        "GET", "/v1/runs/{id}/watch",
        [this](const Request& request, const ResponderPtr& responder) {
            pool_.post(responder, [this, request, responder] {
                const auto run = own_run(request);
                if (!run) return responder->send(error_response(run.error()));
                const auto asked = query_number(request, "after", 0, 1ll << 53, 0);
                if (!asked) return responder->send(error_response(asked.error()));
                auto after = static_cast<std::uint64_t>(*asked);
                const std::string_view from = request.headers.get("Last-Event-ID");
                std::from_chars(from.data(), from.data() + from.size(), after);
                if (!base::http::list_has_token(request.headers.get("Upgrade"), "websocket")) {
                    streams_->open(*run, after, responder);
                    return relay_->add_tokens(*run, request, responder);
                }
                const auto socket = std::make_shared<WatchSocket>(responder);
                streams_->open(*run, after, socket, [socket] { socket->go_live(); });
                relay_->add_tokens(*run, request, socket);
            });
        });
}

// ---- definitions -------------------------------------------------------------------------------

Result<base::http::Response> FlowApi::deploy(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const bool is_json = request.headers.get("Content-Type").find("json") != std::string_view::npos;
    const std::string file =
        request.query_param("file").value_or(is_json ? "workflow.json" : "workflow.yaml");
    if (DG_TRY(query_flag(request, "dry_run"))) {
        json::array faults;
        for (const base::Fault& fault : read_definition_faults(request.body, file).faults) {
            faults.push_back({{"line", fault.line},
                              {"column", fault.column},
                              {"path", fault.path},
                              {"message", fault.message}});
        }
        const bool valid = faults.empty();
        return json_answer(200, {{"valid", valid}, {"faults", std::move(faults)}});
    }
    const Deployed deployed = DG_TRY(definitions_.deploy(tenant, request.body, file));
    json::object answer = deployed_json(deployed);
    answer["unchanged"] = deployed.unchanged;
    return json_answer(deployed.unchanged ? 200 : 201, answer);
}

Result<base::http::Response> FlowApi::workflows(const Request& request) {
    json::array data;
    for (const Deployed& one : DG_TRY(definitions_.list(DG_TRY(tenant_of(request))))) {
        data.push_back(deployed_json(one));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<base::http::Response> FlowApi::workflow(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string name(request.param("name"));
    const auto version =
        static_cast<std::uint32_t>(DG_TRY(query_number(request, "version", 0, 1ll << 31, 0)));
    const auto versions = DG_TRY(definitions_.versions(tenant, name));
    const auto definition = DG_TRY(definitions_.find(tenant, name, version));
    json::object answer;
    for (const Deployed& one : versions) {
        if (one.version == definition->version) answer = deployed_json(one);
    }
    json::array all;
    for (const Deployed& one : versions) {
        all.push_back({{"version", one.version}, {"created_unix_ms", one.created_ms}});
    }
    answer["versions"] = std::move(all);
    answer["source"] = DG_TRY(definitions_.source(tenant, name, definition->version));
    answer["document"] = definition->document;
    return json_answer(200, answer);
}

Result<base::http::Response> FlowApi::remove(const Request& request) {
    const std::string name(request.param("name"));
    DG_TRY(definitions_.remove(DG_TRY(tenant_of(request)), name));
    return json_answer(200, {{"name", name}, {"removed", true}});
}

Result<base::http::Response> FlowApi::graph(const Request& request) {
    const auto version =
        static_cast<std::uint32_t>(DG_TRY(query_number(request, "version", 0, 1ll << 31, 0)));
    const auto definition =
        DG_TRY(definitions_.find(DG_TRY(tenant_of(request)), request.param("name"), version));
    return json_answer(200, graph_json(*definition));
}

// ---- runs --------------------------------------------------------------------------------------

void FlowApi::start(const Request& request, const ResponderPtr& responder) {
    StartRequest start;
    std::int64_t wait_ms = 0;
    const auto read = [&]() -> Result<void> {
        start.tenant = DG_TRY(tenant_of(request));
        start.workflow = request.param("name");
        const json::object body = DG_TRY(body_of(request));
        ObjectReader in(body);
        in.integer<std::uint32_t>("version", start.version, 0, 1u << 31);
        in.text("idempotency_key", start.idempotency_key, kNameMax);
        in.integer<std::int64_t>("wait_ms", wait_ms, 0, kWaitMax);
        if (in.has("priority")) {
            in.integer<std::int32_t>("priority", start.priority.emplace(), -1'000'000, 1'000'000);
        }
        if (const json::value* input = in.value("input")) start.input = *input;
        start.traceparent = traceparent_of(request);
        if (const json::value* labels = in.value("labels")) {
            if (labels->is_object()) {
                start.labels = *labels;
            } else {
                in.fault("labels", "must be an object");
            }
        }
        if (start.idempotency_key.empty()) {
            start.idempotency_key = request.headers.get("Idempotency-Key");
        }
        return in.done();
    };
    if (auto well = read(); !well) return responder->send(error_response(well.error()));
    runtime_.start(std::move(start), [&runtime = runtime_, waits = waits_, responder,
                                      wait_ms](const Result<RunId>& run) {
        if (!run) return responder->send(error_response(run.error()));
        if (wait_ms == 0) {
            return responder->send(json_answer(
                201, {{"object", "run"}, {"id", to_text(*run)}, {"status", "running"}}));
        }
        auto wait = std::make_shared<Waits::Wait>();
        wait->responder = responder;
        // This is the runtime's thread: the run cannot end between the two.
        runtime.engine().when_ended(
            *run, [wait, id = *run](const Result<RunHead>& head, const json::value& output) {
                if (!wait->claim()) return;
                wait->responder->send(head ? json_answer(200, end_json(id, *head, output))
                                           : error_response(head.error()));
            });
        waits->add(*run, wait_ms, wait);
    });
}

Result<RunId> FlowApi::own_run(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const auto id = run_id_from(request.param("id"));
    const auto unknown = [&] {
        return base::fail_on("id", Code::not_found, "there is no run '{}'", request.param("id"));
    };
    if (!id) return unknown();
    const auto stored = log_.load_head(*id);
    if (!stored && stored.error().code == Code::not_found) return unknown();
    if (!stored) return std::unexpected(stored.error());
    if (stored->tenant != tenant) return unknown();
    return *id;
}

Result<base::http::Response> FlowApi::runs(const Request& request) {
    const RunFilter filter = DG_TRY(run_filter_of(request));
    json::array data;
    const auto found = DG_TRY(log_.list(filter));
    for (const RunHead& head : found) data.push_back(to_json(head));
    const bool more = found.size() == filter.limit;
    json::object answer{{"object", "list"}, {"data", std::move(data)}, {"has_more", more}};
    if (more) answer["next"] = to_text(found.back().id);
    return json_answer(200, answer);
}

Result<base::http::Response> FlowApi::run(const Request& request) {
    const RunId id = DG_TRY(own_run(request));
    json::object answer = DG_TRY(runtime_.show(id));
    answer["object"] = "run";
    DG_TRY(traces_->add_totals(id, DG_TRY(query_flag(request, "totals")), answer));
    return json_answer(200, answer);
}

Result<base::http::Response> FlowApi::signal(const Request& request) {
    const RunId id = DG_TRY(own_run(request));
    DG_TRY(runtime_.signal(id, request.param("name"), DG_TRY(value_of(request))));
    return json_answer(202, {{"id", to_text(id)}, {"signal", request.param("name")}});
}

Result<base::http::Response> FlowApi::answer(const Request& request) {
    const RunId id = DG_TRY(own_run(request));
    const json::object body = DG_TRY(body_of(request));
    std::string step, decision, by;
    ObjectReader in(body);
    in.text("step", step, 4096);
    in.text("decision", decision, kNameMax);
    in.text("by", by, kNameMax);
    const json::value* content = in.value("answer");
    DG_TRY(in.done());
    json::object given{{"decision", decision}};
    if (!by.empty()) given["by"] = by;
    if (content != nullptr) given["answer"] = *content;
    DG_TRY(runtime_.answer(id, step, std::move(given)));
    return json_answer(200, {{"id", to_text(id)}, {"step", step}, {"decision", decision}});
}

namespace {

struct Steering {
    std::string why, by = "api", step, checkpoint;
    json::value with;
};
Result<Steering> steering_of(const base::http::Request& request) {
    Steering out;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("why", out.why, 4096);
    in.text("by", out.by, kNameMax);
    in.text("step", out.step, 4096);
    in.text("checkpoint", out.checkpoint, kNameMax);
    if (const json::value* with = in.value("with"); with != nullptr && !with->is_null()) {
        if (!with->is_object()) in.fault("with", "must be an object");
        out.with = *with;
    }
    DG_TRY(in.done());
    return out;
}

base::http::Response steered(RunId id, std::string_view status) {
    return json_answer(200, {{"id", to_text(id)}, {"status", status}});
}

}  // namespace

Result<base::http::Response> FlowApi::pause(const Request& request) {
    const RunId id = DG_TRY(own_run(request));
    const Steering how = DG_TRY(steering_of(request));
    DG_TRY(runtime_.pause(id, how.why, how.by));
    return steered(id, "paused");
}

Result<base::http::Response> FlowApi::resume(const Request& request) {
    const RunId id = DG_TRY(own_run(request));
    const Steering how = DG_TRY(steering_of(request));
    if (how.checkpoint.empty()) {
        DG_TRY(runtime_.resume(id, how.by));
    } else {
        DG_TRY(runtime_.rewind(id, how.checkpoint, how.by));
    }
    return steered(id, "running");
}

Result<base::http::Response> FlowApi::cancel(const Request& request) {
    const RunId id = DG_TRY(own_run(request));
    DG_TRY(runtime_.cancel(id, DG_TRY(steering_of(request)).why));
    return steered(id, "cancelled");
}

Result<base::http::Response> FlowApi::retry(const Request& request) {
    const RunId id = DG_TRY(own_run(request));
    const Steering how = DG_TRY(steering_of(request));
    DG_TRY(runtime_.retry(id, how.step, how.by, how.with));
    return steered(id, "running");
}

Result<base::http::Response> FlowApi::publish(const Request& request) {
    DG_TRY(runtime_.publish(DG_TRY(tenant_of(request)), request.param("name"),
                            DG_TRY(value_of(request))));
    return json_answer(202, {{"event", request.param("name")}});
}

Result<base::http::Response> FlowApi::stats(const Request&) {
    const EngineStats stats = runtime_.stats();
    return json_answer(200, {{"runs_open", stats.runs_open},
                             {"runs_in_memory", stats.runs_hot},
                             {"calls_out", stats.calls_out},
                             {"timers", stats.timers},
                             {"stalled_inputs", stats.stalled_inputs},
                             {"started", stats.started},
                             {"completed", stats.completed},
                             {"failed", stats.failed},
                             {"cancelled", stats.cancelled},
                             {"events", stats.events},
                             {"commits", stats.commits}});
}

}  // namespace flow
