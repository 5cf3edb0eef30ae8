#include "flow/http/flow_routes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/http/local_answer.h"
#include "base/journal/journal.h"
#include "flow/blobs/file_blob_store.h"
#include "flow/blobs/spilling_run_log.h"
#include "flow/http/alarm_routes.h"
#include "flow/http/history_routes.h"
#include "flow/http/openapi.h"
#include "flow/http/schedule_routes.h"
#include "flow/http/worker_routes.h"
#include "flow/log/journal_run_log.h"

namespace {

namespace json = base::json;

/// Answers every call with its request, at once; those of `worker` steps wait for workers.
class Echo final : public flow::StepRunner {
public:
    explicit Echo(flow::WorkerTasks& workers) : workers_(workers) {}
    void run(flow::Call call, Done done) override {
        if (std::holds_alternative<flow::WorkerAction>(call.step->action)) {
            return workers_.run(std::move(call), std::move(done));
        }
        done(flow::StepOutput{std::move(call.request), 0, 0});
    }
    void cancel(flow::RunId run, std::string_view path) override { workers_.cancel(run, path); }

private:
    flow::WorkerTasks& workers_;
};

class FlowRoutes : public testing::Test {
protected:
    FlowRoutes() : dir_(*base::TemporaryDir::create("/tmp", "dougong-flow-http-")) { boot(); }
    ~FlowRoutes() override { halt(); }

    void boot() {
        journal_ = *base::journal::Journal::open(
            disk_, dir_.path() + "/journal",
            {.segment_bytes = 1u << 20, .record_bytes_max = 256u << 10});
        events_ = *flow::JournalRunLog::open(*journal_, dir_.path() + "/runs.db");
        blobs_ = *flow::FileBlobStore::open(disk_, dir_.path() + "/blobs");
        log_ = std::make_unique<flow::SpillingRunLog>(*events_, *blobs_);
        definitions_ = *flow::DefinitionStore::open(dir_.path() + "/workflows.db", clock_);
        workers_ = std::make_unique<flow::WorkerTasks>(clock_);
        echo_ = std::make_unique<Echo>(*workers_);
        queues_ = std::make_unique<flow::QueuedRunner>(*echo_, clock_, flow::QueuedRunner::Local{});
        runtime_ = *flow::Runtime::open(*log_, *definitions_, *queues_, clock_, {});
        runtime_->post([this] { queues_->open(); });
        scheduler_ = *flow::Scheduler::open(dir_.path() + "/schedules.db", *definitions_, *runtime_,
                                            *log_, clock_);
        schedule_api_ = std::make_unique<flow::ScheduleApi>(*scheduler_, *queues_, clock_);
        alarms_ = *flow::Alarms::open(dir_.path() + "/alarms.db",
                                      {.runtime = *runtime_, .log = *log_, .clock = clock_}, false);
        alarm_api_ = std::make_unique<flow::AlarmApi>(*alarms_);
        api_ = std::make_unique<flow::FlowApi>(*runtime_, *log_, *definitions_, clock_);
        router_ = std::make_unique<base::http::Router>();
        api_->register_routes(*router_);
        schedule_api_->register_routes(*router_);
        alarm_api_->register_routes(*router_);
        flow::register_worker_routes(*router_, *workers_, clock_);
    }
    void halt() {
        api_.reset();
        schedule_api_.reset();
        alarm_api_.reset();
        alarms_.reset();
        scheduler_.reset();
        runtime_.reset();
        queues_.reset();
        echo_.reset();
        workers_.reset();
        definitions_.reset();
        log_.reset();
        blobs_.reset();
        events_.reset();
        journal_.reset();
    }

    std::shared_ptr<base::http::LocalAnswer> ask(std::string method, const std::string& path,
                                                 std::string body = "",
                                                 std::string_view tenant = "") {
        base::http::Request request;
        request.method = std::move(method);
        request.path = path.substr(0, path.find('?'));
        if (path.find('?') != std::string::npos) request.query = path.substr(path.find('?') + 1);
        if (!tenant.empty()) request.headers.add("X-Dougong-Tenant", std::string(tenant));
        request.body = std::move(body);
        const auto match = router_->match(request.method, request.path);
        EXPECT_NE(match.handler, nullptr) << path;
        request.params = match.params;
        auto answer = std::make_shared<base::http::LocalAnswer>();
        (*match.handler)(request, answer);
        return answer;
    }
    json::object call(int status, std::string method, const std::string& path,
                      std::string body = "", std::string_view tenant = "") {
        const base::http::Response answer =
            ask(std::move(method), path, std::move(body), tenant)->take();
        EXPECT_EQ(answer.status, status) << path << "\n" << answer.body;
        const auto parsed = base::parse_json(answer.body);
        return parsed && parsed->is_object() ? parsed->get_object() : json::object();
    }

