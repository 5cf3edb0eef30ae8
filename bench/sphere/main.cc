// How fast boxes are made, used and ended, beside what else starts programs on this machine: plain
// spawn, bubblewrap and crun, in turn within one run.
//
//   bench_sphere [RUNS] [PART...] > result.json   a table goes to stderr; RUNS is 200 unless given,
//                                                 PARTs (see Parts) are all
//   bench_sphere snapshots                  only what keeping and restoring workspaces takes
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
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
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/files/files.h"
#include "base/json/json.h"
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

int spawn(const std::vector<std::string>& words) {
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_t pid = 0;
    if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return 127;
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

class Quiet final : public sphere::ExecSink {
public:
    void on_output(sphere::Stream, std::string_view bytes) override { heard += bytes.size(); }
    void on_end(const sphere::ExecResult&) override {}
    std::atomic<std::size_t> heard = 0;
};

struct Peer {
    std::string name;
    std::vector<std::string> before;  ///< goes before the command
};

/// A bundle for crun: the host's /usr read-only, all namespaces, no control group (it refuses
/// hybrid hierarchies).
std::string crun_bundle(const std::string& folder, const std::string& program) {
    const std::string bundle = folder + "/" + program.substr(program.rfind('/') + 1);
    need(base::make_dirs(bundle + "/root/usr"));
    for (const char* name : {"proc", "dev", "tmp"}) need(base::make_dirs(bundle + "/root/" + name));
    for (const char* name : {"bin", "lib", "lib64"}) {
        const std::string target = std::string("usr/") + name;
        if (::symlink(target.c_str(), (bundle + "/root/" + name).c_str()) != 0) break;
    }
    json::array namespaces, args;
    for (const char* kind : {"pid", "network", "ipc", "uts", "mount", "cgroup"}) {
        namespaces.push_back(json::object{{"type", kind}});
    }
    args.emplace_back(program);
    if (program.ends_with("python3")) {
        args.emplace_back("-c");
        args.emplace_back("pass");
    }
    const json::object config = {
        {"ociVersion", "1.0.2"},
        {"process",
         {{"cwd", "/"},
          {"args", std::move(args)},
          {"env", json::array{"PATH=/usr/bin"}},
          {"noNewPrivileges", true},
          {"user", {{"uid", 0}, {"gid", 0}}}}},
        {"root", {{"path", "root"}, {"readonly", true}}},
        {"mounts", json::array{{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
                               {{"destination", "/dev"}, {"type", "tmpfs"}, {"source", "tmpfs"}},
                               {{"destination", "/usr"},
                                {"type", "bind"},
                                {"source", "/usr"},
                                {"options", json::array{"rbind", "ro"}}}}},
        {"linux", {{"namespaces", std::move(namespaces)}}}};
    need(base::write_file_atomically(bundle + "/config.json", base::to_text(config)));
    return bundle;
}

std::vector<Peer> peers(const std::string& folder) {
    std::vector<Peer> found = {{"spawn", {}}};
    const Peer bwrap = {"bwrap", {"bwrap",     "--unshare-all", "--ro-bind", "/usr",      "/usr",
                                  "--symlink", "usr/bin",       "/bin",      "--symlink", "usr/lib",
                                  "/lib",      "--symlink",     "usr/lib64", "/lib64",    "--proc",
                                  "/proc",     "--dev",         "/dev",      "--tmpfs",   "/tmp"}};
    std::vector<std::string> trial = bwrap.before;
    trial.emplace_back("/usr/bin/true");
    if (spawn(trial) == 0) found.push_back(bwrap);
    const std::string bundle = crun_bundle(folder, "/usr/bin/true");
    crun_bundle(folder, "/usr/bin/python3");
    const std::vector<std::string> crun = {"crun", "--cgroup-manager=disabled", "run", "--bundle"};
    trial = crun;
    trial.push_back(bundle);
    trial.emplace_back("dougong-bench-trial");
    if (spawn(trial) == 0) found.push_back({"crun", crun});
    for (const char* name : {"bwrap", "crun"}) {
        if (std::ranges::find(found, name, &Peer::name) == found.end()) {
            fmt::print(stderr, "{} does not run here and is left out\n", name);
        }
    }
    return found;
}

void measure_peers(const std::vector<Peer>& beside, const std::string& folder,
                   const std::vector<std::string>& command, const std::string& what) {
    static int unique = 0;
    for (const Peer& peer : beside) {
        std::vector<std::string> words = peer.before;
        if (peer.name == "crun") {
            const std::string& program = command.front();
            words.push_back(folder + "/" + program.substr(program.rfind('/') + 1));
            words.push_back(fmt::format("dougong-bench-{}-{}", ::getpid(), unique++));
        } else {
            words.insert(words.end(), command.begin(), command.end());
        }
        const base::Instant begin = machine_clock.now();
        if (spawn(words) != 0) give_up(peer.name + " failed");
        record(what + ", " + peer.name, begin);
    }
}

void exec(sphere::Sphere& sphere, const std::string& box, std::vector<std::string> argv) {
    Quiet sink;
    const auto result = need(sphere.exec(box, {.argv = std::move(argv)}, sink));
    if (result.exit_code != 0) give_up("the command failed in the box");
}

void measure_cold(sphere::Sphere& sphere, const std::vector<std::string>& command,
                  const std::string& what) {
    const base::Instant begin = machine_clock.now();
    const std::string box = need(sphere.create({}));
    record("create, cold", begin);
    exec(sphere, box, command);
    record(what + ", box (create and exec)", begin);
    const base::Instant ending = machine_clock.now();
    need(sphere.destroy(box));
    record("destroy", ending);
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
    static constexpr std::array<std::string_view, 9> kNames = {
        "idle", "peers", "cold", "pool", "warm", "tree", "rate", "session", "parallel"};
    std::vector<std::string_view> asked;
    bool want(std::string_view name) const {
        return asked.empty() || std::ranges::find(asked, name) != asked.end();
    }
};

void measure_turn(const Parts& parts, int turn, sphere::Sphere& cold, sphere::Sphere& pooled,
                  const std::string& warm, const std::vector<Peer>& beside,
                  const std::string& folder) {
    const std::vector<std::string> nothing = {"/usr/bin/true"};
    const std::vector<std::string> python = {"/usr/bin/python3", "-c", "pass"};
    if (parts.want("peers")) measure_peers(beside, folder, nothing, "true");
    if (parts.want("cold")) measure_cold(cold, nothing, "true");
    if (parts.want("pool")) measure_hand_out(pooled);
    if (parts.want("warm")) measure_warm(cold, warm);
    if (parts.want("peers")) measure_peers(beside, folder, python, "python3");
    if (parts.want("cold")) measure_cold(cold, python, "python3");
    if (parts.want("tree") && turn % 10 == 0) measure_tree(cold);
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
    const auto beside = parts.want("peers") ? peers(folder.path()) : std::vector<Peer>{};
    double per_gib = 0;
    if (parts.want("idle")) {
        per_gib = idle_boxes_per_gib(*cold, 5 * runs);
        std::this_thread::sleep_for(
            std::chrono::seconds(5));  // the kernel takes their remains apart
    }
    const std::string warm = need(cold->create({}));
    for (int i = 0; i < runs; ++i) {
        measure_turn(parts, i, *cold, *pooled, warm, beside, folder.path());
    }
    need(cold->destroy(warm));
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
                                 {"idle_boxes_per_gib", per_gib},
                                 {"create_exec_destroy_per_second", std::move(rates)}};
    fmt::print("{}\n", base::to_text(result));
    return 0;
}
