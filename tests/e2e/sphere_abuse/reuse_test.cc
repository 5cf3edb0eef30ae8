// Control groups go from a box that has ended to the next one. Nobody may notice, but by the clock.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "box_fixture.h"

namespace test {
namespace {

using namespace std::chrono_literals;
using sphere::EndReason;

std::size_t folders_in(const std::vector<std::string>& groups) {
    std::size_t count = 0;
    for (const std::string& group : groups) {
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator(group, ignored)) {
            count += entry.is_directory();
        }
    }
    return count;
}

TEST_F(AbuseTest, BoxesInTurnHaveFewGroupsAndCommandsRunInAll) {
    const std::size_t before = folders_in(recorded_groups());
    std::size_t most = 0;
    for (int i = 0; i < 20; ++i) {
        const sphere::SandboxId box = make();
        run(box, {.argv = {"sh", "-c", "sleep 0 & wait"}});
        EXPECT_EQ(recorder.result->exit_code, 0);
        ASSERT_TRUE(sphere->destroy(box));
        most = std::max(most, folders_in(recorded_groups()));
    }
    // Some may wait for the kernel at any time; none is left for each box.
    EXPECT_LE(most - before, 4 * 5u);
}

TEST_F(AbuseTest, ABoxHasItsOwnLimitsWhoeverWasInItsGroups) {
    if (!limited_by_groups("process limit")) GTEST_SKIP() << "NO PIDS CGROUP HERE";
    if (in_container()) GTEST_SKIP() << "the group counts the runtime too: S26 has its bound";
    for (const std::uint32_t processes : {3u, 5u, 2u, 4u, 3u}) {
        sphere::SandboxSpec spec;
        spec.limits.processes_max = processes;
        const sphere::SandboxId box = make(spec);
        run(box, {.argv = {"sh", "-c",
                           "for i in 1 2 3 4 5 6; do sleep 1000 >/dev/null 2>&1 & echo $i; done"}});
        EXPECT_EQ(recorder.out, std::string("1\n2\n3\n4\n5\n6\n").substr(0, 2 * (processes - 1)));
        run(box, {.argv = {"true"}});  // the cap is still full: its own is refused or it ends
        ASSERT_TRUE(sphere->destroy(box));
        // And one that ends with nothing in it, whose groups serve the next.
        const sphere::SandboxId quiet = make(spec);
        run(quiet, {.argv = {"true"}});
        EXPECT_EQ(recorder.result->exit_code, 0);
        ASSERT_TRUE(sphere->destroy(quiet));
    }
}

TEST_F(AbuseTest, NothingThatABoxUsedIsCountedForTheNext) {
    const std::string work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    const sphere::SandboxId first = make();
    run(first, {.argv = {"sh", "-c", work}});
    const auto worked = recorder.result->cpu;
    run(first, {.argv = {"sh", "-c", "head -c 100000000 /dev/zero | tail -c 100000000 | wc -c"}});
    const auto used = sphere->info(first);
    ASSERT_TRUE(used);
    ASSERT_TRUE(sphere->destroy(first));
    const sphere::SandboxId second = make();
    const auto fresh = sphere->info(second);
    ASSERT_TRUE(fresh);
    EXPECT_LE(fresh->cpu, used->cpu / 2);
    EXPECT_LT(fresh->memory_bytes, 20u << 20);
    run(second, {.argv = {"true"}});
    EXPECT_LE(recorder.result->cpu, worked / 2);
    EXPECT_LT(recorder.result->peak_memory_bytes, 50u << 20);
}

TEST_F(AbuseTest, TheNextBoxIsNotBlamedForAnotherOnesMemory) {
    if (!limited_by_groups("memory limit")) GTEST_SKIP() << "NO MEMORY CGROUP HERE";
    sphere::SandboxSpec spec;
    spec.limits.memory_bytes = 64ull << 20;
    const sphere::SandboxId first = make(spec);
    run(first, {.argv = {"sh", "-c", "head -c 100000000 /dev/zero | tail -c 100000000"}});
    ASSERT_TRUE(sphere->destroy(first));
    const sphere::SandboxId second = make(spec);
    run(second, {.argv = {"sh", "-c", "kill -9 $$"}});
    EXPECT_EQ(recorder.result->signal, SIGKILL);
    EXPECT_NE(recorder.result->reason, EndReason::memory);
}

/// What told a box's groups to kill or to freeze would hold for whoever came next.
TEST_F(AbuseTest, CommandsRunAfterBoxesThatWerePausedTimedOutOrKilled) {
    for (int i = 0; i < 3; ++i) {
        const sphere::SandboxId paused = make();
        if (sphere->pause(paused)) {
            ASSERT_TRUE(sphere->destroy(paused));
        }
        const sphere::SandboxId late = make();
        run(late, {.argv = {"sleep", "1000"}, .wall_timeout = 20ms});
        EXPECT_EQ(recorder.result->reason, EndReason::wall_time);
        static_cast<void>(sphere->destroy(late));
        const sphere::SandboxId busy = make();
        Recorder unheard;
        ASSERT_TRUE(sphere->start(busy, {.argv = {"sleep", "1000"}}, unheard));
        ASSERT_TRUE(sphere->destroy(busy));
        for (int next = 0; next < 3; ++next) {
            const sphere::SandboxId box = make();
            run(box, {.argv = {"true"}});
            EXPECT_EQ(recorder.result->exit_code, 0);
            ASSERT_TRUE(sphere->destroy(box));
        }
    }
}

}  // namespace
}  // namespace test
