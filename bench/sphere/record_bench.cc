// What it costs to record an event, to decide about a call, to ask the stop board, to read a file.
// bench_sphere_record; DG_BENCH_DIR says where logs and workspaces go (default: /tmp).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>

#include "base/core/clock.h"
#include "base/files/files.h"
#include "sphere/audit/audit_log.h"
#include "sphere/files/workspace.h"
#include "sphere/policy/policy_set.h"
#include "sphere/policy/stop_board.h"

namespace {

base::TemporaryDir scratch() {
    const char* parent = std::getenv("DG_BENCH_DIR");
    return std::move(*base::TemporaryDir::create(parent == nullptr ? "/tmp" : parent, "bench"));
}

sphere::audit::AuditEvent exec_event() {
    sphere::audit::AuditEvent event;
    event.event = "exec.end";
    event.tenant = "acme";
    event.agent = "writer";
    event.sandbox = "sbx-abcdefghijklmnopqrst";
    event.actor = "key:team";
    event.what = "python3 -c 'import sys; print(sys.version)'";
    event.decision = "allow";
    event.policy = "research";
    event.rule = "run-code";
    event.ending = sphere::audit::Ending{.reason = "exited", .output_bytes = 57, .wall_us = 12'345};
    return event;
}

std::shared_ptr<const sphere::audit::Redactor> redactor(int secrets) {
    std::vector<sphere::audit::Secret> list;
    for (int i = 0; i < secrets; ++i) {
        list.push_back({fmt::format("S{}", i), fmt::format("value-{}-{}", i, i * 7919)});
    }
    return std::make_shared<const sphere::audit::Redactor>(
        std::move(*sphere::audit::Redactor::create(list)));
}

void audit_append(benchmark::State& state) {
    const base::TemporaryDir dir = scratch();
    const base::SystemClock clock;
    const auto log = std::move(*sphere::audit::AuditLog::open({.dir = dir.path()}, clock));
    log->set_redactor(redactor(static_cast<int>(state.range(0))));
    const auto event = exec_event();
    for (auto _ : state) benchmark::DoNotOptimize(log->append(event));
    static_cast<void>(log->sync());
}
BENCHMARK(audit_append)->Arg(0)->Arg(20)->Iterations(50'000);

void audit_record(benchmark::State& state) {
    static std::unique_ptr<base::TemporaryDir> dir;
    static std::unique_ptr<sphere::audit::AuditLog> log;
    static const base::SystemClock clock;
    if (state.thread_index() == 0) {
        log.reset();
        dir = std::make_unique<base::TemporaryDir>(scratch());
        log = std::move(*sphere::audit::AuditLog::open({.dir = dir->path()}, clock));
    }
    const auto event = exec_event();
    for (auto _ : state) benchmark::DoNotOptimize(log->record(event));
    state.SetItemsProcessed(state.iterations());
    if (state.thread_index() == 0) log.reset();
}
BENCHMARK(audit_record)->Threads(1)->Threads(8)->UseRealTime()->Iterations(500);

void policy_decide(benchmark::State& state) {
    std::string text = "version: 1\nname: p\ntools:\n";
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        text += fmt::format(
            "- {{id: r{0}, effect: allow, tools: [tool.n{0}], arguments: {{path: {{path_prefix: "
            "[/workspace]}}, url: {{domain: ['*.example.org']}}}}}}\n",
            i);
    }
    const auto set = std::move(*sphere::policy::PolicySet::create(
        std::move(*sphere::policy::parse_policies(text, "p.yaml"))));
    const sphere::policy::ToolRequest request{
        "acme",
        "writer",
        "tool.n0",
        base::json::object{{"path", "/workspace/a/b"}, {"url", "https://a.example.org/x"}},
        {}};
    for (auto _ : state) benchmark::DoNotOptimize(set.decide(request));
}
BENCHMARK(policy_decide)->Arg(1)->Arg(1000);

void stop_check(benchmark::State& state) {
    const base::TemporaryDir dir = scratch();
    const base::SystemClock clock;
    const auto board =
        std::move(*sphere::policy::StopBoard::open(dir.path() + "/stops.json", clock));
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        static_cast<void>(board->stop({fmt::format("tenant-{}", i), "agent", ""}, "", ""));
    }
    for (auto _ : state) {
        benchmark::DoNotOptimize(board->covers("acme", "writer", "sbx-abcdefghijklmnopqrst"));
    }
}
BENCHMARK(stop_check)->Arg(0)->Arg(1)->Arg(100)->Arg(1000);

void file_read(benchmark::State& state) {
    const base::TemporaryDir dir = scratch();
    const auto workspace = std::move(*sphere::files::Workspace::open(dir.path()));
    static_cast<void>(workspace.write("a/b/file", std::string(4096, 'x')));
    for (auto _ : state) benchmark::DoNotOptimize(workspace.read("a/b/file"));
}
BENCHMARK(file_read);

void file_write(benchmark::State& state) {
    const base::TemporaryDir dir = scratch();
    const auto workspace = std::move(*sphere::files::Workspace::open(dir.path()));
    const std::string content(4096, 'x');
    for (auto _ : state) benchmark::DoNotOptimize(workspace.write("a/b/file", content));
}
BENCHMARK(file_write);

}  // namespace
