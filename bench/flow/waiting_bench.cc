// Very many runs that wait: what they need, how soon a process that was killed has them again, how
// late timers are. One JSON line a phase; bench/flow/waiting.py runs the phases and kills between.
//
//   fill DIR RUNS            starts RUNS runs that wait for a signal, says so, and stands still
//   ready DIR                opens what is there, as after a crash; signals some runs
//   timers DIR RUNS SECONDS WINDOW  starts RUNS runs, each due at its own moment within SECONDS
//   from
//                            when all wait; looks at those of the first WINDOW seconds
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/journal/journal.h"
#include "flow/definition/read_definition.h"
#include "flow/flow.h"
#include "flow/log/journal_run_log.h"

namespace {

using namespace flow;
namespace json = base::json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::string_view kWorkflow = R"(
name: waiting
input: {type: object}
steps:
  - {id: first, set: {n: "{{ input.n }}"}}
  - {id: gate, wait: {signal: go}, timeout: 0}
  - {id: last, set: {n: "{{ vars.n }}"}}
output: {n: "{{ vars.n }}"}
)";
constexpr std::string_view kTimer = R"(
name: timer
steps:
  - {id: gate, wait: {until: "{{ input.at }}"}}
)";

double seconds_since(SteadyClock::time_point then) {
    return std::chrono::duration<double>(SteadyClock::now() - then).count();
}

/// VmRSS, VmHWM of this process in MB.
double status_mb(std::string_view field) {
    std::FILE* file = std::fopen("/proc/self/status", "r");
    char line[256];
    double kb = 0;
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::string_view(line).starts_with(field)) kb = std::atof(line + field.size() + 1);
    }
    std::fclose(file);
    return kb / 1024;
}

template <class T>
T must(base::Result<T> result) {
    if (result) {
        if constexpr (!std::is_void_v<T>) return *std::move(result);
        return T();
    }
    fmt::print(stderr, "bench_flow_waiting: {}\n", result.error().message);
    std::exit(1);
}

class Known final : public DefinitionSource {
public:
    Known() {
        for (const std::string_view text : {kWorkflow, kTimer}) {
            all_.push_back(must(read_definition(text, "bench.yaml")));
        }
    }
    base::Result<std::shared_ptr<const Definition>> find(std::string_view, std::string_view name,
                                                         std::uint32_t) override {
        for (const auto& one : all_) {
            if (one->name == name) return one;
        }
        return base::fail(base::Code::not_found, "no {}", name);
    }
    base::Result<std::shared_ptr<const Definition>> by_hash(std::string_view hash) override {
        for (const auto& one : all_) {
            if (one->hash == hash) return one;
        }
        return base::fail(base::Code::not_found, "no {}", hash);
    }

private:
    std::vector<std::shared_ptr<const Definition>> all_;
};

class NoCalls final : public StepRunner {
public:
    void run(Call, Done) override {}
    void cancel(RunId, std::string_view) override {}
};

/// Everything that a server has of workflows.
struct Whole {
    explicit Whole(const std::string& dir) {
        must(base::make_dirs(dir));
        journal = must(base::journal::Journal::open(disk, dir + "/journal", {}));
        log = must(JournalRunLog::open(*journal, dir + "/runs.db"));
        runtime = must(Runtime::open(*log, known, calls, clock, {}));
    }
    base::SystemClock clock;
    base::LinuxDisk disk;
    Known known;
    NoCalls calls;
    std::unique_ptr<base::journal::Journal> journal;
    std::unique_ptr<JournalRunLog> log;
    std::unique_ptr<Runtime> runtime;
};

