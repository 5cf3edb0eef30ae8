// The journal alone: what a commit costs beside the disk's own floor, and how fast it is read.
// One JSON line a run; bench/flow/journal.py runs it beside the floor and keeps the figures.
//
//   commit DIR SECONDS CLIENTS   each client commits one record of 256 bytes and waits
//   append DIR SECONDS WINDOW    one thread appends records of 256 bytes, WINDOW of them unanswered
//   replay DIR RECORDS           writes records of 256 bytes, opens the journal and scans it
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/files/linux_disk.h"
#include "base/journal/journal.h"

namespace {

using base::Result;
using base::journal::Address;
using base::journal::Group;
using base::journal::Journal;
using base::journal::Stats;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kRecordBytes = 256;

double seconds_since(SteadyClock::time_point then) {
    return std::chrono::duration<double>(SteadyClock::now() - then).count();
}

double cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

template <class T>
T must(Result<T> result) {
    if (result) {
        if constexpr (!std::is_void_v<T>) return *std::move(result);
        return T();
    }
    fmt::print(stderr, "bench_flow_journal: {}\n", result.error().message);
    std::exit(1);
}

void report(std::string_view mode, std::uint64_t clients, double seconds, double cpu,
            std::vector<double>& us, const Stats& stats) {
    std::ranges::sort(us);
    const auto at = [&](double share) {
        return us.empty()
                   ? 0
                   : us[std::min(us.size() - 1,
                                 static_cast<std::size_t>(share * static_cast<double>(us.size())))];
    };
    const auto ops = static_cast<double>(us.size());
    fmt::print(
        "{{\"mode\":\"{}\",\"clients\":{},\"ops_per_s\":{:.0f},\"p50_us\":{:.0f},\"p99_us\":{:.0f},"
        "\"cpu_us_per_op\":{:.2f},\"groups_per_sync\":{:.1f}}}\n",
        mode, clients, ops / seconds, at(0.5), at(0.99), cpu * 1e6 / ops,
        static_cast<double>(stats.groups) /
            static_cast<double>(std::max<std::uint64_t>(stats.syncs, 1)));
}

void commit(Journal& journal, double seconds, std::uint64_t clients) {
    std::vector<std::vector<double>> us(clients);
    std::vector<std::thread> threads;
    const double cpu = cpu_seconds();
    const auto began = SteadyClock::now();
    for (std::uint64_t c = 0; c < clients; ++c) {
        threads.emplace_back([&, c] {
            const std::string record(kRecordBytes, static_cast<char>('a' + c % 26));
            Group group;
            while (seconds_since(began) < seconds) {
                const auto then = SteadyClock::now();
                group.clear();
                group.add(record);
                must(journal.commit(group));
                us[c].push_back(seconds_since(then) * 1e6);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    const double took = seconds_since(began);
    std::vector<double> all;
    for (const auto& mine : us) all.insert(all.end(), mine.begin(), mine.end());
    report("commit", clients, took, cpu_seconds() - cpu, all, journal.stats());
}

void append(Journal& journal, double seconds, std::uint64_t window) {
    std::vector<double> us;
    std::mutex mutex;
    std::condition_variable answered;
    std::uint64_t open = 0;
    const std::string record(kRecordBytes, 'r');
    Group group;
    const double cpu = cpu_seconds();
    const auto began = SteadyClock::now();
    while (seconds_since(began) < seconds) {
        {
            std::unique_lock lock(mutex);
            answered.wait(lock, [&] { return open < window; });
            ++open;
        }
        group.clear();
        group.add(record);
        const auto then = SteadyClock::now();
        must(journal.append(group, [&, then](Result<void> done) {
            must(std::move(done));
            std::lock_guard lock(mutex);
            us.push_back(seconds_since(then) * 1e6);
            if (open-- == window) answered.notify_one();
        }));
    }
    journal.flush();
    report("append", window, seconds_since(began), cpu_seconds() - cpu, us, journal.stats());
}

void replay(base::Disk& disk, const std::string& dir, std::uint64_t records) {
    {
        auto journal = must(Journal::open(disk, dir, {}));
        const std::string record(kRecordBytes, 'r');
        Group group;
        for (std::uint64_t i = 0; i < records;) {
            group.clear();
            for (int in_group = 0; in_group < 64 && i < records; ++in_group, ++i) group.add(record);
            must(journal->commit(group));
        }
    }
    auto then = SteadyClock::now();
    const auto journal = must(Journal::open(disk, dir, {}));
    const double opening = seconds_since(then);
    std::uint64_t found = 0, bytes = 0;
    then = SteadyClock::now();
    must(journal->scan({}, [&](Address, std::string_view record) -> Result<bool> {
        ++found;
        bytes += record.size();
        return true;
    }));
    const double took = seconds_since(then);
    fmt::print(
        "{{\"mode\":\"replay\",\"records\":{},\"open_ms\":{:.1f},\"records_per_s\":{:.0f},"
        "\"mb_per_s\":{:.0f}}}\n",
        found, opening * 1e3, static_cast<double>(found) / took,
        static_cast<double>(bytes) / took / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> args(argv + 1, argv + argc);
    const bool known = args.size() >= 3 && (args[0] == "replay" || args.size() == 4);
    if (!known) {
        fmt::print(stderr,
                   "usage: bench_flow_journal commit|append DIR SECONDS CLIENTS | replay DIR "
                   "RECORDS\n");
        return 2;
    }
    const std::string dir = args[1] + "/journal-bench";
    std::filesystem::remove_all(dir);
    base::LinuxDisk disk;
    if (args[0] == "replay") {
        replay(disk, dir, std::stoull(args[2]));
    } else {
        auto journal = must(Journal::open(disk, dir, {}));
        Group first;  // waits for the first segment to be made
        first.add("first");
        must(journal->commit(first));
        const auto run = args[0] == "commit" ? commit : append;
        run(*journal, std::stod(args[2]), std::stoull(args[3]));
    }
    std::filesystem::remove_all(dir);
}