    base::SystemClock clock_;
    base::LinuxDisk disk_;
    base::TemporaryDir dir_;
    std::unique_ptr<base::journal::Journal> journal_;
    std::unique_ptr<flow::JournalRunLog> events_;
    std::unique_ptr<flow::FileBlobStore> blobs_;
    std::unique_ptr<flow::SpillingRunLog> log_;
    std::unique_ptr<flow::DefinitionStore> definitions_;
    std::unique_ptr<flow::WorkerTasks> workers_;
    std::unique_ptr<Echo> echo_;
    std::unique_ptr<flow::QueuedRunner> queues_;
    std::unique_ptr<flow::Runtime> runtime_;
    std::unique_ptr<flow::Scheduler> scheduler_;
    std::unique_ptr<flow::ScheduleApi> schedule_api_;
    std::unique_ptr<flow::Alarms> alarms_;
    std::unique_ptr<flow::AlarmApi> alarm_api_;
    std::unique_ptr<flow::FlowApi> api_;
    std::unique_ptr<base::http::Router> router_;
};

constexpr std::string_view kHello = R"(
name: hello
input: {type: object, properties: {who: {type: string, default: world}}}
steps:
  - {id: greet, call: {function: echo, arguments: {text: "Hello {{ input.who }}"}}}
)";
constexpr std::string_view kGate = R"(
name: gate
steps:
  - {id: ok, human: {ask: approve, prompt: "Go on?"}}
  - {id: paid, wait: {signal: paid}}
)";

TEST_F(FlowRoutes, AWorkflowIsDeployedRunAndSeen) {
    const json::object deployed = call(201, "POST", "/v1/workflows", std::string(kHello));
    EXPECT_EQ(deployed.at("version").to_number<int>(), 1);
    EXPECT_TRUE(call(200, "POST", "/v1/workflows", std::string(kHello)).at("unchanged").as_bool());
    const json::object ended = call(200, "POST", "/v1/workflows/hello/runs",
                                    R"({"input": {"who": "Ann"}, "wait_ms": 60000})");
    EXPECT_EQ(ended.at("output").at("text").as_string(), "Hello Ann");
    const std::string run(ended.at("id").as_string());
    EXPECT_EQ(call(200, "GET", "/v1/runs/" + run).at("status").as_string(), "completed");
    EXPECT_EQ(
        call(200, "GET", "/v1/runs?workflow=hello&status=completed").at("data").as_array().size(),
        1u);
    const json::object events = call(200, "GET", "/v1/runs/" + run + "/events?after=1&limit=1");
    EXPECT_EQ(events.at("data").at(0).at("event").as_string(), "step_started");
    call(404, "GET", "/v1/runs/" + run, "", "another");
    EXPECT_EQ(call(200, "GET", "/v1/runs", "", "another").at("data").as_array().size(), 0u);
    EXPECT_EQ(call(200, "GET", "/v1/workflows/hello/graph").at("nodes").as_array().size(), 1u);
    call(200, "DELETE", "/v1/workflows/hello");
    call(404, "POST", "/v1/workflows/hello/runs", "{}");
    EXPECT_EQ(call(200, "GET", "/v1/runs/" + run).at("status").as_string(), "completed");
}

