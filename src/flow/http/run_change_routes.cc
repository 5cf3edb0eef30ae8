#include "flow/http/run_change_routes.h"

#include <algorithm>
#include <future>
#include <limits>

#include "base/api/request_parts.h"
#include "base/core/check.h"
#include "base/json/object_reader.h"
#include "flow/definition/read_definition.h"
#include "flow/run/fork.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::ObjectReader;
using base::Result;
using base::api::body_of;
using base::api::json_answer;
using base::api::tenant_of;

namespace {

constexpr std::uint32_t kAll = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kPage = 1'000;

/// The document as a definition of the version that the run had.
Result<std::shared_ptr<const Definition>> definition_of(const RunExport& one) {
    auto read = read_definition(base::to_text(one.definition), "definition.json");
    if (!read) return std::unexpected(std::move(read).error().with_context("the exported run"));
    return *std::move(read);
}

std::string text_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

}  // namespace

json::object to_json(const Replay& replay) {
    json::object out{{"same", !replay.difference}, {"events", replay.events}};
    if (replay.difference) {
        const Replay::Difference& found = *replay.difference;
        json::object difference{{"place", found.place}, {"what", found.what}};
        difference["recorded"] =
            found.recorded ? json::value(to_json(*found.recorded)) : json::value();
        difference["today"] = found.today ? json::value(to_json(*found.today)) : json::value();
        out["difference"] = std::move(difference);
    }
    return out;
}

Result<json::object> replay_answer(const RunExport& one, std::shared_ptr<const Definition> other) {
    const json::object& run = one.run.as_object();
    const auto id = run_id_from(text_of(run, "id"));
    if (!id) {
        return base::fail_on("run.id", Code::invalid_argument,
                             "the exported run does not say which run it is");
    }
    std::uint32_t version = 0;
    if (const json::value* given = run.if_contains("version"); given && given->is_number()) {
        version = given->to_number<std::uint32_t>();
    }
    const auto as_recorded = [&](const Definition& definition) {
        auto own = std::make_shared<Definition>(definition);
        own->version = version;  // what `run.version` gave
        return std::shared_ptr<const Definition>(std::move(own));
    };
    const auto recorded = as_recorded(*DG_TRY(definition_of(one)));
    const bool same = other == nullptr || other->hash == recorded->hash;
    Replay before = DG_TRY(replay(*id, recorded, true, one.events));
    if (same) {
        json::object answer = to_json(before);
        answer["run"] = to_text(*id);
        return answer;
    }
    Replay today = DG_TRY(replay(*id, as_recorded(*other), false, one.events));
    json::object answer = to_json(today);
    answer["run"] = to_text(*id);
    // The same calls with other words in them: the recorded answers were to other questions.
    json::array requests;
    for (std::size_t i = 0; i < before.requests.size() && i < today.requests.size(); ++i) {
        const Replay::Request& old = before.requests[i];
        const Replay::Request& now = today.requests[i];
        if (old.step != now.step || old.attempt != now.attempt) break;
        if (old.request == now.request) continue;
        requests.push_back({{"step", now.step},
                            {"attempt", now.attempt},
                            {"recorded", old.request},
                            {"today", now.request}});
    }
    if (!requests.empty()) answer["requests"] = std::move(requests);
    return answer;
}

void RunChangeApi::register_routes(base::http::Router& router, base::api::CallPool& pool) {
    using Member = Result<Response> (RunChangeApi::*)(const Request&);
    const auto add = [&](std::string_view method, std::string_view pattern, Member member) {
        pool.route(router, method, pattern,
                   [this, member](const Request& request) { return (this->*member)(request); });
    };
    add("POST", "/v1/runs/{id}/fork", &RunChangeApi::fork);
    add("GET", "/v1/runs/{id}/export", &RunChangeApi::export_run);
    add("POST", "/v1/runs/{id}/replay", &RunChangeApi::replay_run);
}

