#include "flow/http/worker_routes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/api/error_answer.h"
#include "base/api/request_parts.h"
#include "base/core/nearest.h"
#include "base/http/server.h"
#include "base/json/json.h"
#include "base/json/object_reader.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::ObjectReader;
using base::Result;
using base::api::error_response;
using base::api::json_answer;
using base::http::ResponderPtr;

namespace {

constexpr std::size_t kNameMax = 256;
constexpr std::size_t kMessageMax = 16'384;
constexpr std::uint32_t kTasksMax = 1'000;  // of one request
constexpr std::size_t kResultsMax = 10'000;
constexpr std::int64_t kWaitMax = 60'000;  // proxies close what is silent for longer
constexpr std::int64_t kLeaseMin = 100, kLeaseMax = 24 * 3'600'000;
constexpr std::size_t kDepthMax = 128;

/// Every code a failure may have, by its name.
std::optional<Code> code_named(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
        const Code code = static_cast<Code>(i);
        if (base::code_name(code) == name) return code;
    }
    return std::nullopt;
}

std::string codes_like(std::string_view name) {
    std::vector<std::string_view> known;
    for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
        known.push_back(base::code_name(static_cast<Code>(i)));
    }
    return std::string(base::did_you_mean(name, known));
}

Result<base::Error> failure_of(const json::value& given, const std::string& path) {
    base::Error error{Code::unavailable, "the worker failed", {}};
    if (!given.is_object()) {
        return base::fail_on(path, Code::invalid_argument, "'{}' must be an object", path);
    }
    std::string code;
    ObjectReader in(given.get_object(), path);
    in.text("code", code, kNameMax);
    in.text("message", error.message, kMessageMax);
    DG_TRY(in.done());
    if (code.empty()) return error;
    const auto named = code_named(code);
    if (!named) {
        return base::fail_on(path + ".code", Code::invalid_argument, "'{}.code' is '{}'{}", path,
                             code, codes_like(code));
    }
    error.code = *named;
    return error;
}

Result<TaskResult> result_of(json::value& given, const std::string& path) {
    json::object* fields = given.if_object();
    if (fields == nullptr) {
        return base::fail_on(path, Code::invalid_argument, "'{}' must be an object", path);
    }
    TaskResult out{.task = {}, .result = StepOutput{}};
    StepOutput output;
    ObjectReader in(*fields, path);
    in.text("task", out.task, kNameMax);
    in.integer<std::uint64_t>("tokens", output.tokens, 0, 1ull << 53);
    in.number("cost_usd", output.cost_usd, 0, 1e12);
    const json::value* error = in.value("error");
    const bool has_output = in.value("output") != nullptr;
    if (out.task.empty()) in.fault("task", "names the task it is the result of");
    if (error != nullptr && has_output) in.fault("error", "and output: a task has one of them");
    DG_TRY(in.done());
    if (error != nullptr) {
        out.result = std::unexpected(DG_TRY(failure_of(*error, path + ".error")));
    } else {
        if (has_output) output.value = std::move(fields->at("output"));
        out.result = std::move(output);
    }
    return out;
}

