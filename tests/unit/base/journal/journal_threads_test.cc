// Many threads over a disk that fails: who was told what, and what is there in the end.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/sim/sim_disk.h"
#include "support/fault_runs.h"
#include "support/seeds.h"
#include "unit/base/journal/journal_oracle.h"

namespace {

using base::Result;
using base::Rng;
using base::journal::Options;
using base::sim::SimDisk;
using test::Address;
using test::FoundRecord;
using test::Group;
using test::Journal;

/// Answers of one thread, in the order of its appends: by number, whether durable.
struct Mine {
    std::mutex mutex;
    std::map<int, bool> answers;
    std::vector<int> order;
};

std::string text_of(int thread, int number) {
    return fmt::format("{} {} {}", thread, number,
                       std::string(static_cast<std::size_t>(number) % 700, 'x'));
}

TEST(JournalThreads, EachAnswerIsTrueOnADiskThatFails) {
    test::for_each_seed(test::fault_runs(40) / 4 + 1, [](Rng& rng) {
        constexpr int kThreads = 5, kEach = 60;
        SimDisk disk(rng.next());
        Options options;
        options.segment_bytes = 16 << 10;
        options.pending_bytes_max = 4 << 10;
        options.recent_bytes_max = 2 << 10;
        auto journal = Journal::open(disk, "log", options);
        ASSERT_TRUE(journal);
        disk.set_faults({.write = rng.uniform() * 0.2, .read = 0});
        const bool stops = rng.below(2) == 0;
        if (stops) disk.stop_after(20 + rng.below(300));
        std::vector<Mine> all(kThreads);
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                Mine& mine = all[static_cast<std::size_t>(t)];
                const auto answer = [&mine](int number, bool durable) {
                    std::lock_guard lock(mine.mutex);
                    EXPECT_TRUE(mine.answers.emplace(number, durable).second) << "twice";
                    mine.order.push_back(number);
                };
                for (int i = 0; i < kEach; ++i) {
                    Group group;
                    group.add(text_of(t, i));
                    if (t % 2 == 0) {
                        answer(i, (*journal)->commit(group).has_value());
                        continue;
                    }
                    // Too much waits: again, when it does not.
                    while (!(*journal)->append(
                        group, [answer, i](Result<void> done) { answer(i, done.has_value()); })) {
                        (*journal)->flush();
                    }
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        (*journal)->flush();
        for (const Mine& mine : all) {
            EXPECT_EQ(mine.answers.size(), static_cast<std::size_t>(kEach));
            EXPECT_TRUE(std::ranges::is_sorted(mine.order));
        }
        EXPECT_EQ((*journal)->stats().pending_bytes, 0u);
        journal->reset();
        disk.set_faults({});
        disk.restart(SimDisk::Stop::power);
        journal = Journal::open(disk, "log", options);
        ASSERT_TRUE(journal) << journal.error().message;
        const Result<std::vector<FoundRecord>> found = test::scan_all(**journal);
        ASSERT_TRUE(found);
        std::vector<int> last(kThreads, -1);
        std::set<std::pair<int, int>> seen;
        for (const FoundRecord& one : *found) {
            int thread = 0, number = 0;
            const char* end = one.record.data() + one.record.size();
            const char* at = std::from_chars(one.record.data(), end, thread).ptr;
            std::from_chars(at + 1, end, number);
            ASSERT_LT(thread, kThreads);
            EXPECT_EQ(one.record, text_of(thread, number));
            EXPECT_GT(number, std::exchange(last[static_cast<std::size_t>(thread)], number));
            seen.emplace(thread, number);
        }
        for (int t = 0; t < kThreads; ++t) {
            for (const auto& [number, durable] : all[static_cast<std::size_t>(t)].answers) {
                const bool there = seen.contains({t, number});
                EXPECT_TRUE(there || !durable) << "lost";
            }
        }
    });
}

TEST(JournalThreads, ALoneCommitComesThroughAfterManyLeft) {
    SimDisk disk(1);
    const auto journal = Journal::open(disk, "log", {});
    ASSERT_TRUE(journal);
    for (int round = 0; round < 3; ++round) {
        std::vector<std::thread> threads;
        for (int t = 0; t < 16; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 50; ++i) {
                    Group group;
                    group.add("one of many");
                    EXPECT_TRUE((*journal)->commit(group));
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        for (int i = 0; i < 20; ++i) {
            Group group;
            group.add("alone");
            EXPECT_TRUE((*journal)->commit(group));
        }
    }
    EXPECT_EQ((*journal)->stats().groups, 3u * (16 * 50 + 20));
}

}  // namespace
