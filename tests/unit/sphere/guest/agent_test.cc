// Commands through the real agent: streams, signals, limits, ends.
#include <condition_variable>
#include <mutex>

#include "agent_fixture.h"

namespace test {
namespace {

using base::Code;
using sphere::EndReason;

/// Lets a test wait for what a command prints or for its end.
class WaitingSink final : public sphere::ExecSink {
public:
    void on_output(sphere::Stream, std::string_view bytes) override {
        const std::lock_guard lock(mutex_);
        text_ += bytes;
        changed_.notify_all();
    }
    void on_end(const sphere::ExecResult& result) override {
        const std::lock_guard lock(mutex_);
        result_ = result;
        changed_.notify_all();
    }
    std::string wait_for(const std::string& text) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(60),
                          [&] { return result_ || text_.find(text) != std::string::npos; });
        return text_;
    }
    sphere::ExecResult wait() {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(60), [&] { return result_.has_value(); });
        return result_.value_or(sphere::ExecResult{});
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_;
    std::optional<sphere::ExecResult> result_;
};

sphere::ExecSpec shell(const std::string& code) {
    return {.argv = {"sh", "-c", code}, .working_directory = "/"};
}

TEST_F(AgentTest, ACommandsStreamsAndStatusComeBack) {
    run(shell("echo out; echo err >&2; exit 7"));
    EXPECT_EQ(recorder.out, "out\n");
    EXPECT_EQ(recorder.err, "err\n");
    EXPECT_EQ(recorder.result->reason, EndReason::exited);
    EXPECT_EQ(recorder.result->exit_code, 7);
}

TEST_F(AgentTest, AMegabyteOfInputGoesThroughWholeAndInOrder) {
    std::string text;
    for (int i = 0; text.size() < (3u << 20); ++i) text += std::to_string(i) + "\n";
    auto spec = shell("cat");
    spec.stdin_text = text;
    run(spec);
    EXPECT_EQ(recorder.out.size(), text.size());
    EXPECT_TRUE(recorder.out == text);
}

TEST_F(AgentTest, ACommandThatDoesNotReadStopsNoOther) {
    auto spec = shell("exec sleep 1000");
    spec.stdin_text = std::string(1 << 20, 'x');
    spec.wall_timeout = std::chrono::milliseconds(0);
    WaitingSink sleeping;
    const auto exec = sphere->start(box, spec, sleeping);
    ASSERT_TRUE(exec) << exec.error().message;
    run(shell("echo here"));
    EXPECT_EQ(recorder.out, "here\n");
    ASSERT_TRUE(sphere->signal(box, *exec, SIGKILL));
    EXPECT_EQ(sleeping.wait().reason, EndReason::stopped);
}

TEST_F(AgentTest, InputThatStaysOpenTakesMoreAndThenEnds) {
    auto spec = shell("while read line; do echo got $line; done; echo end");
    spec.stdin_open = true;
    WaitingSink sink;
    const auto exec = sphere->start(box, spec, sink);
    ASSERT_TRUE(exec);
    ASSERT_TRUE(sphere->write_stdin(box, *exec, "one\n", false));
    EXPECT_NE(sink.wait_for("got one").find("got one"), std::string::npos);
    ASSERT_TRUE(sphere->write_stdin(box, *exec, "two\n", true));
    EXPECT_EQ(sink.wait().exit_code, 0);
    EXPECT_EQ(sink.wait_for(""), "got one\ngot two\nend\n");
    EXPECT_EQ(sphere->write_stdin(box, *exec, "x", false).error().code, Code::not_found);
}

TEST_F(AgentTest, ATerminalIsOneAndHasTheSizeAskedFor) {
    auto spec = shell("tty >/dev/null && stty size");
    spec.tty = true;
    spec.tty_columns = 133;
    spec.tty_rows = 41;
    WaitingSink sink;
    ASSERT_TRUE(sphere->start(box, spec, sink));
    EXPECT_EQ(sink.wait().exit_code, 0);
    EXPECT_EQ(sink.wait_for(""), "41 133\r\n");
}

TEST_F(AgentTest, ASignalReachesTheCommandsGroup) {
    WaitingSink sink;
    auto spec = shell("trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    const auto exec = sphere->start(box, spec, sink);
    ASSERT_TRUE(exec);
    sink.wait_for("ready");
    ASSERT_TRUE(sphere->signal(box, *exec, SIGTERM));
    EXPECT_EQ(sink.wait().exit_code, 3);
    EXPECT_EQ(sphere->signal(box, 12345, SIGTERM).error().code, Code::not_found);
}

TEST_F(AgentTest, TimeThatRunsOutEndsACommand) {
    auto spec = shell("trap '' TERM; while :; do sleep 1000; done");
    spec.wall_timeout = std::chrono::milliseconds(50);
    run(spec);
    EXPECT_EQ(recorder.result->reason, EndReason::wall_time);
}

TEST_F(AgentTest, ProcessorTimeThatRunsOutEndsACommand) {
    auto spec = shell("while :; do :; done");
    spec.cpu_timeout = std::chrono::milliseconds(1000);
    run(spec);
    EXPECT_EQ(recorder.result->reason, EndReason::cpu_time);
}

TEST_F(AgentTest, OutputIsCutAndTheRestCounted) {
    auto spec = shell("head -c 3000000 /dev/zero");
    spec.output_bytes_max = 1000;
    run(spec);
    EXPECT_EQ(recorder.out.size(), 1000u);
    EXPECT_EQ(recorder.result->output_bytes, 3'000'000u);
    EXPECT_EQ(recorder.result->output_dropped, 2'999'000u);
}

TEST_F(AgentTest, WhatCannotBeRunIsToldByName) {
    const auto missing =
        sphere->exec(box, {.argv = {"no-such-program"}, .working_directory = "/"}, recorder);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Code::not_found);
    EXPECT_EQ(missing.error().subject, "argv[0]");
    const auto nowhere =
        sphere->exec(box, {.argv = {"true"}, .working_directory = "/no/such"}, recorder);
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().subject, "working_directory");
}