/// What a worker asks for: {"images": ["resize"], "mail": []}.
Result<std::map<std::string, std::vector<std::string>>> queues_of(const json::value& given) {
    std::map<std::string, std::vector<std::string>> out;
    const json::object* queues = given.if_object();
    if (queues == nullptr) {
        return base::fail_on("queues", Code::invalid_argument,
                             "'queues' must be an object, the name of a queue to a list of the "
                             "functions the worker has; an empty list: all of the queue");
    }
    for (const auto& [name, functions] : *queues) {
        const json::object one{{"functions", functions}};
        ObjectReader in(one, "queues." + std::string(name));
        in.texts("functions", out[std::string(name)], 1'000, kNameMax);
        DG_TRY(in.done());
    }
    return out;
}

/// `may_take`: the route that takes tasks, too.
Result<WorkerMessage> message_of(const base::http::Request& request, bool may_take) {
    WorkerMessage out;
    out.wish.tenant = DG_TRY(base::api::tenant_of(request));
    json::value body = DG_TRY(base::parse_json(request.body, {.depth_max = kDepthMax}));
    if (!body.is_object()) {
        return base::fail(Code::invalid_argument, "the body must be an object");
    }
    json::object& fields = body.get_object();
    ObjectReader in(fields);
    std::int64_t wait_ms = 0, lease_ms = 30'000;
    in.text("worker", out.wish.worker, kNameMax);
    if (may_take) {
        in.integer<std::uint32_t>("max", out.wish.tasks_max, 0, kTasksMax);
        in.integer<std::int64_t>("wait_ms", wait_ms, 0, kWaitMax);
        in.integer<std::int64_t>("lease_ms", lease_ms, kLeaseMin, kLeaseMax);
        if (const json::value* queues = in.value("queues")) {
            out.wish.queues = DG_TRY(queues_of(*queues));
        }
    } else {
        out.wish.tasks_max = 0;
    }
    in.texts("running", out.running, 100'000, kNameMax);
    const json::value* results = in.value("results");
    if (out.wish.worker.empty()) in.fault("worker", "is the worker's own name, one for each");
    if (results != nullptr && !results->is_array()) in.fault("results", "must be a list");
    if (out.wish.tasks_max > 0 && out.wish.queues.empty()) {
        in.fault("queues", "names the queues to take from; to take nothing, say \"max\": 0");
    }
    DG_TRY(in.done());
    out.patience = std::chrono::milliseconds(wait_ms);
    out.wish.lease = std::chrono::milliseconds(lease_ms);
    if (results != nullptr) {
        json::array& list = fields.at("results").get_array();
        if (list.size() > kResultsMax) {
            return base::fail_on("results", Code::payload_too_large, "at most {} results at a time",
                                 kResultsMax);
        }
        out.results.reserve(list.size());
        for (std::size_t i = 0; i < list.size(); ++i) {
            out.results.push_back(DG_TRY(result_of(list[i], fmt::format("results[{}]", i))));
        }
    }
    return out;
}

json::object task_json(const GivenTask& given) {
    const Call& call = *given.call;
    const auto& action = std::get<WorkerAction>(call.step->action);
    json::object out{{"task", given.id},
                     {"queue", action.queue},
                     {"function", action.function},
                     {"arguments", call.request},
                     {"run", to_text(call.run)},
                     {"workflow", call.definition->name},
                     {"version", call.definition->version},
                     {"step", call.path},
                     {"attempt", call.attempt},
                     {"giving", given.giving},
                     {"idempotency_key", call.idempotency_key},
                     {"lease_ms", given.lease.count()}};
    if (call.deadline_ms != 0) out["deadline_unix_ms"] = call.deadline_ms;
    return out;
}

json::array refusals_json(const std::vector<TaskRefusal>& refusals) {
    json::array out;
    for (const TaskRefusal& one : refusals) {
        out.push_back({{"task", one.task},
                       {"code", base::code_name(one.why.code)},
                       {"message", one.why.message}});
    }
    return out;
}

base::http::Response answer_of(const WorkerAnswer& answer) {
    json::array tasks;
    tasks.reserve(answer.tasks.size());
    for (const GivenTask& given : answer.tasks) tasks.push_back(task_json(given));
    json::object out{{"tasks", std::move(tasks)}};
    if (!answer.refused.empty()) out["refused"] = refusals_json(answer.refused);
    if (!answer.stop.empty()) out["stop"] = refusals_json(answer.stop);
    if (answer.draining) out["draining"] = true;
    return json_answer(200, out);
}

/// Tasks that did not reach their worker go to another one at once.
void send(WorkerTasks& tasks, const ResponderPtr& responder, const WorkerAnswer& answer) {
    if (answer.tasks.empty()) return responder->send(answer_of(answer));
    std::vector<std::string> ids;
    for (const GivenTask& given : answer.tasks) ids.push_back(given.id);
    responder->on_closed([&tasks, ids = std::move(ids)] { tasks.give_back(ids); });
    responder->send(answer_of(answer));
}

void exchange(WorkerTasks& tasks, const base::http::Request& request, const ResponderPtr& responder,
              bool may_take) {
    auto message = message_of(request, may_take);
    if (!message) return responder->send(error_response(message.error()));
    const std::uint64_t waiting = tasks.exchange(
        *std::move(message),
        [&tasks, responder](const WorkerAnswer& answer) { send(tasks, responder, answer); });
    if (waiting != 0) responder->on_closed([&tasks, waiting] { tasks.leave(waiting); });
}

base::http::Response overview(WorkerTasks& tasks, const std::string& tenant, base::Instant now) {
    json::array workers, queues;
    for (const WorkerSeen& seen : tasks.workers(tenant)) {
        json::object takes;
        for (const auto& [queue, functions] : seen.queues) {
            takes[queue] = json::value_from(functions);
        }
        workers.push_back({{"worker", seen.worker},
                           {"queues", std::move(takes)},
                           {"waiting", seen.waiting},
                           {"seen_ms_ago", std::int64_t(base::to_millis(now - seen.seen))},
                           {"finished", seen.finished},
                           {"failed", seen.failed}});
    }
    for (const TaskCounts& counts : tasks.counts(tenant)) {
        json::object one{{"queue", counts.queue},
                         {"function", counts.function},
                         {"pending", counts.pending},
                         {"given", counts.given}};
        if (counts.pending > 0) {
            one["oldest_ms"] = std::int64_t(base::to_millis(now - counts.oldest));
        }
        queues.push_back(std::move(one));
    }
    return json_answer(
        200,
        {{"object", "workers"}, {"workers", std::move(workers)}, {"tasks", std::move(queues)}});
}

}  // namespace

void register_worker_routes(base::http::Router& router, WorkerTasks& tasks,
                            const base::Clock& clock) {
    for (const bool may_take : {true, false}) {
        router.add(
            "POST", may_take ? "/v1/workers/tasks/take" : "/v1/workers/tasks/report",
            [&tasks, may_take](const base::http::Request& request, const ResponderPtr& responder) {
                exchange(tasks, request, responder, may_take);
            });
    }
    router.add("GET", "/v1/workers",
               [&tasks, &clock](const base::http::Request& request, const ResponderPtr& responder) {
                   const auto tenant = base::api::tenant_of(request);
                   responder->send(tenant ? overview(tasks, *tenant, clock.now())
                                          : error_response(tenant.error()));
               });
}

}  // namespace flow
