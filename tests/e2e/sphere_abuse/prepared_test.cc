// The next command's process stands ready while a box is idle. Nobody may notice, but by the clock.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "box_fixture.h"

namespace {

using base::Code;
using test::AbuseTest;
using test::number;
using test::Recorder;

TEST_F(AbuseTest, NoCommandSeesTheOneThatStandsReady) {
    const sphere::SandboxId box = make();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(number(abuse(box, {"s18"}), "others"), others_seen());
    }
    Recorder waiting;
    const auto cat = sphere->start(box, {.argv = {"cat"}, .stdin_open = true}, waiting);
    ASSERT_TRUE(cat) << cat.error().message;
    EXPECT_EQ(number(abuse(box, {"s18"}), "others"), others_seen() + 1)
        << "cat, and nothing that waits";
    EXPECT_TRUE(sphere->write_stdin(box, *cat, "", true));
}

TEST_F(AbuseTest, TheLimitOfProcessesIsExactInEveryCommand) {
    if (!limited_by_groups("process limit")) GTEST_SKIP() << "NO PIDS CGROUP HERE";
    if (in_container()) GTEST_SKIP() << "the group counts the runtime too: S26 has its bound";
    sphere::SandboxSpec spec;
    spec.limits.processes_max = 3;
    for (int before = 0; before < 3; ++before) {
        const sphere::SandboxId box = make(spec);
        for (int i = 0; i < before; ++i) run(box, {.argv = {"true"}});
        run(box, {.argv = {"sh", "-c",
                           "for i in 1 2 3 4; do sleep 1000 >/dev/null 2>&1 & echo $i; done"}});
        EXPECT_EQ(recorder.out, "1\n2\n") << "the shell and two more; " << recorder.err;
    }
}

TEST_F(AbuseTest, RefusedCommandsLeaveNoGroupsBehind) {
    const sphere::SandboxId box = make();
    for (int i = 0; i < 30; ++i) {
        Recorder unheard;
        const auto started = sphere->start(box, {.argv = {"no-such-program"}}, unheard);
        ASSERT_FALSE(started);
        EXPECT_EQ(started.error().code, Code::not_found);
    }
    run(box, {.argv = {"true"}});
    for (const std::string& group : recorded_groups()) {
        std::error_code ignored;
        int folders = 0;
        for (const auto& entry : std::filesystem::directory_iterator(group + "/" + box, ignored)) {
            folders += entry.is_directory();
        }
        EXPECT_LT(folders, 10) << group;
    }
}

TEST_F(AbuseTest, CommandsOfManyThreadsInOneBoxKeepTheirStreams) {
    const sphere::SandboxId box = make();
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 6; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 20; ++i) {
                const std::string word = std::to_string(thread) + "-" + std::to_string(i);
                Recorder heard;
                const bool refused = i % 5 == 4;
                const auto ended = sphere->exec(
                    box, {.argv = {refused ? "no-such-program" : "echo", word}}, heard);
                EXPECT_EQ(ended.has_value(), !refused);
                EXPECT_EQ(heard.out, refused ? "" : word + "\n");
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(sphere->info(box)->running, 0u);
}

}  // namespace
