// Live forks of sessions: what both know, what they share, and when a fork is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "sphere/session/session.h"
#include "support/temp_dir.h"

namespace {

using base::Code;
using sphere::CellStatus;
using sphere::Language;
using sphere::SessionId;
using sphere::SessionInfo;
using ::testing::HasSubstr;

class SessionForks : public ::testing::Test {
protected:
    void SetUp() override {
        if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "THIS HOST HAS NO python3";
        auto opened = sphere::Sphere::open({.state_dir = state_.path(), .pool_size = 0}, clock_);
        if (!opened) GTEST_SKIP() << "this host cannot make sandboxes: " << opened.error().message;
        for (const auto& fact : sphere::inspect_host().facts) {
            if (fact.primitive == "tree kill and freeze" &&
                fact.finding != sphere::Finding::works) {
                GTEST_SKIP() << "NO CGROUP V2 TREE HERE: no forks";
            }
        }
        sphere_ = std::move(*opened);
        sessions_ = std::make_unique<sphere::SessionManager>(*sphere_, clock_);
        open();
    }
    void open(const sphere::SandboxSpec& spec = {}) {
        box_ = *sphere_->create(spec);
        const auto opened = sessions_->open(box_, Language::python);
        ASSERT_TRUE(opened) << opened.error().message;
        first_ = opened->id;
    }
    sphere::SessionManager::Output run(SessionId session, std::string code) {
        auto output = sessions_->run(box_, session, {.code = std::move(code)});
        EXPECT_TRUE(output) << output.error().message;
        return output ? *output : sphere::SessionManager::Output{};
    }
    std::string value(SessionId session, std::string code) {
        return run(session, std::move(code)).result.result_text;
    }
    SessionId fork(SessionId session) {
        const auto forked = sessions_->fork(box_, session);
        EXPECT_TRUE(forked) << forked.error().message;
        return forked ? forked->id : 0;
    }

