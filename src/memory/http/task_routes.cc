#include "memory/http/task_routes.h"

#include <optional>
#include <utility>

#include "base/core/base64.h"
#include "base/core/utf8.h"
#include "memory/http/route_names.h"

namespace memory {
namespace {

constexpr std::size_t kTextBytesMax = 1u << 20;  // check_checkpoint knows the real ones

json::array texts(const std::vector<std::string>& items) {
    json::array out;
    for (const std::string& item : items) out.push_back(json::string(item));
    return out;
}

/// A state is any JSON value; a text is kept as it is.
Result<std::string> read_state(const json::value* state) {
    if (state == nullptr) return std::string();
    if (state->is_string()) return std::string(state->get_string());
    return base::to_text(*state);
}

json::value state_json(const std::string& state) {
    const auto parsed = base::parse_json(state);
    if (parsed && (parsed->is_object() || parsed->is_array())) return *parsed;
    return json::string(state);
}

}  // namespace

json::object to_json(const tasks::Checkpoint& checkpoint) {
    return {{"object", "checkpoint"},
            {"task", checkpoint.task},
            {"number", checkpoint.number},
            {"name", checkpoint.name},
            {"result", checkpoint.result},
            {"reflection", checkpoint.reflection},
            {"next_steps", texts(checkpoint.next_steps)},
            {"progress", checkpoint.progress ? json::value(*checkpoint.progress) : json::value()},
            {"finished", checkpoint.finished},
            {"created_unix_ms", checkpoint.created_unix_ms},
            {"memory", checkpoint.memory},
            {"state_kept", checkpoint.state_kept}};
}

json::object to_json(const tasks::TaskSummary& summary) {
    return {{"object", "task_summary"},
            {"task", summary.task},
            {"checkpoints", summary.checkpoints},
            {"began_unix_ms", summary.began_unix_ms},
            {"last_unix_ms", summary.last_unix_ms},
            {"finished", summary.finished},
            {"progress", summary.progress ? json::value(*summary.progress) : json::value()},
            {"results", texts(summary.results)},
            {"reflections", texts(summary.reflections)},
            {"next_steps", texts(summary.next_steps)},
            {"text", summary.text}};
}

Result<Response> TaskCalls::list(const Request& request) {
    const auto limit = DG_TRY(query_number(request, "limit", 1, 1000, 100));
    json::array data;
    for (const auto& last :
         DG_TRY(store_.list_tasks(DG_TRY(tenant_of(request)), static_cast<std::uint32_t>(limit)))) {
        data.push_back(to_json(last));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> TaskCalls::save(const Request& request) {
    Scope scope{.tenant = DG_TRY(tenant_of(request))};
    tasks::Checkpoint checkpoint;
    checkpoint.task = request.param("task");
    std::optional<std::uint32_t> after;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("name", checkpoint.name, 256);
    in.text("result", checkpoint.result, kTextBytesMax);
    in.text("reflection", checkpoint.reflection, kTextBytesMax);
    in.texts("next_steps", checkpoint.next_steps, 100, kTextBytesMax);
    if (in.has("progress")) in.number("progress", checkpoint.progress.emplace(), 0, 1);
    in.flag("finished", checkpoint.finished);
    in.integer<std::int64_t>("created_unix_ms", checkpoint.created_unix_ms, 0, 253'402'300'800'000);
    if (in.has("after")) in.integer<std::uint32_t>("after", after.emplace(), 0, 1u << 31);
    in.text("user", scope.user, 256);
    in.text("agent", scope.agent, 256);
    in.text("session", scope.session, 256);
    in.text("run", scope.run, 256);
    const json::value* state = in.value("state");
    DG_TRY(in.done());
    checkpoint.state = DG_TRY(read_state(state));
    const std::string by(request.headers.get("X-Dougong-Agent"));
    return json_answer(201, to_json(DG_TRY(store_.save_checkpoint(scope, checkpoint, after, by))));
}

Result<Response> TaskCalls::checkpoints(const Request& request) {
    const auto limit = DG_TRY(query_number(request, "limit", 1, 1000, 100));
    const auto before = DG_TRY(query_number(request, "before", 0, 1ll << 31, 0));
    json::array data;
    for (const auto& one : DG_TRY(store_.checkpoints(
             DG_TRY(tenant_of(request)), request.param("task"), static_cast<std::uint32_t>(limit),
             static_cast<std::uint32_t>(before)))) {
        data.push_back(to_json(one));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> TaskCalls::resume(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string name = request.query_param("name").value_or("");
    const auto checkpoint = DG_TRY(store_.resume_task(tenant, request.param("task"), name));
    json::object out = to_json(checkpoint);
    out["state"] = state_json(checkpoint.state);
    out["summary"] = to_json(DG_TRY(store_.task_summary(tenant, request.param("task"))));
    return json_answer(200, out);
}

Result<Response> TaskCalls::summary(const Request& request) {
    const auto recent = DG_TRY(query_number(request, "recent", 1, 100, 5));
    return json_answer(
        200, to_json(DG_TRY(store_.task_summary(DG_TRY(tenant_of(request)), request.param("task"),
                                                static_cast<std::uint32_t>(recent)))));
}

Result<Response> TaskCalls::remove(const Request& request) {
    DG_TRY(store_.remove_task(DG_TRY(tenant_of(request)), request.param("task")));
    return json_answer(200,
                       {{"task", request.param("task")}, {"object", "task"}, {"deleted", true}});
}

}  // namespace memory