TEST_F(AgentTest, MoreCommandsThanPlacesAreRefusedAndPlacesComeBack) {
    std::vector<std::unique_ptr<WaitingSink>> sinks;
    std::vector<sphere::ExecId> execs;
    for (;;) {
        sinks.push_back(std::make_unique<WaitingSink>());
        auto exec = sphere->start(box, shell("exec sleep 1000"), *sinks.back());
        if (!exec) {
            EXPECT_EQ(exec.error().code, Code::resource_exhausted) << exec.error().message;
            sinks.pop_back();
            break;
        }
        execs.push_back(*exec);
        ASSERT_LE(execs.size(), 64u);
    }
    EXPECT_EQ(execs.size(), 64u);
    ASSERT_TRUE(sphere->signal(box, execs.front(), SIGTERM));
    sinks.front()->wait();
    WaitingSink last;
    EXPECT_TRUE(sphere->start(box, shell("true"), last));
    last.wait();
    ASSERT_TRUE(sphere->destroy(box));
    for (const auto& sink : sinks) sink->wait();
}

TEST_F(AgentTest, ABoxWhoseAgentDiesReportsItsCommandsAndIsCleanedUp) {
    WaitingSink sink;
    ASSERT_TRUE(sphere->start(box, shell("exec sleep 1000"), sink));
    // Here nothing ends with the agent but itself: what it started is ended by hand.
    const std::vector<pid_t> started = children_of(maker->last_pid);
    EXPECT_EQ(started.size(), 1u);
    ::kill(maker->last_pid, SIGKILL);
    EXPECT_EQ(sink.wait().signal, SIGKILL);
    for (const pid_t child : started) ::kill(-child, SIGKILL);
    EXPECT_FALSE(sphere->start(box, shell("true"), recorder));
    EXPECT_TRUE(sphere->destroy(box));
    EXPECT_TRUE(sphere->destroy(box)) << "idempotent for a known id";
    EXPECT_EQ(sphere->info(box)->state, sphere::SandboxState::ended);
}

TEST_F(AgentTest, APausedBoxTakesNoCommandsUntilItIsResumed) {
    ASSERT_TRUE(sphere->pause(box));
    EXPECT_EQ(sphere->info(box)->state, sphere::SandboxState::paused);
    EXPECT_EQ(sphere->start(box, shell("true"), recorder).error().code, Code::failed_precondition);
    ASSERT_TRUE(sphere->resume(box));
    run(shell("echo again"));
    EXPECT_EQ(recorder.out, "again\n");
}

TEST_F(AgentTest, AnEmergencyStopEndsWhatItCoversAndForbidsMore) {
    WaitingSink sink;
    ASSERT_TRUE(sphere->start(box, shell("sleep 1000"), sink));
    EXPECT_EQ(sphere->emergency_stop({.tenant = "other"}), 0u);
    EXPECT_EQ(sphere->emergency_stop({.tenant = "default"}), 1u);
    const sphere::ExecResult result = sink.wait();
    EXPECT_EQ(result.reason, EndReason::emergency)
        << "status " << result.exit_code << ", signal " << result.signal;
    EXPECT_EQ(sphere->create({}).error().code, Code::permission_denied);
    ASSERT_TRUE(sphere->lift_stop({.tenant = "default"}));
    EXPECT_TRUE(sphere->create({}));
}

TEST_F(AgentTest, AStopWhileABoxIsBeingMadeEndsItToo) {
    maker->meanwhile = [&] { EXPECT_EQ(sphere->emergency_stop({}), 2u); };
    EXPECT_FALSE(sphere->create({}));
    maker->meanwhile = nullptr;
    EXPECT_TRUE(sphere->list().empty());
    ASSERT_TRUE(sphere->lift_stop({}));
    EXPECT_TRUE(sphere->create({}));
}

TEST_F(AgentTest, TheMostBoxesIsHeld) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(sphere->create({}));
    EXPECT_EQ(sphere->create({}).error().code, Code::resource_exhausted);
    ASSERT_TRUE(sphere->destroy(box));
    EXPECT_TRUE(sphere->create({}));
}

TEST_F(AgentTest, ASecretIsAVariableOrRefused) {
    sphere::SandboxSpec spec;
    spec.secrets = {"token"};
    EXPECT_EQ(sphere->create(spec).error().code, Code::failed_precondition);
    EXPECT_EQ(sphere
                  ->create(spec, {{.name = "token",
                                   .value = "v",
                                   .environment = "",
                                   .header = "Authorization",
                                   .domains = {}}})
                  .error()
                  .code,
              Code::failed_precondition);
    const auto made = sphere->create(
        spec,
        {{.name = "token", .value = "v-42", .environment = "TOKEN", .header = "", .domains = {}}});
    ASSERT_TRUE(made);
    box = *made;
    run(shell("echo $TOKEN"));
    EXPECT_EQ(recorder.out, "v-42\n");
}

}  // namespace
}  // namespace test