TEST_F(FlowRoutes, AHistoryIsPagedFromBothEnds) {
    call(201, "POST", "/v1/workflows", R"(
name: long
steps:
  - id: loop
    while: {condition: "{{ (vars.n or 0) < 300 }}", max: 1000, collect: false, steps: [{id: one, set: {n: "{{ index + 1 }}"}}]}
)");
    const json::object ended =
        call(200, "POST", "/v1/workflows/long/runs", R"({"wait_ms": 60000})");
    ASSERT_EQ(ended.at("status").as_string(), "completed");
    const std::string events = "/v1/runs/" + std::string(ended.at("id").as_string()) + "/events";
    const auto places = [&](const json::object& page) {
        std::vector<std::uint64_t> out;
        for (const json::value& each : page.at("data").as_array()) {
            out.push_back(each.at("place").to_number<std::uint64_t>());
        }
        return out;
    };
    const json::object newest = call(200, "GET", events + "?newest=1&limit=3");
    const auto total = newest.at("total").to_number<std::uint64_t>();
    EXPECT_GT(total, 1'200u);
    EXPECT_EQ(places(newest), (std::vector<std::uint64_t>{total - 2, total - 1, total}));
    EXPECT_EQ(newest.at("data").at(2).at("event").as_string(), "run_completed");
    EXPECT_TRUE(newest.at("has_more").as_bool());
    // Backwards to the first: every event once, and the same as forwards.
    std::vector<std::string> backwards, forwards;
    std::uint64_t before = total + 1;
    for (bool more = true; more;) {
        const json::object page =
            call(200, "GET", fmt::format("{}?before={}&limit=500", events, before));
        const json::array& data = page.at("data").as_array();
        before = data.front().at("place").to_number<std::uint64_t>();
        for (std::size_t i = data.size(); i-- > 0;) backwards.push_back(base::to_text(data[i]));
        more = page.at("has_more").as_bool();
    }
    for (bool more = true; more;) {
        const json::object page =
            call(200, "GET", fmt::format("{}?after={}&limit=500", events, forwards.size()));
        for (const json::value& each : page.at("data").as_array()) {
            forwards.push_back(base::to_text(each));
        }
        more = page.at("has_more").as_bool();
    }
    std::ranges::reverse(backwards);
    EXPECT_EQ(forwards.size(), total);
    EXPECT_EQ(backwards, forwards);
    EXPECT_TRUE(places(call(200, "GET", events + "?before=1")).empty());
    EXPECT_EQ(places(call(200, "GET", events + "?before=999999&limit=1")).at(0), total);
    EXPECT_TRUE(places(call(200, "GET", events + "?after=999999")).empty());
    call(400, "GET", events + "?before=5&after=3");
    call(400, "GET", events + "?before=0");
    call(400, "GET", events + "?values=some");
    call(404, "GET", events + "?newest=1", "", "another");
}

TEST_F(FlowRoutes, WhatARunUsedIsToldWithoutItsHistory) {
    call(201, "POST", "/v1/workflows", std::string(kHello));
    const json::object ended =
        call(200, "POST", "/v1/workflows/hello/runs", R"({"wait_ms": 60000})");
    const std::string run(ended.at("id").as_string());
    const json::object shown = call(200, "GET", "/v1/runs/" + run);
    EXPECT_EQ(shown.at("totals").at("kinds").at("call").at("attempts").to_number<int>(), 1);
    const json::object fork =
        call(201, "POST", "/v1/runs/" + run + "/fork", R"({"step": "greet"})");
    const json::value listed = call(200, "GET", "/v1/runs").at("data");
    ASSERT_EQ(listed.as_array().size(), 2u);
    EXPECT_EQ(listed.at(0).at("id"), fork.at("id"));
    EXPECT_EQ(listed.at(0).at("forked_from").as_string(), run);
    EXPECT_EQ(listed.at(1).at("totals").at("attempts").to_number<int>(), 1);
    EXPECT_EQ(listed.at(1).at("events").to_number<int>(), 4);
}

TEST_F(FlowRoutes, ALargeValueIsLinkedAndGot) {
    call(201, "POST", "/v1/workflows", std::string(kHello));
    const std::string who(100'000, 'w');
    const json::object ended =
        call(200, "POST", "/v1/workflows/hello/runs",
             base::to_text(json::object{{"input", {{"who", who}}}, {"wait_ms", 60'000}}));
    const std::string run = "/v1/runs/" + std::string(ended.at("id").as_string());
    const json::value whole = call(200, "GET", run + "/events").at("data");
    EXPECT_EQ(whole.at(0).at("value").at("input").at("who").as_string().size(), who.size());
    const json::value linked = call(200, "GET", run + "/events?values=link").at("data");
    ASSERT_EQ(linked.as_array().size(), whole.as_array().size());
    EXPECT_TRUE(linked.at(0).at("value").at("input").as_object().contains("url"));
    const json::value& output = linked.at(2).at("value");
    ASSERT_EQ(linked.at(2).at("event").as_string(), "step_finished");
    const std::string url(output.at("url").as_string());
    const base::http::Response blob = ask("GET", url)->take();
    EXPECT_EQ(blob.status, 200);
    EXPECT_EQ(base::to_text(*base::parse_json(blob.body)), base::to_text(whole.at(2).at("value")));
    EXPECT_EQ(blob.body.size(), output.at("bytes").to_number<std::size_t>());
    call(404, "GET", url, "", "another");
    call(404, "GET", run + "/blobs/" + std::string(64, '0'));
    call(404, "GET", run + "/blobs/x");
}

TEST(ByteRange, IsWithinTheValueOrNone) {
    using Range = std::pair<std::uint64_t, std::uint64_t>;
    EXPECT_EQ(*flow::byte_range("bytes=0-99", 1'000), (Range{0, 99}));
    EXPECT_EQ(*flow::byte_range("bytes=990-", 1'000), (Range{990, 999}));
    EXPECT_EQ(*flow::byte_range("bytes=-10", 1'000), (Range{990, 999}));
    EXPECT_EQ(*flow::byte_range("bytes=-5000", 1'000), (Range{0, 999}));
    EXPECT_EQ(*flow::byte_range("bytes=5-5000", 1'000), (Range{5, 999}));
    EXPECT_FALSE(flow::byte_range("bytes=1000-", 1'000).has_value());
    EXPECT_FALSE(flow::byte_range("bytes=-0", 1'000).has_value());
    for (const char* none : {"", "bytes=", "bytes=-", "bytes=9-3", "bytes=0-1,4-5", "lines=1-2",
                             "bytes=a-", "bytes=1-b", "bytes=99999999999999999999-"}) {
        EXPECT_EQ(*flow::byte_range(none, 1'000), std::nullopt) << none;
    }
}

TEST_F(FlowRoutes, WhatIsWrongIsSaidWithItsPlace) {
    const json::object dry =
        call(200, "POST", "/v1/workflows?dry_run=1", "name: w\nsteps: [{id: a, cal: {}}]");
    EXPECT_FALSE(dry.at("valid").as_bool());
    EXPECT_EQ(dry.at("faults").at(0).at("line").to_number<int>(), 2);
    call(400, "POST", "/v1/workflows", "name: w\nsteps: [{id: a, cal: {}}]");
    const json::object unknown =
        call(400, "POST", "/v1/workflows", "name: w\nsteps: [{id: a, tool: hammer}]");
    EXPECT_EQ(unknown.at("error").at("param").as_string(), "steps.a");
    call(201, "POST", "/v1/workflows", std::string(kHello));
    const json::object wrong =
        call(400, "POST", "/v1/workflows/hello/runs", R"({"input": {"who": 5}})");
    EXPECT_EQ(wrong.at("error").at("param").as_string(), "input/who");
    call(400, "POST", "/v1/workflows/hello/runs", R"({"inputs": {}})");
    call(404, "GET", "/v1/runs/run_7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    call(400, "GET", "/v1/runs?status=lost");
}

TEST_F(FlowRoutes, PeopleAndSignalsMoveARunAlsoAfterARestart) {
    call(201, "POST", "/v1/workflows", std::string(kGate));
    const std::string run(call(201, "POST", "/v1/workflows/gate/runs", "{}").at("id").as_string());
    EXPECT_EQ(call(200, "GET", "/v1/runs?waiting=human").at("data").at(0).at("id").as_string(),
              run);
    halt();
    boot();
    call(400, "POST", "/v1/runs/" + run + "/answer", R"({"step": "ok", "decision": "perhaps"})");
    call(404, "POST", "/v1/runs/" + run + "/answer", R"({"step": "paid", "decision": "approved"})");
    call(200, "POST", "/v1/runs/" + run + "/answer",
         R"({"step": "ok", "decision": "approved", "by": "ann"})");
    const auto stream = ask("GET", "/v1/runs/" + run + "/watch");
    call(202, "POST", "/v1/runs/" + run + "/signals/paid", R"({"amount": 3})");
    std::string seen;
    while (const auto more = stream->next()) seen += *more;
    EXPECT_NE(seen.find("id: 1\nevent: run_started"), std::string::npos);
    EXPECT_NE(seen.find("event: run_completed\ndata: "), std::string::npos);
    call(400, "POST", "/v1/runs/" + run + "/cancel", "{}");
    EXPECT_EQ(call(200, "GET", "/v1/runs/" + run).at("output").at("amount").to_number<int>(), 3);
}

TEST_F(FlowRoutes, AWaitEndsWhenPatienceDoes) {
    call(201, "POST", "/v1/workflows", std::string(kGate));
    const json::object answer =
        call(202, "POST", "/v1/workflows/gate/runs", R"({"wait_ms": 1, "idempotency_key": "k"})");
    EXPECT_EQ(answer.at("status").as_string(), "running");
    EXPECT_EQ(call(201, "POST", "/v1/workflows/gate/runs", R"({"idempotency_key": "k"})").at("id"),
              answer.at("id"));
}

TEST_F(FlowRoutes, RunsAreCountedAsTheyAreListed) {
    call(201, "POST", "/v1/workflows", std::string(kGate));
    call(201, "POST", "/v1/workflows", std::string(kHello));
    for (const char* team : {"a", "a", "b"}) {
        call(201, "POST", "/v1/workflows/gate/runs",
             fmt::format(R"({{"labels": {{"team": "{}"}}}})", team));
    }
    const json::object done =
        call(200, "POST", "/v1/workflows/hello/runs", R"({"wait_ms": 60000})");
    const json::object all = call(200, "GET", "/v1/runs/counts");
    EXPECT_EQ(all.at("total").to_number<int>(), 4);
    EXPECT_EQ(all.at("waiting").to_number<int>(), 3);
    EXPECT_EQ(all.at("status").at("completed").to_number<int>(), 1);
    EXPECT_EQ(call(200, "GET", "/v1/runs/counts?label=team=a").at("total").to_number<int>(), 2);
    EXPECT_EQ(call(200, "GET", "/v1/runs/counts", "", "another").at("total").to_number<int>(), 0);
    call(400, "GET", "/v1/runs/counts?status=lost");
    // A run's own id finds it, also as text.
    const std::string id(done.at("id").as_string());
    const json::object found = call(200, "GET", "/v1/runs?text=" + id);
    ASSERT_EQ(found.at("data").as_array().size(), 1u);
    EXPECT_EQ(found.at("data").at(0).at("id").as_string(), id);
    // Counting by listing, as a log without an index does, gives the same.
    flow::RunFilter team_a;
    team_a.tenant = "default";
    team_a.label_name = "team";
    team_a.label_value = "a";
    EXPECT_EQ(log_->flow::RunLog::count(team_a)->by_status, log_->count(team_a)->by_status);
}

TEST_F(FlowRoutes, ARunShowsItsGraphAndWhatStepsAreCalledWith) {
    call(201, "POST", "/v1/workflows", std::string(kHello));
    const std::string run(call(200, "POST", "/v1/workflows/hello/runs",
                               R"({"input": {"who": "Ann"}, "wait_ms": 60000})")
                              .at("id")
                              .as_string());
    call(201, "POST", "/v1/workflows", std::string(kHello) + "  - {id: more, set: {x: 1}}\n");
    call(200, "DELETE", "/v1/workflows/hello");
    const json::object graph = call(200, "GET", "/v1/runs/" + run + "/graph");
    EXPECT_EQ(graph.at("nodes").as_array().size(), 1u);  // its own version's
    EXPECT_EQ(graph.at("document").at("name").as_string(), "hello");
    const json::object step = call(200, "GET", "/v1/runs/" + run + "/step?path=greet");
    EXPECT_EQ(step.at("request").at("text").as_string(), "Hello Ann");
    call(404, "GET", "/v1/runs/" + run + "/step?path=nothing");
    call(404, "GET", "/v1/runs/" + run + "/graph", "", "another");
}

TEST_F(FlowRoutes, VersionsAreCompared) {
    call(201, "POST", "/v1/workflows", std::string(kHello));
    call(201, "POST", "/v1/workflows", "name: hello\nsteps: [{id: other, set: {x: 1}}]");
    const json::object moved = call(200, "GET", "/v1/workflows/hello/compatibility?from=1&to=2");
    EXPECT_EQ(moved.at("to").to_number<int>(), 2);
    EXPECT_FALSE(moved.at("findings").as_array().empty());
    EXPECT_TRUE(call(200, "GET", "/v1/workflows/hello/compatibility?from=2&to=2")
                    .at("findings")
                    .as_array()
                    .empty());
    call(404, "GET", "/v1/workflows/hello/compatibility?from=1&to=9");
}

TEST_F(FlowRoutes, HealthTellsOfTheJournal) {
    call(201, "POST", "/v1/workflows", std::string(kGate));
    call(201, "POST", "/v1/workflows/gate/runs", "{}");
    const json::object health = call(200, "GET", "/v1/flow/health");
    EXPECT_EQ(health.at("store").as_string(), "journal");
    EXPECT_GE(health.at("journal").at("records").to_number<int>(), 1);
    EXPECT_GT(health.at("journal").at("sync_p99_ms").to_number<double>(), 0);
    EXPECT_EQ(health.at("runs").at("open").to_number<int>(), 1);
    EXPECT_EQ(health.at("runs").at("waiting").to_number<int>(), 1);
}

constexpr std::string_view kResize = R"(
name: resize
steps:
  - id: small
    worker: {queue: images, function: resize, arguments: {url: "{{ input.url }}"}}
    output_schema: {type: object, properties: {width: {type: integer}}, required: [width]}
    retry: {attempts: 2, backoff: 1ms, on: [unavailable]}
output: {width: "{{ steps.small.output.width }}"}
)";

TEST_F(FlowRoutes, AWorkerOutsideDoesAStepAndSaysSoWhenItAsksForMore) {
    call(201, "POST", "/v1/workflows", std::string(kResize));
    const auto waits = ask("POST", "/v1/workers/tasks/take",
                           R"({"worker": "w1", "queues": {"images": ["resize"]}, "max": 4,
                               "wait_ms": 60000})");
    const std::string run(
        call(201, "POST", "/v1/workflows/resize/runs", R"({"input": {"url": "u"}})")
            .at("id")
            .as_string());
    const json::object given = base::parse_json(waits->take().body)->as_object();
    const json::object task = given.at("tasks").at(0).as_object();
    EXPECT_EQ(task.at("arguments").at("url").as_string(), "u");
    EXPECT_EQ(task.at("run").as_string(), run);
    EXPECT_EQ(task.at("step").as_string(), "small");
    EXPECT_EQ(task.at("attempt").to_number<int>(), 1);
    const std::string id(task.at("task").as_string());
    const json::object listed = call(200, "GET", "/v1/workers");
    EXPECT_EQ(listed.at("tasks").at(0).at("given").to_number<int>(), 1);
    EXPECT_EQ(listed.at("workers").at(0).at("worker").as_string(), "w1");
    EXPECT_EQ(call(200, "GET", "/v1/workers", "", "other").at("tasks").as_array().size(), 0u);
    // A failure that may heal, and with it the wish for the next attempt.
    const json::object again = call(
        200, "POST", "/v1/workers/tasks/take",
        fmt::format(R"({{"worker": "w1", "queues": {{"images": []}}, "max": 1, "wait_ms": 60000,
            "results": [{{"task": "{}", "error": {{"message": "busy"}}}}]}})",
                    id));
    const json::object second = again.at("tasks").at(0).as_object();
    EXPECT_EQ(second.at("attempt").to_number<int>(), 2);
    EXPECT_EQ(second.at("idempotency_key"), task.at("idempotency_key"));
    const json::object refused = call(
        200, "POST", "/v1/workers/tasks/report",
        fmt::format(R"({{"worker": "w1", "results": [{{"task": "{}", "output": {{"width": 3}}}},
            {{"task": "{}", "output": {{"width": 7}}}}]}})",
                    id, second.at("task").as_string().c_str()));
    ASSERT_EQ(refused.at("refused").as_array().size(), 1u);
    EXPECT_EQ(refused.at("refused").at(0).at("code").as_string(), "already_exists");
    const auto stream = ask("GET", "/v1/runs/" + run + "/watch");
    while (stream->next()) {
    }
    EXPECT_EQ(call(200, "GET", "/v1/runs/" + run).at("output").at("width").to_number<int>(), 7);
}

TEST_F(FlowRoutes, AnOutputThatIsNotAsTheStepSaysFailsTheStep) {
    call(201, "POST", "/v1/workflows", std::string(kResize));
    const std::string run(
        call(201, "POST", "/v1/workflows/resize/runs", R"({"input": {"url": "u"}})")
            .at("id")
            .as_string());
    const json::object given =
        call(200, "POST", "/v1/workers/tasks/take",
             R"({"worker": "w", "queues": {"images": []}, "max": 1, "wait_ms": 60000})");
    call(200, "POST", "/v1/workers/tasks/report",
         fmt::format(
             R"({{"worker": "w", "results": [{{"task": "{}", "output": {{"width": "x"}}}}]}})",
             given.at("tasks").at(0).at("task").as_string().c_str()));
    const auto stream = ask("GET", "/v1/runs/" + run + "/watch");
    while (stream->next()) {
    }
    const json::object shown = call(200, "GET", "/v1/runs/" + run);
    EXPECT_EQ(shown.at("status").as_string(), "failed");
    EXPECT_EQ(shown.at("error").at("code").as_string(), "invalid_argument");
}

TEST_F(FlowRoutes, ACancelledTaskIsToldToItsWorker) {
    call(201, "POST", "/v1/workflows", std::string(kResize));
    const std::string run(
        call(201, "POST", "/v1/workflows/resize/runs", R"({"input": {"url": "u"}})")
            .at("id")
            .as_string());
    const std::string take =
        R"({"worker": "w", "queues": {"images": []}, "max": 1, "wait_ms": 60000})";
    const json::object given = call(200, "POST", "/v1/workers/tasks/take", take);
    const std::string id(given.at("tasks").at(0).at("task").as_string());
    const auto waits = ask("POST", "/v1/workers/tasks/take", take);  // at once, where it waits
    call(200, "POST", "/v1/runs/" + run + "/cancel", "{}");
    const json::object told = base::parse_json(waits->take().body)->as_object();
    EXPECT_EQ(told.at("stop").at(0).at("task").as_string(), id);
    const std::string report = fmt::format(R"({{"worker": "w", "running": ["{}"]}})", id);
    const json::object beat = call(200, "POST", "/v1/workers/tasks/report", report);
    EXPECT_EQ(beat.at("stop").as_array().size(), 1u);
    EXPECT_EQ(beat.at("stop").at(0).at("code").as_string(), "cancelled");
}

TEST_F(FlowRoutes, ACancelledTaskIsToldWithTheNextRequestOfAWorkerThatDidNotWait) {
    call(201, "POST", "/v1/workflows", std::string(kResize));
    const std::string run(
        call(201, "POST", "/v1/workflows/resize/runs", R"({"input": {"url": "u"}})")
            .at("id")
            .as_string());
    const std::string take =
        R"({"worker": "w", "queues": {"images": []}, "max": 1, "wait_ms": 60000})";
    const json::object given = call(200, "POST", "/v1/workers/tasks/take", take);
    call(200, "POST", "/v1/runs/" + run + "/cancel", "{}");
    const json::object told = call(200, "POST", "/v1/workers/tasks/take", take);
    EXPECT_EQ(told.at("stop").at(0).at("task"), given.at("tasks").at(0).at("task"));
}

TEST_F(FlowRoutes, WhatAWorkerSaysWrongIsToldWithItsPlace) {
    const std::string take = "/v1/workers/tasks/take";
    call(400, "POST", take, "");
    call(400, "POST", take, R"({"max": 1})");
    call(400, "POST", take, R"({"worker": "w", "max": 1})");
    call(400, "POST", take, R"({"worker": "w", "queues": ["images"], "max": 1})");
    call(400, "POST", take, R"({"worker": "w", "results": [{"output": 1}]})");
    call(400, "POST", take, R"({"worker": "w", "lease_ms": 1})");
    const std::string report = "/v1/workers/tasks/report";
    const json::object wrong = call(
        400, "POST", report,
        R"({"worker": "w", "results": [{"task": "task_1_1_1", "error": {"code": "unavailble"}}]})");
    EXPECT_EQ(wrong.at("error").at("param").as_string(), "results[0].error.code");
    const json::object unknown =
        call(200, "POST", report,
             R"({"worker": "w", "results": [{"task": "task_1_1_1", "output": 1}]})");
    EXPECT_EQ(unknown.at("refused").at(0).at("code").as_string(), "not_found");
}

TEST_F(FlowRoutes, QueuesAndSchedulesAreListedAndSteered) {
    call(201, "POST", "/v1/workflows", R"(
name: nightly
queues: {few: {concurrency: 1, per_minute: 600}}
schedules: [{name: night, cron: "0 2 * * *", zone: Europe/Berlin, input: {url: s}}]
steps: [{id: s, worker: {queue: q, function: f}, queue: few}]
)");
    const json::object listed = call(200, "GET", "/v1/schedules").at("data").at(0).as_object();
    EXPECT_EQ(listed.at("workflow").as_string(), "nightly");
    EXPECT_EQ(listed.at("overlap").as_string(), "skip");
    EXPECT_GT(listed.at("next_unix_ms").to_number<std::int64_t>(), clock_.unix_ns() / 1'000'000);
    EXPECT_EQ(call(200, "GET", "/v1/schedules", "", "other").at("data").as_array().size(), 0u);
    call(404, "POST", "/v1/schedules/nightli/pause");
    call(200, "POST", "/v1/schedules/nightly/pause");
    EXPECT_TRUE(call(200, "GET", "/v1/schedules").at("data").at(0).at("paused").as_bool());
    call(200, "POST", "/v1/schedules/nightly/resume");
    for (int i = 0; i < 2; ++i) call(201, "POST", "/v1/schedules/nightly/trigger");
    const json::object given =
        call(200, "POST", "/v1/workers/tasks/take",
             R"({"worker": "w", "queues": {"q": []}, "max": 2, "wait_ms": 60000})");
    EXPECT_EQ(given.at("tasks").as_array().size(), 1u) << "the queue lets in one at a time";
    const json::object queue = call(200, "GET", "/v1/queues").at("data").at(0).as_object();
    EXPECT_EQ(queue.at("running").to_number<int>(), 1);
    EXPECT_EQ(call(200, "GET", "/v1/runs?waiting=queue").at("data").as_array().size(), 1u);
}

TEST_F(FlowRoutes, TheDocumentedRoutesAreTheRoutes) {
    std::set<std::pair<std::string, std::string>> routed, documented;
    for (const auto& [method, pattern] : router_->routes()) routed.emplace(method, pattern);
    for (const auto& [path, item] : flow::flow_paths()) {
        for (const auto& [method, operation] : item.as_object()) {
            std::string upper(method);
            std::ranges::transform(upper, upper.begin(),
                                   [](unsigned char c) { return std::toupper(c); });
            // Files of runs are the program's own routes.
            if (!path.starts_with("/v1/runs/{id}/files")) documented.emplace(upper, path);
        }
    }
    EXPECT_EQ(routed, documented);
}

TEST_F(FlowRoutes, AlarmsAreAddedShownSilencedAndRemoved) {
    const json::object made =
        call(201, "POST", "/v1/alarms", R"({"name": "hung", "when": {"stuck": "1h"}})");
    EXPECT_EQ(made.at("phase"), "quiet");
    EXPECT_EQ(made.at("from"), "api");
    call(409, "POST", "/v1/alarms", R"({"name": "hung", "when": {"stuck": "1h"}})");
    call(400, "POST", "/v1/alarms", R"({"name": "x", "when": {"stuck": "soon"}})");
    call(400, "POST", "/v1/alarms", R"({"name": "x", "when": {"stuck": "1h"}, "url": "http://x"})");
    call(400, "POST", "/v1/alarms", R"({"name": "x", "when": {"stuck": "1h"}, "tenant": "y"})");
    call(404, "POST", "/v1/alarms",
         R"({"name": "x", "when": {"stuck": "1h"}, "webhooks": ["nobody"]})");
    EXPECT_EQ(call(200, "GET", "/v1/alarms").at("data").as_array().size(), 1u);
    EXPECT_TRUE(call(200, "GET", "/v1/alarms", "", "other").at("data").as_array().empty());
    call(404, "GET", "/v1/alarms/hung", "", "other");
    call(200, "POST", "/v1/alarms/hung/silence", R"({"for": "2h", "by": "ann"})");
    EXPECT_EQ(call(200, "GET", "/v1/alarms/hung").at("silenced_by"), "ann");
    call(400, "POST", "/v1/alarms/hung/silence", R"({"for": "for ever"})");
    call(200, "POST", "/v1/alarms/hung/silence", R"({"for": "0s"})");
    EXPECT_FALSE(call(200, "GET", "/v1/alarms/hung").contains("silenced_by"));
    call(400, "POST", "/v1/alarms/hung/acknowledge", R"({"by": "ann"})");
    call(400, "POST", "/v1/alarms/hung/test");
    call(400, "GET", "/v1/alarm-deliveries?status=lost");
    call(404, "POST", "/v1/alarm-deliveries/msg_x/retry");
    EXPECT_TRUE(call(200, "GET", "/v1/alarm-schema").contains("$schema"));
    call(200, "DELETE", "/v1/alarms/hung");
    call(404, "DELETE", "/v1/alarms/hung");
    EXPECT_EQ(call(200, "GET", "/v1/alarm-history?name=hung").at("data").as_array().size(), 4u);
}

}  // namespace
