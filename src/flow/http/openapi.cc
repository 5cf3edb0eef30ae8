#include "flow/http/openapi.h"

#include <array>
#include <string_view>

#include "base/api/operations.h"

namespace flow {
namespace {

namespace json = base::json;
using base::api::Operation;

json::object parsed(std::string_view text) {
    return base::parse_json(text)->as_object();
}
json::object workflow_example() {
    return parsed(R"({"name": "hello", "steps": [{"id": "greet",
        "set": {"text": "Hello {{ input.who }}"}}]})");
}
json::object start_example() {
    return parsed(R"({"version": 0, "input": {"who": "Ann"}, "labels": {"team": "a"},
        "idempotency_key": "order-7", "wait_ms": 10000, "priority": 5})");
}
json::object answer_example() {
    return parsed(R"({"step": "gate", "decision": "approved", "answer": null, "by": "ann"})");
}
json::object why_example() {
    return parsed(R"({"why": "looks wrong", "by": "ann"})");
}
json::object retry_example() {
    return parsed(R"({"step": "fetch", "with": {"url": "https://example.org/b"}, "by": "ann"})");
}
json::object resume_example() {
    return parsed(R"({"checkpoint": "trained", "by": "ann"})");
}
json::object fork_example() {
    return parsed(R"({"step": "train", "input": {"rows": 100}, "with": {"rate": 0.1},
        "labels": {"team": "a"}})");
}
json::object take_example() {
    return parsed(R"({"worker": "pc-7-1", "queues": {"images": ["resize"], "mail": []}, "max": 8,
        "wait_ms": 20000, "lease_ms": 30000, "running": ["task_8d1c02aa_6_1"],
        "results": [{"task": "task_8d1c02aa_5_1", "output": {"width": 64}, "tokens": 0, "cost_usd": 0},
                    {"task": "task_8d1c02aa_4_1", "error": {"code": "unavailable", "message": "busy"}}]})");
}
json::object report_example() {
    return parsed(R"({"worker": "pc-7-1", "running": ["task_8d1c02aa_6_1"],
        "results": [{"task": "task_8d1c02aa_5_1", "output": {"width": 64}}]})");
}
json::object payload_example() {
    return parsed(R"({"amount": 12})");
}

json::object alarm_example() {
    return parsed(R"({"name": "failing", "workflow": "analytics",
        "when": {"failure_rate": 0.2, "over": "15m", "at_least": 5}, "for": "1m",
        "clear_after": "5m", "repeat": "4h", "webhooks": ["ops"], "note": "see the runbook"})");
}
json::object silence_example() {
    return parsed(R"({"for": "2h", "by": "ann"})");
}
json::object taken_example() {
    return parsed(R"({"workflow": "analytics", "by": "ann"})");
}

constexpr std::array<std::string_view, 2> kDeploy = {"file", "dry_run"};
constexpr std::array<std::string_view, 1> kName = {"name"}, kVersion = {"version"},
                                          kAfter = {"after"}, kStep = {"step"},
                                          kTotals = {"totals"}, kOf = {"of"};
constexpr std::array<std::string_view, 3> kAlarmLines = {"name", "before", "limit"};
constexpr std::array<std::string_view, 2> kDeliveries = {"status", "limit"};
constexpr std::array<std::string_view, 2> kTrace = {"limit", "format"};
constexpr std::array<std::string_view, 5> kPage = {"after", "before", "newest", "limit", "values"};
constexpr std::array<std::string_view, 10> kRuns = {
    "workflow", "status", "waiting",      "label",      "text",
    "parent",   "after",  "from_unix_ms", "to_unix_ms", "limit"};

constexpr std::array<std::string_view, 8> kCounts = {
    "workflow", "status", "waiting", "label", "text", "parent", "from_unix_ms", "to_unix_ms"};
constexpr std::array<std::string_view, 1> kPath = {"path"};
constexpr std::array<std::string_view, 2> kFromTo = {"from", "to"};

