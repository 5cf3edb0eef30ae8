// How fast boxes are made, used and ended, and what system calls cost in them, beside what else
// starts programs on this machine (peers.h), in turn within one run.
//
//   bench_sphere [RUNS] [PART...] > result.json   a table goes to stderr; RUNS is 200 unless given,
//                                                 PARTs (see Parts) are all
//   bench_sphere snapshots                  only what keeping and restoring workspaces takes
#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "peers.h"
#include "sphere/native/native_sphere.h"
#include "sphere/session/session.h"
#include "sphere/sphere.h"

namespace {

namespace json = base::json;
const base::SystemClock machine_clock;

/// Milliseconds of one thing, measured again and again.
struct Series {
    std::vector<double> ms;
    double at(double share) const {
        const auto index = static_cast<std::size_t>(share * static_cast<double>(ms.size() - 1));
        return ms[index];
    }
};
std::map<std::string, Series> all;
std::vector<std::string> order;

void record(const std::string& name, base::Instant begin) {
    if (!all.contains(name)) order.push_back(name);
    all[name].ms.push_back(base::to_millis(machine_clock.now() - begin));
}

[[noreturn]] void give_up(const std::string& what) {
    fmt::print(stderr, "bench_sphere: {}\n", what);
    std::exit(1);
}

template <class T>
T need(base::Result<T> result) {
    if (!result) give_up(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class Quiet final : public sphere::ExecSink {
public:
    void on_output(sphere::Stream, std::string_view bytes) override {
        text += bytes;
        heard += bytes.size();
    }
    void on_end(const sphere::ExecResult&) override {}
    std::string text;
    std::atomic<std::size_t> heard = 0;
};

void measure_peers(bench::Peers& beside, const char* command) {
    for (const std::string& peer : beside.names()) {
        const base::Instant begin = machine_clock.now();
        if (!beside.run(peer, command)) give_up(peer + " failed");
        record(fmt::format("{}, {}", command, peer), begin);
    }
}

std::string exec(sphere::Sphere& sphere, const std::string& box, std::vector<std::string> argv) {
    Quiet sink;
    const auto result = need(sphere.exec(box, {.argv = std::move(argv)}, sink));
    if (result.exit_code != 0) give_up("the command failed in the box");
    return sink.text;
}

/// Microseconds of one call, as the work program told them from within.
std::map<std::string, std::vector<double>> calls;

void record_work(const std::string& where, const std::string& told) {
    std::istringstream lines(told);
    std::string what;
    double us = 0;
    while (lines >> what >> us) calls[what + ", " + where].push_back(us);
}

/// A box with the work program in its workspace.
class WorkBox {
public:
    WorkBox(sphere::Sphere& sphere, sphere::Isolation isolation) : sphere_(sphere) {
        sphere::SandboxSpec spec;
        spec.isolation = isolation;
        box_ = need(sphere_.create(spec));
        const base::UniqueFd workspace(need(sphere_.open_workspace(box_)));
        const std::string program = need(base::read_file(DG_WORK_FILE));
        const base::UniqueFd file(
            ::openat(workspace.get(), "work", O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
        if (::write(file.get(), program.data(), program.size()) !=
            static_cast<ssize_t>(program.size())) {
            give_up("the work program does not fit into the box");
        }
    }
    std::string work() { return exec(sphere_, box_, {"./work"}); }

private:
    sphere::Sphere& sphere_;
    std::string box_;
};

/// What system calls cost, in turn: outside, in a box of each level, in each peer's.
void measure_work(bench::Peers& beside, sphere::Sphere& full, sphere::Sphere& process, int turns) {
    WorkBox in_full(full, sphere::Isolation::full), in_process(process, sphere::Isolation::process);
    for (int i = 0; i < turns; ++i) {
        record_work("box", in_full.work());
        record_work("box, level process", in_process.work());
        for (const std::string& peer : beside.names()) {
            const auto told = beside.run(peer, bench::Peers::kWork);
            if (!told) give_up(peer + " failed at the work");
            record_work(peer, *told);
        }
    }
}

json::array print_calls() {
    json::array lines;
    for (auto& [what, us] : calls) {
        std::ranges::sort(us);
        fmt::print(stderr, "{:<56} n={:<5} min {:8.3f}  median {:8.3f} us\n", what, us.size(),
                   us.front(), us[us.size() / 2]);
        lines.push_back({{"what", what},
                         {"n", us.size()},
                         {"min_us", us.front()},
                         {"median_us", us[us.size() / 2]},
                         {"max_us", us.back()}});
    }
    return lines;
}

void measure_cold(sphere::Sphere& sphere, const std::vector<std::string>& command,
                  const std::string& what, sphere::Isolation isolation = sphere::Isolation::full) {
    const std::string at = isolation == sphere::Isolation::full ? "" : ", level process";
    sphere::SandboxSpec spec;
    spec.isolation = isolation;
    const base::Instant begin = machine_clock.now();
    const std::string box = need(sphere.create(spec));
    record("create, cold" + at, begin);
    exec(sphere, box, command);
    record(what + ", box (create and exec)" + at, begin);
    const base::Instant ending = machine_clock.now();
    need(sphere.destroy(box));
    record("destroy" + at, ending);
}

void measure_warm(sphere::Sphere& sphere, const std::string& box) {
    base::Instant begin = machine_clock.now();
    exec(sphere, box, {"/usr/bin/true"});
    record("exec true, warm box", begin);
    begin = machine_clock.now();
    need(sphere.pause(box));
    record("pause", begin);
    begin = machine_clock.now();
    need(sphere.resume(box));
    record("resume", begin);
}

void measure_hand_out(sphere::Sphere& pooled) {
    const base::Instant begin = machine_clock.now();
    const std::string box = need(pooled.create({}));
    record("hand-out from the pool", begin);
    exec(pooled, box, {"/usr/bin/true"});
    record("true, box from the pool", begin);
    need(pooled.destroy(box));
}

void measure_tree(sphere::Sphere& sphere) {
    sphere::SandboxSpec spec;
    spec.limits.processes_max = 256;
    const std::string box = need(sphere.create(spec));
    Quiet sink;
    need(sphere.start(
        box, {.argv = {"sh", "-c", "for i in $(seq 200); do sleep 1000 & done; echo up; wait"}},
        sink));
    while (sink.heard == 0) std::this_thread::yield();
    const base::Instant begin = machine_clock.now();
    need(sphere.destroy(box));
    record("destroy a box with 200 processes", begin);
}

void measure_stop(sphere::Sphere& sphere, int boxes) {
    std::vector<std::unique_ptr<Quiet>> sinks;
    for (int i = 0; i < boxes; ++i) {
        const std::string box = need(sphere.create({}));
        sinks.push_back(std::make_unique<Quiet>());
        need(sphere.start(box, {.argv = {"sleep", "1000"}}, *sinks.back()));
    }
    const base::Instant begin = machine_clock.now();
    if (sphere.emergency_stop({}) != static_cast<std::uint32_t>(boxes)) give_up("stop missed some");
    record(fmt::format("emergency stop of {} boxes", boxes), begin);
    static_cast<void>(sphere.lift_stop({}));
}

/// One cell after another in a live interpreter.
void measure_session(sphere::Sphere& sphere, sphere::Language language, const std::string& code,
                     int cells) {
    sphere::SessionManager sessions(sphere, machine_clock);
    const std::string name(sphere::language_name(language));
    const std::string box = need(sphere.create({}));
    const base::Instant opening = machine_clock.now();
    const auto session = need(sessions.open(box, language));
    record(name + " session opened", opening);
    for (int i = 0; i < cells; ++i) {
        const base::Instant begin = machine_clock.now();
        need(sessions.run(box, session.id, {.code = code}));
        record(name + ", next cell of a session", begin);
    }
    need(sphere.destroy(box));
}

/// Creates without a pool by 50 callers at once; their boxes stay until all are made.
void measure_parallel_creates(sphere::Sphere& sphere, int creates) {
    std::atomic<int> left = creates;
    std::vector<std::thread> threads;
    for (int i = 0; i < 50; ++i) {
        threads.emplace_back([&] {
            while (left.fetch_sub(1) > 0) {
                const base::Instant begin = machine_clock.now();
                need(sphere.create({}));
                static std::mutex mutex;
                const std::lock_guard lock(mutex);
                record("create, 50 at a time, no pool", begin);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}

std::uint64_t free_kib() {
    std::ifstream info("/proc/meminfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13));
    }
    return 0;
}

/// Before all else, so that nothing else frees memory meanwhile. What `boxes` idle ones cost the
/// host, all of it: groups, namespaces, mounts, two processes each. Then one stop of them all.
double idle_boxes_per_gib(sphere::Sphere& sphere, int boxes) {
    const std::uint64_t before = free_kib();
    for (int i = 0; i < boxes; ++i) need(sphere.create({}));
    const std::uint64_t used = before - std::min(before, free_kib());
    const base::Instant begin = machine_clock.now();
    if (sphere.emergency_stop({}) != static_cast<std::uint32_t>(boxes)) give_up("stop missed some");
    record(fmt::format("emergency stop of {} idle boxes", boxes), begin);
    static_cast<void>(sphere.lift_stop({}));
    return used == 0 ? 0 : boxes * 1024. * 1024. / static_cast<double>(used);
}

double cycles_per_second(sphere::Sphere& sphere, int in_flight, int cycles) {
    std::atomic<int> left = cycles;
    const base::Instant begin = machine_clock.now();
    std::vector<std::thread> threads;
    for (int i = 0; i < in_flight; ++i) {
        threads.emplace_back([&] {
            while (left.fetch_sub(1) > 0) {
                const base::Instant one = machine_clock.now();
                const std::string box = need(sphere.create({}));
                exec(sphere, box, {"/usr/bin/true"});
                need(sphere.destroy(box));
                static std::mutex mutex;
                const std::lock_guard lock(mutex);
                record(fmt::format("create, exec true, destroy: {} in flight", in_flight), one);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    return cycles / base::to_seconds(machine_clock.now() - begin);
}

/// Workspaces of one size: what it takes to keep one, to begin with it, and to have a second box.
void measure_snapshots(sphere::Sphere& sphere, std::uint64_t mebibytes, int runs) {
    sphere::SandboxSpec spec;
    spec.limits.workspace_bytes = 2048ull << 20;
    spec.limits.memory_bytes = 8192ull << 20;
    const std::string size = fmt::format("workspace of {} MiB", mebibytes);
    const std::string box = need(sphere.create(spec));
    // 64 files, so that it is no single range of pages.
    const std::string script = fmt::format(
        "for i in $(seq 64); do head -c {} /dev/urandom > f$i; done", (mebibytes << 20) / 64);
    exec(sphere, box, {"sh", "-c", script});
    for (int i = 0; i < runs; ++i) {
        exec(sphere, box, {"sh", "-c", "echo more >> f1"});
        base::Instant begin = machine_clock.now();
        const auto kept = need(sphere.snapshot(box, "bench"));
        record("snapshot, idle, " + size, begin);
        if (kept.consistency != "idle") give_up("the box was not idle");
        spec.snapshot = kept.id;
        begin = machine_clock.now();
        const std::string restored = need(sphere.create(spec));
        record("restore, " + size, begin);
        exec(sphere, restored, {"test", "-s", "f64"});
        record("restore and read a file, " + size, begin);
        need(sphere.destroy(restored));
        begin = machine_clock.now();
        const std::string forked = need(sphere.fork(box, {}));
        record("fork, " + size, begin);
        need(sphere.destroy(forked));
        need(sphere.remove_snapshot(kept.id));
    }
    Quiet sink;
    need(sphere.start(box, {.argv = {"sleep", "1000"}}, sink));
    for (int i = 0; i < std::min(runs, 5); ++i) {
        const base::Instant begin = machine_clock.now();
        const auto kept = need(sphere.snapshot(box, "bench"));
        record("snapshot, something runs, " + size, begin);
        if (kept.consistency != "frozen") give_up("the box was idle");
        need(sphere.remove_snapshot(kept.id));
    }
    need(sphere.destroy(box));
}

std::string processor() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    }
    return "unknown";
}

json::array print_series() {
    json::array lines;
    for (const std::string& name : order) {
        Series& series = all[name];
        std::ranges::sort(series.ms);
        fmt::print(stderr, "{:<56} n={:<5} min {:8.3f}  median {:8.3f}  p99 {:8.3f} ms\n", name,
                   series.ms.size(), series.ms.front(), series.at(0.5), series.at(0.99));
        lines.push_back({{"what", name},
                         {"n", series.ms.size()},
                         {"min_ms", series.ms.front()},
                         {"median_ms", series.at(0.5)},
                         {"p99_ms", series.at(0.99)},
                         {"p999_ms", series.at(0.999)}});
    }
    return lines;
}

/// The parts that were asked for by name; all, when none was.
struct Parts {
    static constexpr std::array<std::string_view, 11> kNames = {
        "idle", "peers", "work", "cold",    "process", "pool",
        "warm", "tree",  "rate", "session", "parallel"};
    std::vector<std::string_view> asked;
    bool want(std::string_view name) const {
        return asked.empty() || std::ranges::find(asked, name) != asked.end();
    }
};

/// What a run measures on: no pool, a pool of four, boxes of level process.
struct Spheres {
    sphere::Sphere &cold, &pooled;
    sphere::Sphere* process;
};

void measure_turn(const Parts& parts, int turn, const Spheres& on, const std::string& warm,
                  bench::Peers* beside) {
    const std::vector<std::string> nothing = {"/usr/bin/true"};
    const std::vector<std::string> python = {"/usr/bin/python3", "-c", "pass"};
    if (parts.want("peers")) measure_peers(*beside, bench::Peers::kTrue);
    if (parts.want("cold")) measure_cold(on.cold, nothing, "true");
    if (parts.want("process")) {
        measure_cold(*on.process, nothing, "true", sphere::Isolation::process);
    }
    if (parts.want("pool")) measure_hand_out(on.pooled);
    if (parts.want("warm")) measure_warm(on.cold, warm);
    if (parts.want("peers") && turn % 4 == 0) measure_peers(*beside, bench::Peers::kPython);
    if (parts.want("cold")) measure_cold(on.cold, python, "python3");
    if (parts.want("tree") && turn % 10 == 0) measure_tree(on.cold);
}

}  // namespace

int main(int argc, char** argv) {
    const bool only_snapshots = argc > 1 && std::string_view(argv[1]) == "snapshots";
    const int runs = !only_snapshots && argc > 1 ? std::max(3, std::atoi(argv[1])) : 200;
    const Parts parts{{argv + std::min(argc, 2), argv + argc}};
    for (const std::string_view name : parts.asked) {
        if (std::ranges::find(Parts::kNames, name) != Parts::kNames.end()) continue;
        give_up(fmt::format("no part {}; there are {}", name, fmt::join(Parts::kNames, ", ")));
    }
    const auto folder = need(base::TemporaryDir::create("/tmp", "dougong-bench-"));
    const auto open = [&](const char* name, std::uint32_t pool) {
        return need(sphere::Sphere::open(
            {.state_dir = folder.path() + "/" + name, .sandboxes_max = 2048, .pool_size = pool},
            machine_clock));
    };
    const auto cold = open("cold", 0);
    if (only_snapshots) {
        // Few of them: each stays below its box, and 16 are as many as a box stands on.
        for (const int round : {0, 1, 2}) {
            measure_snapshots(*cold, 100, 7);
            if (round < 2) measure_snapshots(*cold, 1024, 7);
        }
        print_series();
        return 0;
    }
    const auto pooled = open("pooled", parts.want("pool") ? 4 : 0);
    const bool with_peers = parts.want("peers") || parts.want("work");
    std::optional<bench::Peers> beside;
    if (with_peers) beside.emplace(folder.path(), DG_WORK_FILE);
    std::unique_ptr<sphere::Sphere> process;
    if (parts.want("process") || parts.want("work")) {
        const std::string state = folder.path() + "/process";
        process = need(sphere::native::NativeSphere::open(
            {.state_dir = state, .sandboxes_max = 64, .pool_size = 0}, machine_clock,
            sphere::Isolation::process));
    }
    double per_gib = 0;
    if (parts.want("idle")) {
        per_gib = idle_boxes_per_gib(*cold, 5 * runs);
        std::this_thread::sleep_for(
            std::chrono::seconds(5));  // the kernel takes their remains apart
    }
    const std::string warm = need(cold->create({}));
    for (int i = 0; i < runs; ++i) {
        measure_turn(parts, i, {*cold, *pooled, process.get()}, warm, beside ? &*beside : nullptr);
    }
    need(cold->destroy(warm));
    if (parts.want("work")) measure_work(*beside, *cold, *process, std::max(3, runs / 20));
    for (int i = 0; parts.want("tree") && i < 5; ++i) measure_stop(*cold, 64);
    json::object rates;
    for (const int in_flight : {1, 8, 64}) {
        if (!parts.want("rate")) break;
        rates[std::to_string(in_flight)] =
            cycles_per_second(*cold, in_flight, std::max(runs, 8 * in_flight));
    }
    for (int i = 0; parts.want("session") && i < 10; ++i) {
        measure_session(*cold, sphere::Language::python, "x = 1; x + 1", runs / 10);
        measure_session(*cold, sphere::Language::node, "1 + 1", runs / 10);
        measure_session(*cold, sphere::Language::bash, "x=1", runs / 10);
    }
    if (parts.want("parallel")) measure_parallel_creates(*cold, 5 * runs);
    cold->emergency_stop({});
    static_cast<void>(cold->lift_stop({}));

    json::array lines = print_series();
    json::array call_lines = print_calls();
    for (const auto& rate : rates) {
        fmt::print(stderr, "create, exec true, destroy, {} in flight: {:.0f}/s\n",
                   std::string(rate.key()), rate.value().as_double());
    }
    if (per_gib > 0) fmt::print(stderr, "idle boxes per GiB: {:.0f}\n", per_gib);
    utsname kernel{};
    ::uname(&kernel);
    const json::object result = {{"command", fmt::format("bench_sphere {}", runs)},
                                 {"machine",
                                  {{"processor", processor()},
                                   {"cores", std::thread::hardware_concurrency()},
                                   {"kernel", kernel.release}}},
                                 {"as_root", ::geteuid() == 0},
                                 {"series", std::move(lines)},
                                 {"system_calls", std::move(call_lines)},
                                 {"idle_boxes_per_gib", per_gib},
                                 {"create_exec_destroy_per_second", std::move(rates)}};
    fmt::print("{}\n", base::to_text(result));
    return 0;
}