    test::TempDir state_;
    base::SystemClock clock_;
    std::unique_ptr<sphere::Sphere> sphere_;
    std::unique_ptr<sphere::SessionManager> sessions_;
    sphere::SandboxId box_;
    SessionId first_ = 0;
};

TEST_F(SessionForks, BothKnowWhatWasAndGoOnAlone) {
    run(first_, "x = [1, 2]\ndef f():\n    return sum(x)");
    run(first_, "big = bytearray(8 << 20); big[-1] = 7");
    const auto forked = sessions_->fork(box_, first_);
    ASSERT_TRUE(forked) << forked.error().message;
    EXPECT_EQ(forked->forked_from, first_);
    EXPECT_EQ(forked->state, SessionInfo::State::idle);
    EXPECT_EQ(forked->language, Language::python);
    EXPECT_FALSE(forked->version.empty());
    EXPECT_NE(forked->id, first_);
    run(first_, "x.append(10)");
    const auto there = run(forked->id, "x.append(100); print('heard here'); f()");
    EXPECT_EQ(there.result.number, 3u) << "it counts on";
    EXPECT_EQ(there.result.result_text, "103");
    EXPECT_EQ(there.out, "heard here\n");
    EXPECT_EQ(value(first_, "f()"), "13");
    EXPECT_EQ(value(forked->id, "big[-1], len(big)"), "(7, 8388608)");
    EXPECT_NE(value(first_, "import os; os.getpid()"), value(forked->id, "import os; os.getpid()"));
    EXPECT_EQ(sessions_->list(box_).size(), 2u);
}

TEST_F(SessionForks, TheForkOutlivesWhatItWasForkedFromAndForksAgain) {
    run(first_, "word = 'kept'");
    const SessionId second = fork(first_);
    ASSERT_TRUE(sessions_->close(box_, first_));
    EXPECT_EQ(value(second, "word"), "'kept'");
    const SessionId third = fork(second);
    ASSERT_TRUE(sessions_->close(box_, second));
    EXPECT_EQ(value(third, "word"), "'kept'");
    while (sphere_->info(box_)->running > 1) std::this_thread::yield();
    EXPECT_EQ(run(third, "import os; os._exit(5)").result.status, CellStatus::ended);
    EXPECT_THAT(sessions_->info(box_, third)->end_reason, HasSubstr("code 5"))
        << "its end is told as any command's";
}

TEST_F(SessionForks, EachIsInterruptedAlone) {
    run(first_, "x = 1");
    const SessionId second = fork(first_);
    struct Sink final : sphere::CellSink {
        void on_output(sphere::Stream, std::string_view) override { begun = true; }
        void on_result(const sphere::CellResult& result) override {
            status = result.status;
            ended = true;
        }
        std::atomic<bool> begun = false, ended = false;
        std::atomic<CellStatus> status = CellStatus::ok;
    };
    const auto in_first = std::make_shared<Sink>(), in_second = std::make_shared<Sink>();
    const std::string endless = "print('begun')\nwhile True: pass";
    ASSERT_TRUE(sessions_->start(box_, first_, {.code = endless}, in_first));
    ASSERT_TRUE(sessions_->start(box_, second, {.code = endless}, in_second));
    while (!in_first->begun || !in_second->begun) std::this_thread::yield();
    ASSERT_TRUE(sessions_->interrupt(box_, second));
    while (!in_second->ended) std::this_thread::yield();
    EXPECT_EQ(in_second->status, CellStatus::interrupted);
    EXPECT_FALSE(in_first->ended);
    EXPECT_EQ(value(second, "x"), "1");
    ASSERT_TRUE(sessions_->interrupt(box_, first_));
    while (!in_first->ended) std::this_thread::yield();
}

TEST_F(SessionForks, TheyDrawDifferentNumbers) {
    const std::string draw =
        "import random, os\nd = [random.random(), os.urandom(4)]\n"
        "try:\n    import numpy\n    d.append(numpy.random.rand())\nexcept ImportError:\n    "
        "pass\nd";
    run(first_, "import random; random.seed(1)");
    run(first_, draw);
    const SessionId second = fork(first_);
    EXPECT_NE(value(first_, draw), value(second, draw));
}

TEST_F(SessionForks, ASessionWithOtherThreadsIsRefusedAndLives) {
    run(first_,
        "import threading\ngo = threading.Event()\nt = threading.Thread(target=go.wait)\n"
        "t.start()");
    const auto refused = sessions_->fork(box_, first_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::failed_precondition);
    EXPECT_THAT(refused.error().message, HasSubstr("1 other thread"));
    run(first_, "go.set(); t.join()");
    EXPECT_EQ(value(fork(first_), "t.is_alive()"), "False");
    EXPECT_EQ(value(first_, "1 + 1"), "2");
}

TEST_F(SessionForks, RefusedWhileACellRunsAndForOtherLanguages) {
    struct Sink final : sphere::CellSink {
        void on_output(sphere::Stream, std::string_view) override { begun = true; }
        void on_result(const sphere::CellResult&) override { ended = true; }
        std::atomic<bool> begun = false, ended = false;
    };
    const auto sink = std::make_shared<Sink>();
    ASSERT_TRUE(sessions_->start(box_, first_, {.code = "print('begun')\nwhile True: pass"}, sink));
    while (!sink->begun) std::this_thread::yield();
    EXPECT_EQ(sessions_->fork(box_, first_).error().code, Code::failed_precondition);
    ASSERT_TRUE(sessions_->interrupt(box_, first_));
    while (!sink->ended) std::this_thread::yield();
    const auto bash = sessions_->open(box_, Language::bash);
    ASSERT_TRUE(bash);
    EXPECT_EQ(sessions_->fork(box_, bash->id).error().code, Code::unimplemented);
    EXPECT_EQ(sessions_->fork(box_, 999).error().code, Code::not_found);
}

TEST_F(SessionForks, TheLimitOfProcessesHolds) {
    sphere::SandboxSpec spec;
    spec.limits.processes_max = 1;
    open(spec);
    run(first_, "x = 1");
    const auto refused = sessions_->fork(box_, first_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::failed_precondition);
    EXPECT_EQ(value(first_, "x"), "1");
    EXPECT_EQ(sessions_->list(box_).size(), 1u);
    EXPECT_EQ(sphere_->info(box_)->running, 1u);
}

TEST_F(SessionForks, ClosingAForkEndsWhatItStartedAndNothingElse) {
    run(first_, "import subprocess\na = subprocess.Popen(['sleep', '1000'])");
    const SessionId second = fork(first_);
    run(second, "import subprocess\nb = subprocess.Popen(['sleep', '1000'])\nb.pid");
    run(first_,
        "import os\ndef sleeps():\n    n = 0\n    for p in os.listdir('/proc'):\n"
        "        if p.isdigit():\n            try:\n"
        "                n += open(f'/proc/{p}/comm').read() == 'sleep\\n'\n"
        "            except OSError:\n                pass\n    return n");
    EXPECT_EQ(value(first_, "sleeps()"), "2");
    ASSERT_TRUE(sessions_->close(box_, second));
    EXPECT_EQ(value(first_, "import time\nwhile sleeps() > 1: time.sleep(0.001)\na.poll()"), "")
        << "its own goes on";
    EXPECT_EQ(value(first_, "sleeps()"), "1");
}

TEST_F(SessionForks, ACommandThatCannotForkIsNotAskedTo) {
    struct Sink final : sphere::ExecSink {
        void on_output(sphere::Stream, std::string_view) override {}
        void on_end(const sphere::ExecResult&) override {}
    } sink, fork;
    const auto cat = sphere_->start(box_, {.argv = {"cat"}, .stdin_open = true}, sink);
    ASSERT_TRUE(cat);
    EXPECT_EQ(sphere_->fork_command(box_, *cat, fork).error().code, Code::failed_precondition);
    // One that answers nonsense is refused with what it said, made harmless.
    const auto liar = sphere_->start(
        box_,
        {.argv = {"python3", "-c",
                  "import socket\ns = socket.socket(fileno=0)\n"
                  "kept = socket.recv_fds(s, 64, 4)\ns.send(b'no\\tfork\\n')\ns.recv(9)"},
         .stdin_open = true,
         .stdin_socket = true},
        sink);
    ASSERT_TRUE(liar);
    const auto refused = sphere_->fork_command(box_, *liar, fork);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::failed_precondition);
    EXPECT_THAT(refused.error().message, HasSubstr("no?fork"));
    // One that ends is no fork either.
    const auto gone = sphere_->start(
        box_, {.argv = {"sh", "-c", "read -r order"}, .stdin_open = true, .stdin_socket = true},
        sink);
    ASSERT_TRUE(gone);
    const Code code = sphere_->fork_command(box_, *gone, fork).error().code;
    EXPECT_TRUE(code == Code::unavailable || code == Code::not_found)
        << "it may have been seen to end before it was answered for";
    ASSERT_TRUE(sphere_->destroy(box_));
}

}  // namespace
