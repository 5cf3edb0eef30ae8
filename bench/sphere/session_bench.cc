// Live sessions: opened cold and warm, in a burst, cell after cell, forked, and what idle ones
// hold. bench_sphere_session [runs]; a first line of JSON a series, then the machine's memory.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/files/files.h"
#include "sphere/session/session.h"

namespace {

using sphere::Language;
const base::SystemClock machine_clock;
constexpr const char* kNumpy = "import numpy; int(numpy.arange(10).sum())";

[[noreturn]] void give_up(const std::string& what) {
    fmt::print(stderr, "bench_sphere_session: {}\n", what);
    std::exit(1);
}

template <class T>
T need(base::Result<T> result) {
    if (!result) give_up(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

struct Series {
    std::string name;
    std::vector<double> ms = {};

    void add(base::Instant begin) { ms.push_back(base::to_millis(machine_clock.now() - begin)); }
    void print() {
        if (ms.empty()) return;
        std::ranges::sort(ms);
        const auto at = [&](double share) {
            return ms[static_cast<std::size_t>(share * static_cast<double>(ms.size() - 1))];
        };
        fmt::print(
            "{{\"name\":\"{}\",\"n\":{},\"min_ms\":{:.3f},\"median_ms\":{:.3f},"
            "\"p95_ms\":{:.3f},\"p99_ms\":{:.3f},\"max_ms\":{:.3f}}}\n",
            name, ms.size(), ms.front(), at(.5), at(.95), at(.99), ms.back());
        std::fflush(stdout);
    }
};

std::unique_ptr<sphere::Sphere> open(const std::string& folder, std::vector<Language> warm,
                                     std::uint32_t most = 4) {
    sphere::SphereOptions options{.state_dir = folder, .pool_size = 8};
    for (const Language language : warm) {
        options.warm_commands.push_back(
            {.spec = sphere::session::driver_command(language, sphere::session::kPythonModules),
             .least = most,
             .most = most});
    }
    return need(sphere::Sphere::open(options, machine_clock));
}

void await(const sphere::Sphere& sphere, std::uint32_t warm, std::uint32_t boxes = 1) {
    for (;;) {
        const sphere::PoolState state = sphere.pool();
        if (state.boxes >= boxes && (warm == 0 || state.warm.at(0) >= warm)) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void measure_opening(const std::string& folder, Language language, bool warm, const char* code,
                     const std::string& what, int runs) {
    const auto sphere = open(folder, warm ? std::vector{language} : std::vector<Language>{});
    sphere::SessionManager sessions(*sphere, machine_clock);
    Series opened{what + ": sandbox made, session opened"};
    Series ready{what + ": sandbox made, session opened, first cell done"};
    for (int i = 0; i < runs; ++i) {
        await(*sphere, warm ? 4 : 0, 2);
        const base::Instant begin = machine_clock.now();
        const auto box = need(sphere->create({}));
        const auto session = need(sessions.open(box, language));
        opened.add(begin);
        const auto cell = need(sessions.run(box, session.id, {.code = code}));
        ready.add(begin);
        if (cell.result.status != sphere::CellStatus::ok) give_up(cell.result.error.message);
        need(sphere->destroy(box));
    }
    opened.print();
    ready.print();
}

/// `callers` at once; `warm` interpreters wait.
void measure_burst(const std::string& folder, std::uint32_t warm, int callers, int rounds) {
    const auto sphere =
        open(folder, warm > 0 ? std::vector{Language::python} : std::vector<Language>{}, warm);
    sphere::SessionManager sessions(*sphere, machine_clock);
    Series each{fmt::format("python3 + numpy, {} at once, {} wait", callers, warm)};
    std::mutex mutex;
    for (int round = 0; round < rounds; ++round) {
        await(*sphere, warm);
        std::vector<std::thread> threads;
        for (int i = 0; i < callers; ++i) {
            threads.emplace_back([&] {
                const base::Instant begin = machine_clock.now();
                const auto box = need(sphere->create({}));
                const auto session = need(sessions.open(box, Language::python));
                need(sessions.run(box, session.id, {.code = kNumpy}));
                const std::lock_guard lock(mutex);
                each.add(begin);
            });
        }
        for (std::thread& thread : threads) thread.join();
        for (const auto& info : sphere->list()) need(sphere->destroy(info.id));
    }
    each.print();
}

void measure_cells(const std::string& folder, Language language, const char* code, int runs) {
    const auto sphere = open(folder, {});
    sphere::SessionManager sessions(*sphere, machine_clock);
    const auto box = need(sphere->create({}));
    const auto session = need(sessions.open(box, language));
    for (int i = 0; i < 20; ++i) need(sessions.run(box, session.id, {.code = code}));
    Series next{fmt::format("{}: next cell of a session", language_name(language))};
    for (int i = 0; i < runs; ++i) {
        const base::Instant begin = machine_clock.now();
        need(sessions.run(box, session.id, {.code = code}));
        next.add(begin);
    }
    next.print();
}

void measure_fork(const std::string& folder, int runs) {
    const auto sphere = open(folder, {});
    sphere::SessionManager sessions(*sphere, machine_clock);
    const auto box = need(sphere->create({}));
    const auto session = need(sessions.open(box, Language::python));
    need(sessions.run(box, session.id,
                      {.code = "heap = [bytearray(b'x' * 4096) for _ in range(25600)]"}));
    Series fork{"python3: live fork, 100 MiB heap"}, cell{"python3: first cell of a fork"};
    for (int i = 0; i < runs; ++i) {
        base::Instant begin = machine_clock.now();
        const auto forked = need(sessions.fork(box, session.id));
        fork.add(begin);
        begin = machine_clock.now();
        need(sessions.run(box, forked.id, {.code = "len(heap)"}));
        cell.add(begin);
        need(sessions.close(box, forked.id));
        while (need(sphere->info(box)).running > 1) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }
    fork.print();
    cell.print();
}

/// By the boxes' own groups.
double held_bytes(const sphere::Sphere& sphere) {
    double bytes = 0;
    for (const auto& info : sphere.list()) bytes += static_cast<double>(info.memory_bytes);
    return bytes;
}

void measure_idle(const std::string& folder, bool forks) {
    constexpr int kSessions = 15;
    const auto sphere = open(folder, {});
    sphere::SessionManager sessions(*sphere, machine_clock);
    auto box = need(sphere->create({}));
    const auto first = need(sessions.open(box, Language::python));
    need(sessions.run(box, first.id, {.code = kNumpy}));
    const double before = held_bytes(*sphere);
    for (int i = 0; i < kSessions; ++i) {
        if (forks) {
            const auto forked = need(sessions.fork(box, first.id));
            need(sessions.run(box, forked.id, {.code = kNumpy}));
            continue;
        }
        box = need(sphere->create({}));
        const auto session = need(sessions.open(box, Language::python));
        need(sessions.run(box, session.id, {.code = kNumpy}));
    }
    const double each = (held_bytes(*sphere) - before) / kSessions;
    fmt::print(
        "{{\"name\":\"idle sessions with numpy, {}\",\"n\":{},\"mib_each\":{:.2f},"
        "\"per_gib\":{:.0f}}}\n",
        forks ? "forks in one box" : "each in a box of its own", kSessions, each / (1 << 20),
        each > 0 ? (1ull << 30) / each : 0);
}

}  // namespace

int main(int argc, char** argv) {
    const int runs = argc > 1 ? std::max(3, std::atoi(argv[1])) : 100;
    const auto scratch = need(base::TemporaryDir::create("/tmp", "dougong-bench-"));
    const std::string folder = scratch.path();
    for (const bool warm : {false, true}) {
        const std::string how = warm ? " warm" : " cold";
        measure_opening(folder, Language::python, warm, "1 + 1", "python3" + how, runs);
        measure_opening(folder, Language::python, warm, kNumpy, "python3 + numpy" + how,
                        warm ? runs : runs / 3);
        measure_opening(folder, Language::node, warm, "1 + 1", "node" + how, runs / 3);
        measure_opening(folder, Language::bash, warm, "true", "bash" + how, runs / 3);
    }
    measure_burst(folder, 0, 20, 2);
    measure_burst(folder, 8, 20, 2);
    measure_cells(folder, Language::python, "x = 1; x + 1", 10 * runs);
    measure_cells(folder, Language::node, "1 + 1", 10 * runs);
    measure_cells(folder, Language::bash, "x=1", 10 * runs);
    measure_fork(folder, runs);
    measure_idle(folder, false);
    measure_idle(folder, true);
    return 0;
}
