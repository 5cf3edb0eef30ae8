#include "flow/tools/workflow_tools.h"

#include <array>
#include <future>

#include "base/json/object_reader.h"

namespace flow::tools {

using base::Code;
using base::fail_on;
using base::ObjectReader;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::size_t kNameBytesMax = 256;
constexpr std::uint32_t kWaitMaxS = 600;

json::object schema(std::string_view text) {
    json::object out = base::parse_json(text)->as_object();
    out["type"] = "object";
    out["additionalProperties"] = false;
    return out;
}

constexpr std::array<ToolInfo, 6> kTools = {
    ToolInfo{"workflow_list",
             "The workflows that can be run here: names, what they are for, and the JSON schema of "
             "their input.",
             [] { return schema(R"({"properties": {}})"); }, true},
    ToolInfo{"workflow_run",
             "Start a workflow and wait for its end up to wait_seconds. It is durable: it goes on "
             "when the wait is over, and workflow_status tells how it ends. The same "
             "idempotency_key starts one run.",
             [] {
                 return schema(R"({"required": ["workflow"], "properties": {
                     "workflow": {"type": "string", "minLength": 1}, "input": {},
                     "wait_seconds": {"type": "integer", "minimum": 0, "maximum": 600},
                     "idempotency_key": {"type": "string"}}})");
             }},
    ToolInfo{"workflow_status",
             "How a run stands: its steps, what it waits for, its output when it is over.",
             [] {
                 return schema(R"({"required": ["run"], "properties": {
                     "run": {"type": "string"},
                     "wait_seconds": {"type": "integer", "minimum": 0, "maximum": 600},
                     "steps": {"type": "boolean", "description": "every step, too"}}})");
             },
             true},
    ToolInfo{"workflow_answer",
             "Answer a step of a run that asks a person. Only with the decision of the person you "
             "work for, never your own.",
             [] {
                 return schema(R"({"required": ["run", "step", "answer"], "properties": {
                     "run": {"type": "string"}, "step": {"type": "string"},
                     "answer": {"type": "object", "description":
                         "decision (approved or denied), or what the step's form asks for"}}})");
             },
             false, true},
    ToolInfo{"workflow_signal", "Give a run a signal that it waits for.",
             [] {
                 return schema(R"({"required": ["run", "name"], "properties": {
                     "run": {"type": "string"}, "name": {"type": "string", "minLength": 1},
                     "payload": {}}})");
             }},
    ToolInfo{"workflow_cancel", "End a run; its compensations run.",
             [] {
                 return schema(R"({"required": ["run"], "properties": {
                     "run": {"type": "string"}, "why": {"type": "string"}}})");
             },
             false, true}};

void needed(ObjectReader& in, std::string_view name, std::string& out) {
    in.text(name, out, kNameBytesMax);
    if (out.empty()) in.fault(name, "is missing or empty");
}

json::object brief(const RunHead& head) {
    json::object out{{"run", to_text(head.id)},
                     {"workflow", head.workflow},
                     {"status", status_name(head.status)}};
    if (!head.waiting.empty()) {
        json::array waiting;
        for (const std::string& what : head.waiting) waiting.push_back(json::string(what));
        out["waits_for"] = std::move(waiting);
    }
    if (!head.error.empty()) out["error"] = head.error;
    return out;
}

}  // namespace

std::span<const ToolInfo> WorkflowTools::all() {
    return kTools;
}

json::object WorkflowTools::listing() {
    json::array tools;
    for (const ToolInfo& tool : kTools) {
        tools.push_back(
            json::object{{"name", tool.name},
                         {"description", tool.description},
                         {"inputSchema", tool.arguments()},
                         {"annotations", json::object{{"readOnlyHint", tool.reads_only},
                                                      {"destructiveHint", tool.destroys},
                                                      {"openWorldHint", true}}}});
    }
    return {{"tools", std::move(tools)}};
}

Result<json::object> WorkflowTools::call(const std::string& tenant, std::string_view name,
                                         const json::object& arguments,
                                         const std::function<bool()>& cancelled) {
    using Run = Result<json::object> (WorkflowTools::*)(const Call&);
    static constexpr std::array<std::pair<std::string_view, Run>, kTools.size()> kRuns = {
        {{"workflow_list", &WorkflowTools::list},
         {"workflow_run", &WorkflowTools::run},
         {"workflow_status", &WorkflowTools::status},
         {"workflow_answer", &WorkflowTools::answer},
         {"workflow_signal", &WorkflowTools::signal},
         {"workflow_cancel", &WorkflowTools::cancel}}};
    for (const auto& [known, run] : kRuns) {
        if (known == name) return (this->*run)({tenant, arguments, cancelled});
    }
    return fail_on("name", Code::not_found, "there is no tool {}", name.substr(0, 64));
}