Result<base::http::Response> RunChangeApi::fork(const Request& request) {
    const RunId origin = DG_TRY(own_run_(request));
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    std::string step;
    in.text("step", step, 4096);
    const json::value* input = in.value("input");
    const json::value* with = in.value("with");
    const json::value* labels = in.value("labels");
    if (with != nullptr && !with->is_null() && !with->is_object()) {
        in.fault("with", "must be an object");
    }
    if (labels != nullptr && !labels->is_null() && !labels->is_object()) {
        in.fault("labels", "must be an object");
    }
    DG_TRY(in.done());
    if (step.empty()) {
        return base::fail_on("step", Code::invalid_argument,
                             "'step' names the step at which the new run begins");
    }
    const RunHead head = DG_TRY(log_.load_head(origin));
    const History history = [&](std::uint64_t from, const auto& each) -> Result<void> {
        return each_page(origin, from, [&](const std::vector<Event>& page) {
            return std::ranges::all_of(page, each);
        });
    };
    ForkPlan plan = DG_TRY(plan_fork(origin, DG_TRY(definitions_.by_hash(head.hash)), history, step,
                                     with != nullptr ? *with : json::value()));
    StartRequest start;
    start.tenant = DG_TRY(tenant_of(request));
    start.workflow = head.workflow;
    start.version = head.version;
    start.input = input != nullptr ? *input : std::move(plan.input);
    start.labels = labels != nullptr ? *labels : std::move(plan.labels);
    start.fork = std::make_shared<const ForkPlan>(std::move(plan));
    const RunId made = DG_TRY(runtime_.start(std::move(start)));
    json::object answer = DG_TRY(runtime_.show(made));
    answer["object"] = "run";
    return json_answer(201, answer);
}

Result<RunExport> RunChangeApi::whole(RunId run) {
    RunExport out;
    out.events = DG_TRY(log_.history(run, 0, kAll));
    const RunHead head = DG_TRY(log_.load_head(run));
    out.definition = DG_TRY(definitions_.by_hash(head.hash))->document;
    out.run = DG_TRY(runtime_.show(run));
    return out;
}

/// All events of a run from a place on, a page at a time, until `each` says false.
Result<void> RunChangeApi::each_page(RunId run, std::uint64_t from,
                                     const std::function<bool(const std::vector<Event>&)>& each) {
    for (;;) {
        const auto page = DG_TRY(log_.history(run, from, kPage));
        if (!each(page) || page.size() < kPage) return {};
        from += page.size();
    }
}

/// As text from the start: of a long history there is a page in memory besides.
Result<base::http::Response> RunChangeApi::export_run(const Request& request) {
    const RunId run = DG_TRY(own_run_(request));
    const RunHead head = DG_TRY(log_.load_head(run));
    RunExport frame;
    frame.definition = DG_TRY(definitions_.by_hash(head.hash))->document;
    std::string events;
    DG_TRY(each_page(run, 0, [&](const std::vector<Event>& page) {
        for (const Event& event : page) {
            if (!events.empty()) events += ',';
            events += json::serialize(to_json(event));
        }
        return true;
    }));
    frame.run = DG_TRY(runtime_.show(run));
    std::string text = json::serialize(to_json(frame));
    constexpr std::string_view kNone = "\"events\":[]}";
    DG_CHECK(text.ends_with(kNone));  // to_json(RunExport) has them last
    text.resize(text.size() - 2);
    text += events + "]}";
    return base::http::text_response(200, "application/json", std::move(text));
}

Result<base::http::Response> RunChangeApi::replay_run(const Request& request) {
    const RunExport one = DG_TRY(whole(DG_TRY(own_run_(request))));
    std::shared_ptr<const Definition> other;
    if (!request.body.empty()) {
        const bool is_json =
            request.headers.get("Content-Type").find("json") != std::string_view::npos;
        const std::string file =
            request.query_param("file").value_or(is_json ? "workflow.json" : "workflow.yaml");
        other = DG_TRY(read_definition(request.body, file));
    }
    return json_answer(200, DG_TRY(replay_answer(one, std::move(other))));
}

}  // namespace flow
