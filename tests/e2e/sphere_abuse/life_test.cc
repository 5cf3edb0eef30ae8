// Boxes over their life: output, input, time, pause, the pool, and what a killed server leaves.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "box_fixture.h"

namespace test {
namespace {

using namespace std::chrono_literals;
using base::Code;
using sphere::EndReason;

/// Counts what a command says, readable while it runs.
class Counter final : public sphere::ExecSink {
public:
    void on_output(sphere::Stream, std::string_view bytes) override { heard_ += bytes.size(); }
    void on_end(const sphere::ExecResult& ended) override { result = ended; }
    bool heard() const { return heard_ > 0; }
    std::optional<sphere::ExecResult> result;

private:
    std::atomic<std::size_t> heard_ = 0;
};

bool group_is_empty(const std::string& folder) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, ignored)) {
        if (entry.path().filename() != "cgroup.procs") continue;
        if (!read_text(entry.path().string()).empty()) return false;
    }
    return true;
}

TEST_F(AbuseTest, ACommandsStatusAndStreamsAreItsOwn) {
    const sphere::SandboxId box = make();
    run(box, {.argv = {"sh", "-c", "echo out; echo err >&2; exit 7"}});
    EXPECT_EQ(recorder.out, "out\n");
    EXPECT_EQ(recorder.err, "err\n");
    EXPECT_EQ(recorder.result->reason, EndReason::exited);
    EXPECT_EQ(recorder.result->exit_code, 7);
    EXPECT_EQ(recorder.result->output_bytes, 8u);
    run(box, {.argv = {"sh", "-c", "kill -TERM $$"}});
    EXPECT_EQ(recorder.result->reason, EndReason::signalled);
    EXPECT_EQ(recorder.result->signal, SIGTERM);
}

TEST_F(AbuseTest, EnvironmentDirectoryAndStdinAreGiven) {
    sphere::SandboxSpec spec;
    spec.environment["A"] = "box";
    spec.environment["B"] = "box";
    const sphere::SandboxId box = make(spec);
    sphere::ExecSpec exec;
    exec.argv = {"sh", "-c", "pwd; echo $A $B; cat; env | wc -l"};
    exec.working_directory = "/tmp";
    exec.environment["B"] = "exec";
    exec.stdin_text = "given";
    run(box, exec);
    EXPECT_TRUE(recorder.out.starts_with("/tmp\nbox exec\ngiven")) << recorder.out;
}

TEST_F(AbuseTest, StdinMayStayOpen) {
    const sphere::SandboxId box = make();
    Recorder heard;
    sphere::ExecSpec spec;
    spec.argv = {"cat"};
    spec.stdin_open = true;
    const auto exec = sphere->start(box, spec, heard);
    ASSERT_TRUE(exec);
    ASSERT_TRUE(sphere->write_stdin(box, *exec, "one ", false));
    ASSERT_TRUE(sphere->write_stdin(box, *exec, "two", true));
    for (int i = 0; sphere->info(box)->running > 0; ++i) std::this_thread::yield();
    run(box, {.argv = {"true"}});  // the loop has delivered what came before
    EXPECT_EQ(heard.out, "one two");
    EXPECT_FALSE(sphere->write_stdin(box, *exec, "late", false));
}