Result<json::object> WorkflowTools::list(const Call& call) {
    ObjectReader in(call.arguments);
    DG_TRY(in.done());
    json::array out;
    for (const Deployed& each : DG_TRY(definitions_.list(call.tenant))) {
        json::object one{{"name", each.name}, {"version", each.version}};
        if (!each.description.empty()) one["description"] = each.description;
        const auto definition = DG_TRY(definitions_.by_hash(each.hash));
        const json::object* document = definition->document.if_object();
        const json::value* input = document != nullptr ? document->if_contains("input") : nullptr;
        if (input != nullptr) one["input_schema"] = *input;
        out.push_back(std::move(one));
    }
    return json::object{{"workflows", std::move(out)}};
}

Result<json::object> WorkflowTools::run(const Call& call) {
    StartRequest start;
    start.tenant = call.tenant;
    std::uint32_t wait_s = 60;
    ObjectReader in(call.arguments);
    needed(in, "workflow", start.workflow);
    in.integer<std::uint32_t>("wait_seconds", wait_s, 0, kWaitMaxS);
    in.text("idempotency_key", start.idempotency_key, kNameBytesMax);
    if (const json::value* input = in.value("input")) start.input = *input;
    DG_TRY(in.done());
    const RunId run = DG_TRY(runtime_.start(std::move(start)));
    return outcome(call, run, std::chrono::seconds(wait_s));
}

Result<json::object> WorkflowTools::status(const Call& call) {
    std::string text;
    std::uint32_t wait_s = 0;
    bool steps = false;
    ObjectReader in(call.arguments);
    needed(in, "run", text);
    in.integer<std::uint32_t>("wait_seconds", wait_s, 0, kWaitMaxS);
    in.flag("steps", steps);
    DG_TRY(in.done());
    const RunId run = DG_TRY(own_run(call, text));
    json::object out = DG_TRY(outcome(call, run, std::chrono::seconds(wait_s)));
    if (steps) out["steps"] = DG_TRY(runtime_.show(run))["steps"];
    return out;
}

Result<json::object> WorkflowTools::answer(const Call& call) {
    std::string text, step;
    ObjectReader in(call.arguments);
    needed(in, "run", text);
    needed(in, "step", step);
    const json::value* answer = in.value("answer");
    if (answer == nullptr || !answer->is_object()) in.fault("answer", "must be an object");
    DG_TRY(in.done());
    const RunId run = DG_TRY(own_run(call, text));
    DG_TRY(runtime_.answer(run, step, *answer));
    return outcome(call, run, {});
}

Result<json::object> WorkflowTools::signal(const Call& call) {
    std::string text, name;
    ObjectReader in(call.arguments);
    needed(in, "run", text);
    needed(in, "name", name);
    const json::value* payload = in.value("payload");
    DG_TRY(in.done());
    const RunId run = DG_TRY(own_run(call, text));
    DG_TRY(runtime_.signal(run, name, payload != nullptr ? *payload : json::value()));
    return outcome(call, run, {});
}

Result<json::object> WorkflowTools::cancel(const Call& call) {
    std::string text, why;
    ObjectReader in(call.arguments);
    needed(in, "run", text);
    in.text("why", why, 4096);
    DG_TRY(in.done());
    const RunId run = DG_TRY(own_run(call, text));
    DG_TRY(runtime_.cancel(run, why));
    return outcome(call, run, {});
}

Result<RunId> WorkflowTools::own_run(const Call& call, const std::string& text) {
    const auto unknown = [&] {
        return fail_on("run", Code::not_found, "there is no run '{}'", text.substr(0, 64));
    };
    const auto run = run_id_from(text);
    if (!run) return unknown();
    const auto head = log_.load_head(*run);
    if (!head && head.error().code == Code::not_found) return unknown();
    if (!head) return std::unexpected(head.error());
    if (head->tenant != call.tenant) return unknown();
    return *run;
}

Result<json::object> WorkflowTools::outcome(const Call& call, RunId run,
                                            std::chrono::milliseconds patience) {
    auto promise = std::make_shared<std::promise<Result<RunEnd>>>();
    std::future<Result<RunEnd>> ended = promise->get_future();
    runtime_.when_ended(run, [promise](const Result<RunHead>& head, const json::value& output) {
        if (head) {
            promise->set_value(RunEnd{*head, output});
        } else {
            promise->set_value(std::unexpected(head.error()));
        }
    });
    // One slice at least: what is over is told so even to who does not wait.
    for (auto waited = std::chrono::milliseconds(0);; waited += kSlice) {
        if (ended.wait_for(kSlice) == std::future_status::ready) {
            const RunEnd end = DG_TRY(ended.get());
            json::object out = brief(end.head);
            if (end.head.status == RunStatus::completed) out["output"] = end.output;
            return out;
        }
        if (waited >= patience || (call.cancelled && call.cancelled())) break;
    }
    return brief(DG_TRY(log_.load_head(run)));
}

}  // namespace flow::tools