/// Starts `count` runs, some hundred at a time on their way.
template <class Input>
double start_all(Runtime& runtime, std::string_view workflow, std::uint64_t count,
                 const Input& input) {
    constexpr std::uint64_t kWindow = 2'000;
    std::atomic<std::uint64_t> done = 0;
    const auto begun = SteadyClock::now();
    for (std::uint64_t i = 0; i < count; ++i) {
        while (i - done.load() > kWindow)
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        runtime.start({.tenant = "t", .workflow = std::string(workflow), .input = input(i)},
                      [&](const base::Result<RunId>& run) {
                          if (!run) must<RunId>(std::unexpected(run.error()));
                          ++done;
                      });
    }
    while (done.load() < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return seconds_since(begun);
}

void fill(const std::string& dir, std::uint64_t count) {
    Whole whole(dir);
    const double seconds = start_all(*whole.runtime, "waiting", count, [](std::uint64_t i) {
        return json::value(json::object{{"n", i}, {"customer", fmt::format("customer-{}", i)}});
    });
    fmt::print("{{\"phase\":\"fill\",\"runs\":{},\"starts_per_s\":{:.0f},\"rss_mb\":{:.0f}}}\n",
               count, static_cast<double>(count) / seconds, status_mb("VmRSS:"));
    std::fflush(stdout);
    for (;;) ::pause();
}

void ready(const std::string& dir) {
    const auto begun = SteadyClock::now();
    Whole whole(dir);
    const std::uint64_t open = whole.runtime->stats().runs_open;
    const double seconds = seconds_since(begun);
    const double rss = status_mb("VmRSS:");
    // Those at the ends and some between.
    RunFilter filter;
    filter.tenant = "t";
    filter.status = "open";
    filter.limit = 1'000;
    const auto newest = must(whole.log->list(filter));
    std::vector<double> ms;
    for (std::size_t i = 0; i < newest.size(); i += 10) {
        const auto asked = SteadyClock::now();
        must(whole.runtime->signal(newest[i].id, "go", {}));
        must(whole.runtime->wait(newest[i].id, std::chrono::seconds(10)));
        ms.push_back(seconds_since(asked) * 1e3);
    }
    std::ranges::sort(ms);
    fmt::print(
        "{{\"phase\":\"ready\",\"runs\":{},\"ready_s\":{:.2f},\"rss_mb\":{:.0f},"
        "\"peak_mb\":{:.0f},\"signal_to_end_p50_ms\":{:.2f},\"signal_to_end_max_ms\":{:.2f}}}\n",
        open, seconds, rss, status_mb("VmHWM:"), ms[ms.size() / 2], ms.back());
}

void timers(const std::string& dir, std::uint64_t count, double spread_s, double window_s) {
    Whole whole(dir);
    std::vector<std::int64_t> late;
    std::atomic<std::uint64_t> fired = 0;
    std::unordered_map<RunId, std::int64_t> due;
    due.reserve(count);
    late.reserve(count);
    whole.runtime->post([&] {
        whole.runtime->engine().watch(
            [&](RunId run, const std::vector<Event>& events, std::uint64_t) {
                for (const Event& event : events) {
                    if (event.kind == EventKind::step_waiting) due[run] = event.until_ms;
                    if (event.kind == EventKind::step_finished) {
                        // Heard when it is durable: the commit is part of being late.
                        late.push_back(whole.clock.unix_ns() / 1'000'000 - due[run]);
                        ++fired;
                    }
                }
            });
    });
    // Far enough away that all are started before the first is due.
    const std::int64_t first_ms =
        whole.clock.unix_ns() / 1'000'000 +
        static_cast<std::int64_t>(static_cast<double>(count) / 4'000) * 1'000 + 5'000;
    const double start_s = start_all(*whole.runtime, "timer", count, [&](std::uint64_t i) {
        const double at = static_cast<double>(i * 7'919 % count) / static_cast<double>(count);
        return json::value(
            json::object{{"at", (static_cast<double>(first_ms) + at * spread_s * 1e3) / 1e3}});
    });
    const std::int64_t spare_ms = first_ms - whole.clock.unix_ns() / 1'000'000;
    const double rss = status_mb("VmRSS:");
    fmt::print(stderr, "the first is due in {} ms\n", spare_ms);
    const auto in_window =
        static_cast<std::uint64_t>(static_cast<double>(count) * std::min(1.0, window_s / spread_s));
    while (fired.load() < in_window) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    whole.runtime->halt();
    std::ranges::sort(late);
    const auto at = [&](double share) {
        return late[std::min(late.size() - 1,
                             static_cast<std::size_t>(share * static_cast<double>(late.size())))];
    };
    fmt::print(
        "{{\"phase\":\"timers\",\"runs\":{},\"spread_s\":{:.0f},\"fired\":{},\"starts_per_s\":{:."
        "0f},"
        "\"all_waited_before_ms\":{},\"rss_mb\":{:.0f},\"early\":{},\"late_p50_ms\":{},"
        "\"late_p99_ms\":{},\"late_p999_ms\":{},\"late_max_ms\":{}}}\n",
        count, spread_s, late.size(), static_cast<double>(count) / start_s, spare_ms, rss,
        std::ranges::count_if(late, [](std::int64_t ms) { return ms < 0; }), at(0.5), at(0.99),
        at(0.999), late.back());
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> args(argv + 1, argv + argc);
    if (args.size() == 3 && args[0] == "fill") {
        fill(args[1], std::stoull(args[2]));
    } else if (args.size() == 2 && args[0] == "ready") {
        ready(args[1]);
    } else if (args.size() == 5 && args[0] == "timers") {
        timers(args[1], std::stoull(args[2]), std::stod(args[3]), std::stod(args[4]));
    } else {
        fmt::print(
            stderr,
            "bench_flow_waiting fill DIR RUNS | ready DIR | timers DIR RUNS SECONDS WINDOW\n");
        return 64;
    }
    return 0;
}
