// A writer that is killed, and disks that fail: what was acknowledged is there, nothing is half.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/core/check.h"
#include "memory/truth/truth.h"
#include "support/fault_disk.h"
#include "support/seeds.h"
#include "truth_fixture.h"

namespace memory::truth {
namespace {

using test::need;
using test::note;

/// Batches of three entries; each says which batch it is of.
std::vector<NewEntry> batch_of(int writer, std::uint64_t number) {
    std::vector<NewEntry> batch;
    for (int i = 0; i < 3; ++i) {
        batch.push_back(note(fmt::format("batch {} {} part {}", writer, number, i),
                             fmt::format("tenant {}", writer)));
        batch.back().metadata["batch"] = number;
        batch.back().embedding.assign(16, .25f);
    }
    return batch;
}

/// Each batch is whole or not there; gives those that are.
std::set<std::uint64_t> whole_batches(Truth& truth, int writer) {
    std::map<std::uint64_t, int> parts;
    for (const Entry& entry : test::all(truth, fmt::format("tenant {}", writer))) {
        ++parts[entry.metadata.at("batch").to_number<std::uint64_t>()];
    }
    std::set<std::uint64_t> whole;
    for (const auto& [number, count] : parts) {
        EXPECT_EQ(count, 3) << "half of batch " << number << " of writer " << writer;
        whole.insert(number);
    }
    return whole;
}

constexpr int kWriters = 4;

/// Writes until it is killed; a line "writer number" on `out` for each batch acknowledged.
[[noreturn]] void write_forever(const std::string& folder, std::uint64_t first, int out) {
    test::WallClock clock;
    auto truth = need(Truth::open({.location = folder, .shards = 2}, clock));
    std::vector<std::jthread> threads;
    for (int w = 0; w < kWriters; ++w) {
        threads.emplace_back([&, w] {
            for (std::uint64_t number = first;; ++number) {
                const auto batch = batch_of(w, number);
                if (!truth->add(batch, "", "m")) ::_exit(3);
                const std::string line = fmt::format("{} {}\n", w, number);
                if (::write(out, line.data(), line.size()) < 0) ::_exit(4);
            }
        });
    }
    threads.clear();
    ::_exit(5);
}

/// Reads acknowledgements until `enough`, kills, then reads the rest.
std::string read_and_kill(int in, pid_t child, std::size_t enough) {
    std::string text;
    std::array<char, 4'096> bytes;
    bool killed = false;
    while (true) {
        const auto got = ::read(in, bytes.data(), bytes.size());
        if (got <= 0) return text;
        text.append(bytes.data(), static_cast<std::size_t>(got));
        if (!killed && text.size() >= enough) killed = ::kill(child, SIGKILL) == 0;
    }
}

TEST(TruthCrash, KilledWritersLoseNothingAcknowledged) {
    test::TempDir dir;
    const std::string folder = dir.file("m");
    std::set<std::uint64_t> acknowledged[kWriters];
    base::Rng rng(11);
    for (int kill = 0; kill < 30; ++kill) {
        int pipe_ends[2];
        ASSERT_EQ(::pipe(pipe_ends), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(pipe_ends[0]);
            write_forever(folder, static_cast<std::uint64_t>(kill) * 1'000'000, pipe_ends[1]);
        }
        ::close(pipe_ends[1]);
        const std::string lines = read_and_kill(pipe_ends[0], child, 1 + rng.below(1'500));
        ::close(pipe_ends[0]);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
        for (std::size_t at = 0, end; (end = lines.find('\n', at)) != std::string::npos;
             at = end + 1) {
            acknowledged[lines[at] - '0'].insert(
                std::strtoull(lines.c_str() + at + 2, nullptr, 10));
        }
        test::WallClock clock;
        auto truth = need(Truth::open({.location = folder, .shards = 2}, clock));
        DG_OK(truth->check());
        for (int w = 0; w < kWriters; ++w) {
            const auto there = whole_batches(*truth, w);
            for (const std::uint64_t number : acknowledged[w]) {
                ASSERT_TRUE(there.contains(number)) << "lost " << number << " of writer " << w;
            }
        }
    }
    for (const auto& numbers : acknowledged) EXPECT_GT(numbers.size(), 30u);
}

TEST(TruthFaults, PowerLossFullDisksAndErrorsLoseNothing) {
    std::uint64_t seed = 0, refused = 0, kept = 0;
    const std::uint64_t runs = test::fault_runs(100);
    test::for_each_seed(runs, [&](base::Rng& rng) {
        test::TempDir dir;
        test::FaultDisk disk(++seed);
        test::WallClock clock;
        const StoreOptions options{
            .location = dir.file("m"),
            .shards = 1,
            .encryption = seed % 2 == 0 ? Encryption::subject : Encryption::off};
        std::set<std::uint64_t> acknowledged[2];
        for (std::uint64_t life = 0; life < 3; ++life) {
            const std::uint64_t kind = rng.below(3);
            if (kind == 0) disk.lose_power_after(1 + rng.below(600));
            auto opened = Truth::open(options, clock);
            if (opened) {
                Truth& truth = **opened;
                if (kind == 1) disk.limit(200'000 + rng.below(200'000));
                if (kind == 2) disk.fail_share(rng.uniform() * .02);
                std::mutex mutex;
                std::vector<std::jthread> threads;
                for (int w = 0; w < 2; ++w) {
                    threads.emplace_back([&, w] {
                        for (std::uint64_t n = life * 100; n < life * 100 + 12; ++n) {
                            const bool good = truth.add(batch_of(w, n), "", "m").has_value();
                            std::lock_guard lock(mutex);
                            if (good) acknowledged[w].insert(n);
                            refused += !good;
                        }
                    });
                }
            }
            disk.fail_share(0);
            opened = base::fail(base::Code::cancelled, "closed");
            disk.limit(0);
            disk.restart();
        }
        auto truth = Truth::open(options, clock);
        ASSERT_TRUE(truth) << truth.error().message;
        DG_OK((*truth)->check());
        for (int w = 0; w < 2; ++w) {
            const auto there = whole_batches(**truth, w);
            kept += there.size();
            for (const std::uint64_t number : acknowledged[w]) ASSERT_TRUE(there.contains(number));
        }
    });
    EXPECT_GT(refused, runs * 5 / 4);
    EXPECT_GT(kept, runs * 12);
}

}  // namespace
}  // namespace memory::truth
