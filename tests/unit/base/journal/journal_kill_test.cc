// A process that commits from several threads and is killed, again and again, on the real disk.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <map>
#include <thread>
#include <vector>

#include "base/files/linux_disk.h"
#include "base/journal/journal.h"
#include "support/temp_dir.h"
#include "unit/base/journal/journal_oracle.h"

namespace {

using test::Group;
using test::Journal;

constexpr int kThreads = 4, kKills = 6;
constexpr std::uint64_t kCommitsBeforeKill = 150;  // and a few more each time

/// What each thread was told; shared with the killed process.
using Acked = std::array<std::atomic<std::uint64_t>, kThreads>;

/// Commits "<thread> <number> a" and "... b" from `next` on, for ever; one byte on `pipe` for each.
[[noreturn]] void commit_until_killed(const std::string& dir, Acked& acked, int pipe) {
    base::LinuxDisk disk;
    base::journal::Options options;
    options.segment_bytes = 64 << 10;
    auto journal = Journal::open(disk, dir, options);
    if (!journal) ::_exit(1);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            auto& mine = acked[static_cast<std::size_t>(t)];
            for (std::uint64_t i = mine;; ++i) {
                Group group;
                group.add(fmt::format("{} {} a{}", t, i, std::string(i * 97 % 3000, 'x')));
                group.add(fmt::format("{} {} b", t, i));
                if (!(*journal)->commit(group)) ::_exit(2);
                mine = i + 1;
                if (::write(pipe, "x", 1) != 1) ::_exit(3);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    ::_exit(4);
}

TEST(JournalKill, WhatWasAcknowledgedIsThereOnceAndInOrder) {
    test::TempDir temp;
    const std::string dir = temp.file("journal");
    void* shared =
        ::mmap(nullptr, sizeof(Acked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    Acked& acked = *new (shared) Acked{};
    for (int kill = 0; kill < kKills; ++kill) {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe(ends.data()), 0);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) commit_until_killed(dir, acked, ends[1]);
        ::close(ends[1]);
        char byte = 0;
        for (std::uint64_t i = 0; i < kCommitsBeforeKill + static_cast<std::uint64_t>(kill); ++i) {
            ASSERT_EQ(::read(ends[0], &byte, 1), 1);
        }
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself with " << WEXITSTATUS(status);
        ::close(ends[0]);

        base::LinuxDisk disk;
        const auto journal = Journal::open(disk, dir, {});
        ASSERT_TRUE(journal) << journal.error().message;
        std::array<std::uint64_t, kThreads> found{};
        bool expect_second = false;
        std::string head;
        const auto scanned =
            (*journal)->scan({}, [&](test::Address, std::string_view record) -> base::Result<bool> {
                std::uint64_t thread = 0, number = 0;
                const char* end = record.data() + record.size();
                const char* at = std::from_chars(record.data(), end, thread).ptr;
                at = std::from_chars(at + 1, end, number).ptr;
                EXPECT_LT(thread, static_cast<std::uint64_t>(kThreads));
                EXPECT_EQ(number, found[thread]);
                EXPECT_EQ(at[1], expect_second ? 'b' : 'a');
                if (expect_second) ++found[thread];
                expect_second = !expect_second;
                return !testing::Test::HasFailure();
            });
        ASSERT_TRUE(scanned) << scanned.error().message;
        EXPECT_FALSE(expect_second) << "half of a group";
        for (std::size_t t = 0; t < kThreads; ++t) {
            EXPECT_GE(found[t], acked[t].load()) << "thread " << t << " lost what it was told";
            EXPECT_LE(found[t], acked[t].load() + 1);
            acked[t] = found[t];
        }
    }
    ::munmap(shared, sizeof(Acked));
}

}  // namespace