// One line per route of the plane.
const std::array kOperations = {
    Operation{.method = "post",
              .path = "/v1/workflows",
              .summary = "Deploy a workflow, JSON or YAML; with dry_run only say what is wrong.",
              .answer = "Its name and version.",
              .body = workflow_example,
              .query = kDeploy,
              .makes = true},
    Operation{.method = "get",
              .path = "/v1/workflows",
              .summary = "What is deployed.",
              .answer = "The newest version of each."},
    Operation{.method = "get",
              .path = "/v1/workflows/{name}",
              .summary = "One workflow.",
              .answer = "Its source, and its versions.",
              .query = kVersion},
    Operation{.method = "delete",
              .path = "/v1/workflows/{name}",
              .summary = "No new runs of it; open ones go on.",
              .answer = "That it is gone."},
    Operation{.method = "get",
              .path = "/v1/workflows/{name}/graph",
              .summary = "Its steps as a graph.",
              .answer = "Nodes and edges.",
              .query = kVersion},
    Operation{.method = "post",
              .path = "/v1/workflows/{name}/runs",
              .summary = "Start a run; with wait_ms wait for its end.",
              .answer = "Its id, once its start is durable, or how it ended.",
              .body = start_example,
              .makes = true},
    Operation{.method = "get",
              .path = "/v1/runs",
              .summary = "Runs, the newest first.",
              .answer = "Heads, and where the next page begins.",
              .query = kRuns},
    Operation{.method = "get",
              .path = "/v1/runs/{id}",
              .summary = "One run.",
              .answer =
                  "Its state: every step as it stands, and where time and money went; of long "
                  "runs that an older version began, that with totals=1.",
              .query = kTotals},
    Operation{.method = "get",
              .path = "/v1/runs/{id}/events",
              .summary = "What happened to a run: a page from any place, in either direction.",
              .answer = "Events in order, and how many there are; with values=link large values "
                        "by their address.",
              .query = kPage},
    Operation{.method = "get",
              .path = "/v1/runs/{id}/blobs/{hash}",
              .summary = "One large value of a run; Range gives a part of its text.",
              .answer = "The value as JSON."},
    Operation{.method = "get",
              .path = "/v1/runs/{id}/watch",
              .summary = "What happens to a run, live, after what has happened.",
              .answer =
                  "Server-sent events, or with Upgrade: websocket messages {id, event, data}; "
                  "Last-Event-ID, or after, goes on where a client was.",
              .query = kAfter,
              .streams = true},
    Operation{.method = "get",
              .path = "/v1/runs/{id}/trace",
              .summary = "A run as the spans of a trace; format=otlp as a collector takes it.",
              .answer = "Spans by when they began, and where time and money went.",
              .query = kTrace},
    Operation{.method = "get",
              .path = "/v1/runs/{id}/steps/{path}/stream",
              .summary = "What a model says while a step waits for it, token by token.",
              .answer = "Server-sent events; Last-Event-ID goes on at the token a client was at.",
              .query = kAfter,
              .streams = true},
    Operation{
        .method = "get",
        .path = "/v1/runs/{id}/tokens",
        .summary = "What models say while the steps of a run wait for them, and nothing else.",
        .answer = "Server-sent events until the run is over.",
        .streams = true},
    Operation{.method = "post",
              .path = "/v1/runs/{id}/signals/{name}",
              .summary = "Send a run a signal; the body is its payload, any JSON.",
              .answer = "That it is durable.",
              .body = payload_example},
    Operation{.method = "post",
              .path = "/v1/runs/{id}/answer",
              .summary = "Answer a step that waits for a person.",
              .answer = "What was decided.",
              .body = answer_example},
    Operation{.method = "post",
              .path = "/v1/runs/{id}/pause",
              .summary = "Let a run begin nothing new.",
              .answer = "Its status.",
              .body = why_example},
    Operation{.method = "post",
              .path = "/v1/runs/{id}/resume",
              .summary = "Go on with a paused run; with checkpoint, from there.",
              .answer = "Its status.",
              .body = resume_example},
    Operation{.method = "post",
              .path = "/v1/runs/{id}/cancel",
              .summary = "End a run.",
              .answer = "Its status.",
              .body = why_example},
    Operation{.method = "post",
              .path = "/v1/runs/{id}/retry",
              .summary = "Run a step again, and what came after it; absent, the one that failed.",
              .answer = "The run's status.",
              .body = retry_example},
    Operation{.method = "post",
              .path = "/v1/runs/{id}/fork",
              .summary = "Begin a new run at a step of this one, which stays as it is.",
              .answer = "The new run: what was finished before the step is taken over.",
              .body = fork_example,
              .makes = true},
    Operation{.method = "get",
              .path = "/v1/runs/{id}/export",
              .summary = "A run, its workflow and its whole history as one document.",
              .answer = "What `dougong flow replay FILE` reads."},
    Operation{.method = "post",
              .path = "/v1/runs/{id}/replay",
              .summary = "Decide a run again without calls; a workflow as body: by that one.",
              .answer = "The first event that would be decided otherwise, if any.",
              .body = workflow_example},
    Operation{.method = "post",
              .path = "/v1/events/{name}",
              .summary = "Tell every run that waits for an event; the body is its payload.",
              .answer = "That it is durable.",
              .body = payload_example},
    Operation{.method = "post",
              .path = "/v1/workers/tasks/take",
              .summary = "A worker's results and heartbeats in, calls of `worker` steps out.",
              .answer = "Tasks under a lease, at the latest after wait_ms; whose lease is lost.",
              .body = take_example},
    Operation{.method = "post",
              .path = "/v1/workers/tasks/report",
              .summary = "A worker's results and heartbeats alone.",
              .answer = "What of them counts for nothing, and why.",
              .body = report_example},
    Operation{.method = "get",
              .path = "/v1/workers",
              .summary = "Workers that were here within ten minutes, and what waits for workers.",
              .answer = "Workers, and tasks by queue and function."},
    Operation{.method = "get",
              .path = "/v1/queues",
              .summary = "Queues that somebody is in.",
              .answer = "How many run and wait in each, and its bounds."},
    Operation{.method = "get",
              .path = "/v1/schedules",
              .summary = "When runs start by themselves.",
              .answer = "Each schedule, its next moment and its last run."},
    Operation{.method = "post",
              .path = "/v1/schedules/{workflow}/pause",
              .summary = "Let moments pass without a run.",
              .answer = "That it is paused.",
              .query = kName},
    Operation{.method = "post",
              .path = "/v1/schedules/{workflow}/resume",
              .summary = "Start runs again from the next moment on.",
              .answer = "That it is not paused.",
              .query = kName},
    Operation{.method = "post",
              .path = "/v1/schedules/{workflow}/trigger",
              .summary = "Start a run now, with the schedule's input.",
              .answer = "The run.",
              .query = kName,
              .makes = true},
    Operation{.method = "get",
              .path = "/v1/runs/counts",
              .summary = "How many runs there are.",
              .answer = "Counts by status, and how many of them wait.",
              .query = kCounts},
    Operation{.method = "get",
              .path = "/v1/runs/{id}/graph",
              .summary = "The steps a run goes through, as a graph.",
              .answer = "Nodes, edges and the definition as read."},
    Operation{.method = "get",
              .path = "/v1/runs/{id}/step",
              .summary = "What a step is called with, as the run stands now.",
              .answer = "The rendered request.",
              .query = kPath},
    Operation{.method = "get",
              .path = "/v1/workflows/{name}/compatibility",
              .summary = "What moving runs from one version to another means.",
              .answer = "Findings; those that block a run, and notes.",
              .query = kFromTo},
    Operation{.method = "get",
              .path = "/v1/alarms",
              .summary = "Alarms: rules, what fires, and who is told.",
              .answer = "Each rule and its alarm of each workflow; how many fire."},
    Operation{.method = "post",
              .path = "/v1/alarms",
              .summary = "Add a rule; webhooks are named as the configuration names them.",
              .answer = "The rule.",
              .body = alarm_example,
              .makes = true},
    Operation{.method = "get",
              .path = "/v1/alarms/{name}",
              .summary = "One rule and how it stands.",
              .answer = "What was measured, since when it is so, and the runs it is about."},
    Operation{.method = "delete",
              .path = "/v1/alarms/{name}",
              .summary = "Remove a rule that was added here.",
              .answer = "That it is gone."},
    Operation{.method = "post",
              .path = "/v1/alarms/{name}/silence",
              .summary = "Tell nobody for some time; 0s ends that.",
              .answer = "Until when.",
              .body = silence_example},
    Operation{.method = "post",
              .path = "/v1/alarms/{name}/acknowledge",
              .summary = "Take what fires: nobody is reminded of it.",
              .answer = "How many alarms that were.",
              .body = taken_example},
    Operation{.method = "post",
              .path = "/v1/alarms/{name}/test",
              .summary = "Send a test to each of its webhooks, now.",
              .answer = "What each receiver said."},
    Operation{.method = "get",
              .path = "/v1/alarm-history",
              .summary = "What happened to alarms, the newest first.",
              .answer = "Lines, and where the next page begins.",
              .query = kAlarmLines},
    Operation{.method = "get",
              .path = "/v1/alarm-deliveries",
              .summary = "Messages to webhooks: due, delivered or dead, and why.",
              .answer = "The newest first.",
              .query = kDeliveries},
    Operation{.method = "post",
              .path = "/v1/alarm-deliveries/{id}/retry",
              .summary = "Send a dead message again.",
              .answer = "That it is due."},
    Operation{.method = "get",
              .path = "/v1/alarm-schema",
              .summary = "JSON Schema of the messages, or with of=file of the file of rules.",
              .answer = "The schema.",
              .query = kOf},
    Operation{.method = "get",
              .path = "/v1/flow/health",
              .summary = "How the plane and its store are.",
              .answer = "The journal's figures, runs, timers, calls."},
    Operation{.method = "get",
              .path = "/v1/flow",
              .summary = "How much there is and what waits.",
              .answer = "Counts."},
};

}  // namespace

json::object flow_paths() {
    constexpr std::array<std::string_view, 7> kNumbers = {
        "version", "limit", "from_unix_ms", "to_unix_ms", "from", "to", "before"};
    return base::api::paths_of(kOperations, kNumbers);
}

}  // namespace flow