TEST_F(AbuseTest, WhatCannotStartIsNamed) {
    const sphere::SandboxId box = make();
    const auto fails = [&](sphere::ExecSpec spec) {
        Recorder unheard;
        const auto started = sphere->start(box, spec, unheard);
        EXPECT_FALSE(started);
        EXPECT_FALSE(unheard.result.has_value());
        return started ? Code::internal : started.error().code;
    };
    EXPECT_EQ(fails({.argv = {"no-such-program"}}), Code::not_found);
    EXPECT_EQ(fails({.argv = {"/etc/passwd"}}), Code::invalid_argument);
    sphere::ExecSpec nowhere;
    nowhere.argv = {"true"};
    nowhere.working_directory = "/nowhere";
    EXPECT_EQ(fails(nowhere), Code::not_found);
    EXPECT_EQ(fails({.argv = {"true", std::string(200'000, 'x')}}), Code::payload_too_large);
    Recorder unheard;
    EXPECT_EQ(sphere->start("sbx-unknown", {.argv = {"true"}}, unheard).error().code,
              Code::not_found);
    run(box, {.argv = {"true"}});
    EXPECT_EQ(recorder.result->exit_code, 0);
    EXPECT_EQ(sphere->info(box)->running, 0u);
}

TEST_F(AbuseTest, WhatIsNotBuiltIsRefusedWithItsName) {
    if (in_container()) GTEST_SKIP() << "see ContainerTest.WhatItCannotHoldIsRefusedByName";
    const auto code = [&](auto change) {
        sphere::SandboxSpec spec;
        change(spec);
        const auto box = sphere->create(spec);
        return box ? std::string("made") : box.error().subject;
    };
    EXPECT_EQ(code([](auto& s) { s.isolation = sphere::Isolation::gvisor; }), "isolation");
    EXPECT_EQ(code([](auto& s) { s.isolation = sphere::Isolation::microvm; }), "isolation");
    EXPECT_EQ(code([](auto& s) { s.isolation = sphere::Isolation::process; }), "isolation");
    EXPECT_EQ(code([](auto& s) {
                  s.network.mode = sphere::NetworkMode::egress;
                  s.network.allow_domains = {"example.org", "0x7f.1"};
              }),
              "network.allow_domains[1]");
    EXPECT_EQ(code([](auto& s) {
                  s.network.mode = sphere::NetworkMode::full;
                  s.network.allow_cidrs = {"10.0.0.1/8"};
              }),
              "network.allow_cidrs[0]");
    EXPECT_EQ(code([](auto& s) { s.limits.gpu_share = 1; }), "limits.gpu_share");
    EXPECT_EQ(code([](auto& s) { s.secrets = {"key"}; }), "secrets");
    EXPECT_EQ(code([](auto& s) {
                  s.root = {sphere::RootSpec::Kind::image, "/no/such/image"};
              }),
              "root.path");
    EXPECT_EQ(code([](auto& s) {
                  s.root = {sphere::RootSpec::Kind::directory, "/no/such/folder"};
              }),
              "root.path");
    EXPECT_TRUE(sphere->list().empty());
}

TEST_F(AbuseTest, ProcessorTimeEndsACommand) {
    const sphere::SandboxId box = make();
    sphere::ExecSpec spec;
    spec.argv = {"sh", "-c", "while :; do :; done"};
    spec.wall_timeout = 60s;
    spec.cpu_timeout = 300ms;
    run(box, spec);
    EXPECT_EQ(recorder.result->reason, EndReason::cpu_time);
    if (!own_kernel()) {  // which counts waiting too, so its clock is ahead of the host's
        EXPECT_GE(recorder.result->cpu, 300ms);
    }
}

TEST_F(AbuseTest, APausedBoxDoesNothingUntilItIsResumed) {
    const sphere::SandboxId box = make();
    Recorder heard;
    sphere::ExecSpec spec;
    spec.argv = {"sh", "-c", "while :; do :; done"};
    const auto exec = sphere->start(box, spec, heard);
    ASSERT_TRUE(exec);
    ASSERT_TRUE(sphere->pause(box));
    EXPECT_EQ(sphere->info(box)->state, sphere::SandboxState::paused);
    if (limited_by_groups("tree kill and freeze")) {
        const auto before = sphere->info(box)->cpu;
        const auto until = clock.now() + 100ms;
        while (clock.now() < until) std::this_thread::yield();
        EXPECT_EQ(sphere->info(box)->cpu, before);
    }
    Recorder refused;
    EXPECT_EQ(sphere->start(box, {.argv = {"true"}}, refused).error().code,
              Code::failed_precondition);
    ASSERT_TRUE(sphere->resume(box));
    run(box, {.argv = {"echo", "on"}});
    EXPECT_EQ(recorder.out, "on\n");
    ASSERT_TRUE(sphere->pause(box));
    ASSERT_TRUE(sphere->destroy(box));  // as it is
    EXPECT_EQ(heard.result->reason, EndReason::stopped);
}

TEST_F(AbuseTest, SignalsReachACommandAndDestroyIsIdempotent) {
    const sphere::SandboxId box = make();
    Counter heard;
    sphere::ExecSpec spec;
    spec.argv = {"sh", "-c", "trap 'echo got; exit 3' USR1; echo up; while :; do sleep 0.01; done"};
    const auto exec = sphere->start(box, spec, heard);
    ASSERT_TRUE(exec);
    while (sphere->info(box)->running > 0) {  // it says "up" when its trap stands
        if (heard.heard()) static_cast<void>(sphere->signal(box, *exec, SIGUSR1));
        std::this_thread::yield();
    }
    run(box, {.argv = {"true"}});
    EXPECT_EQ(heard.result->exit_code, 3);
    EXPECT_TRUE(sphere->destroy(box));
    EXPECT_TRUE(sphere->destroy(box));
    EXPECT_EQ(sphere->info(box)->state, sphere::SandboxState::ended);
    EXPECT_EQ(sphere->destroy("sbx-unknown").error().code, Code::not_found);
}

TEST_F(AbuseTest, BoxesFromThePoolAreLikeAnyOther) {
    if (in_container()) GTEST_SKIP() << "containers have no pool";
    open(3);
    sphere::SandboxSpec spec;
    spec.limits.processes_max = 25;
    for (int i = 0; i < 12; ++i) {
        const sphere::SandboxId box = make(spec);
        const Answers answers = abuse(box, {"s26_processes"});
        EXPECT_LE(number(answers, "made"), 25);
        EXPECT_EQ(one(abuse(make(), {"s51_look"}), "/tmp"), "0");
        ASSERT_TRUE(sphere->destroy(box));
    }
}

TEST_F(AbuseTest, AtTheLimitMoreAreRefused) {
    open({.state_dir = state.path(), .sandboxes_max = 2, .pool_size = 1});
    sphere::SandboxSpec spec;
    spec.isolation = level();
    ASSERT_TRUE(sphere->create(spec));
    const auto second = sphere->create(spec);
    ASSERT_TRUE(second);
    EXPECT_EQ(sphere->create(spec).error().code, Code::resource_exhausted);
    ASSERT_TRUE(sphere->destroy(*second));
    EXPECT_TRUE(sphere->create(spec));
}

TEST_F(AbuseTest, ABoxWhoseLifetimeIsOverEnds) {
    sphere::SandboxSpec spec;
    spec.limits.lifetime = 50ms;
    const sphere::SandboxId box = make(spec);
    while (!sphere->list().empty()) std::this_thread::yield();
    EXPECT_EQ(sphere->info(box)->state, sphere::SandboxState::ended);
}

TEST_F(AbuseTest, DestroyedBoxesAndClosedSpheresLeaveNoGroup) {
    const std::vector<std::string> groups = recorded_groups();
    for (int i = 0; i < 10; ++i) {
        const sphere::SandboxId box = make();
        run(box, {.argv = {"sh", "-c", "sleep 1000 & sleep 1000 & echo"}});
        ASSERT_TRUE(sphere->destroy(box));
        for (const std::string& group : groups) {
            EXPECT_FALSE(std::filesystem::exists(group + "/" + box)) << group;
        }
    }
    sphere.reset();
    for (const std::string& group : groups) EXPECT_FALSE(std::filesystem::exists(group)) << group;
}

/// A server of its own process with a box in which something runs; its number once it is up.
pid_t start_server(const std::string& state_dir) {
    int told[2];
    if (::pipe2(told, O_CLOEXEC) != 0) return -1;
    const pid_t server = ::fork();
    if (server == 0) {
        // Nothing of the test's: what it holds locked would stay so as long as this process lives.
        const int tell = ::dup2(told[1], 3);
        ::close_range(4, ~0u, 0);
        base::SystemClock theirs;
        auto opened = sphere::Sphere::open(
            {.state_dir = state_dir, .sandboxes_max = 8, .pool_size = 2}, theirs);
        if (!opened) ::_exit(1);
        const auto box = (*opened)->create({});
        Recorder heard;
        if (!box || !(*opened)->start(
                        *box, {.argv = {"sh", "-c", "setsid sleep 12345 & sleep 12345"}}, heard)) {
            ::_exit(2);
        }
        if (::write(tell, "x", 1) != 1) ::_exit(3);
        for (;;) ::pause();
    }
    ::close(told[1]);
    char up = 0;
    const bool is_up = ::read(told[0], &up, 1) == 1;
    ::close(told[0]);
    return is_up ? server : -1;
}

TEST_F(AbuseTest, AServersGroupsAreFoundWhenNothingElseIsLeftOfIt) {
    if (recorded_groups().empty()) GTEST_SKIP() << "no groups on this host";
    sphere.reset();
    const pid_t killed = start_server(state.path());
    ASSERT_GT(killed, 0);
    const std::vector<std::string> of_killed = recorded_groups();
    for (const auto& entry : std::filesystem::directory_iterator(state.path())) {
        std::filesystem::remove_all(entry.path());
    }
    const pid_t living = start_server(state.path());
    ASSERT_GT(living, 0);
    const std::vector<std::string> of_living = recorded_groups();
    for (const std::string& group : of_killed) {
        EXPECT_TRUE(std::filesystem::exists(group)) << group << ": its server lived";
    }
    for (const auto& entry : std::filesystem::directory_iterator(state.path())) {
        std::filesystem::remove_all(entry.path());
    }
    ASSERT_EQ(::kill(killed, SIGKILL), 0);
    ::waitpid(killed, nullptr, 0);
    open();
    for (const std::string& group : of_killed) {
        EXPECT_FALSE(std::filesystem::exists(group)) << group;
    }
    for (const std::string& group : of_living) {
        EXPECT_TRUE(std::filesystem::exists(group)) << group << ": its server lives";
        EXPECT_FALSE(group_is_empty(group)) << group << ": and so does its box";
    }
    ASSERT_EQ(::kill(living, SIGKILL), 0);
    ::waitpid(living, nullptr, 0);
    sphere.reset();
    open();
    for (const std::string& group : of_living) {
        EXPECT_FALSE(std::filesystem::exists(group)) << group;
    }
}

TEST_F(AbuseTest, AKilledServerLeavesNoProcessAndTheNextOneNoGroup) {
    sphere.reset();
    const pid_t server = start_server(state.path());
    ASSERT_GT(server, 0);
    const std::vector<std::string> groups = recorded_groups();
    ASSERT_EQ(::kill(server, SIGKILL), 0);
    ::waitpid(server, nullptr, 0);
    // Its boxes end by themselves: every group runs empty before anybody cleans up.
    for (const std::string& group : groups) {
        for (int tries = 0; !group_is_empty(group); ++tries) {
            ASSERT_LT(tries, 2000) << group << " still has processes";
            ::poll(nullptr, 0, 5);
        }
    }
    open();
    for (const std::string& group : groups) {
        EXPECT_FALSE(std::filesystem::exists(group)) << group;
    }
}

}  // namespace
}  // namespace test
