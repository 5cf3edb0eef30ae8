// One run that goes on and on: what its n-th event costs, what it needs in memory and on the disk,
// how soon a process that was killed goes on with it. bench/flow/long_run.py kills between.
//
//   run DIR SHAPE EVENTS   starts a run, says how it goes ten times, then that EVENTS are durable,
//                          and goes on until it is killed
//   resume DIR             opens what is there, and says when the run's next event was durable
//
// Shapes: `while`, calls one after another, the last output kept; `each`, calls for a list of
// EVENTS items, 64 at once, all outputs kept; `set`, a while loop of steps that call nothing.
#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/journal/journal.h"
#include "flow/blobs/file_blob_store.h"
#include "flow/blobs/spilling_run_log.h"
#include "flow/definition/read_definition.h"
#include "flow/flow.h"
#include "flow/log/journal_run_log.h"

namespace {

using namespace flow;
namespace json = base::json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::string_view kShapes[] = {
    R"(
name: while
steps:
  - id: loop
    while:
      condition: "{{ true }}"
      max: 1000000000
      collect: false
      steps: [{id: one, call: {function: f, arguments: {n: "{{ index }}"}}}]
)",
    R"(
name: each
input: {type: object}
steps:
  - id: loop
    for_each:
      in: "{{ range(input.n) }}"
      max: 1000000000
      concurrency: 64
      steps: [{id: one, call: {function: f, arguments: {n: "{{ item }}"}}}]
)",
    R"(
name: set
steps:
  - id: loop
    while:
      condition: "{{ true }}"
      max: 1000000000
      collect: false
      steps: [{id: one, set: {n: "{{ index }}"}}]
)"};

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
    fmt::print(stderr, "bench_flow_long_run: {}\n", result.error().message);
    std::exit(1);
}

class Known final : public DefinitionSource {
public:
    Known() {
        for (const std::string_view text : kShapes) {
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

/// Calls end at once, on a thread of their own.
class Calls final : public StepRunner {
public:
    Calls() : thread_([this](const std::stop_token& stop) { work(stop); }) {}
    void run(Call call, Done done) override {
        const std::lock_guard lock(mutex_);
        queue_.emplace_back(std::move(call.request), std::move(done));
        wake_.notify_one();
    }
    void cancel(RunId, std::string_view) override {}

private:
    void work(const std::stop_token& stop) {
        for (;;) {
            std::pair<json::value, Done> one;
            {
                std::unique_lock lock(mutex_);
                if (!wake_.wait(lock, stop, [&] { return !queue_.empty(); })) return;
                one = std::move(queue_.front());
                queue_.pop_front();
            }
            one.second(StepOutput{std::move(one.first), 1, 0});
        }
    }
    std::mutex mutex_;  // guards queue_
    std::condition_variable_any wake_;
    std::deque<std::pair<json::value, Done>> queue_;
    std::jthread thread_;
};

/// Everything that a server has of workflows.
struct Whole {
    explicit Whole(const std::string& dir) {
        must(base::make_dirs(dir));
        journal = must(base::journal::Journal::open(disk, dir + "/journal", {}));
        events = must(JournalRunLog::open(*journal, dir + "/runs.db"));
        blobs = must(FileBlobStore::open(disk, dir + "/blobs"));
        log = std::make_unique<SpillingRunLog>(*events, *blobs);
        must(log->collect());
    }
    void start() { runtime = must(Runtime::open(*log, known, calls, clock, {})); }

    base::SystemClock clock;
    base::LinuxDisk disk;
    Known known;
    Calls calls;
    std::unique_ptr<base::journal::Journal> journal;
    std::unique_ptr<JournalRunLog> events;
    std::unique_ptr<FileBlobStore> blobs;
    std::unique_ptr<SpillingRunLog> log;
    std::unique_ptr<Runtime> runtime;
};

void run(const std::string& dir, const std::string& shape, std::uint64_t goal) {
    Whole whole(dir);
    whole.start();
    std::atomic<std::uint64_t> durable = 0;
    whole.runtime->post([&] {
        whole.runtime->engine().watch(
            [&](RunId, const std::vector<Event>& events, std::uint64_t first) {
                durable = first + events.size();
            });
    });
    const auto begun = SteadyClock::now();
    const RunId id =
        must(whole.runtime->start({.workflow = shape, .input = json::object{{"n", goal}}}));
    std::string rates;
    std::uint64_t before = 0;
    double said = 0;
    for (std::uint64_t tenth = 1; tenth <= 10;) {
        const std::uint64_t now = durable;
        if (now < goal * tenth / 10) {
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
            continue;
        }
        const double seconds = seconds_since(begun);
        rates += fmt::format("{}{:.0f}", rates.empty() ? "" : ",",
                             static_cast<double>(now - before) / (seconds - said));
        before = now;
        said = seconds;
        while (tenth <= 10 && now >= goal * tenth / 10) ++tenth;
    }
    fmt::print(
        "{{\"run\":\"{}\",\"events\":{},\"seconds\":{:.2f},\"events_per_s\":{:.0f},"
        "\"by_tenth\":[{}],\"rss_mb\":{:.0f},\"peak_mb\":{:.0f}}}\n",
        to_text(id), durable.load(), said, static_cast<double>(before) / said, rates,
        status_mb("VmRSS:"), status_mb("VmHWM:"));
    std::fflush(stdout);
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
}

void resume(const std::string& dir) {
    const auto begun = SteadyClock::now();
    Whole whole(dir);
    const double opened = seconds_since(begun);
    whole.start();
    std::mutex mutex;
    std::condition_variable wake;
    std::uint64_t first_new = 0;
    RunId id;
    double resumed = 0;
    whole.runtime->post([&] {
        whole.runtime->engine().watch(
            [&](RunId run, const std::vector<Event>& events, std::uint64_t first) {
                const std::lock_guard lock(mutex);
                if (resumed != 0) return;
                resumed = seconds_since(begun);
                id = run;
                first_new = first + events.size();
                wake.notify_one();
            });
    });
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return resumed != 0; });
    const double peak = status_mb("VmHWM:");
    lock.unlock();
    const auto asked = SteadyClock::now();
    const std::size_t shown = json::serialize(must(whole.runtime->show(id))).size();
    const double show = seconds_since(asked);
    fmt::print(
        "{{\"opened_s\":{:.3f},\"resumed_s\":{:.3f},\"events\":{},\"peak_mb\":{:.0f},"
        "\"shown_bytes\":{},\"show_s\":{:.3f}}}\n",
        opened, resumed, first_new, peak, shown, show);
    std::fflush(stdout);
    std::_Exit(0);  // it would go on
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> args(argv + 1, argv + argc);
    if (args.size() == 4 && args[0] == "run") {
        run(args[1], args[2], std::stoull(args[3]));
    } else if (args.size() == 2 && args[0] == "resume") {
        resume(args[1]);
    } else {
        fmt::print(stderr, "bench_flow_long_run run DIR while|each|set EVENTS | resume DIR\n");
        return 64;
    }
    return 0;
}
