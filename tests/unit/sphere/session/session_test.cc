// Live sessions in real boxes, in every language this host has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/core/clock.h"
#include "sphere/session/session.h"
#include "support/temp_dir.h"

namespace {

using namespace std::chrono_literals;
using base::Code;
using sphere::CellResult;
using sphere::CellStatus;
using sphere::Language;
using sphere::SessionInfo;
using ::testing::HasSubstr;

class Sessions : public ::testing::TestWithParam<Language> {
protected:
    void SetUp() override {
        auto opened = sphere::Sphere::open({.state_dir = state_.path(), .pool_size = 0}, clock_);
        if (!opened) GTEST_SKIP() << "this host cannot make sandboxes: " << opened.error().message;
        sphere_ = std::move(*opened);
        sessions_ = std::make_unique<sphere::SessionManager>(*sphere_, clock_);
        box_ = *sphere_->create({});
    }
    void open(Language language) {
        const char* const program =
            language == Language::node ? "/usr/bin/node" : "/usr/bin/python3";
        if (language != Language::bash && ::access(program, X_OK) != 0) {
            GTEST_SKIP() << "THIS HOST HAS NO " << program;
        }
        const auto opened = sessions_->open(box_, language);
        ASSERT_TRUE(opened) << opened.error().message;
        EXPECT_EQ(opened->state, SessionInfo::State::idle);
        EXPECT_FALSE(opened->version.empty());
        session_ = opened->id;
    }
    sphere::SessionManager::Output run(std::string code, sphere::CellSpec spec = {}) {
        spec.code = std::move(code);
        auto output = sessions_->run(box_, session_, spec);
        EXPECT_TRUE(output) << output.error().message;
        return output ? *output : sphere::SessionManager::Output{};
    }

    test::TempDir state_;
    base::SystemClock clock_;
    std::unique_ptr<sphere::Sphere> sphere_;
    std::unique_ptr<sphere::SessionManager> sessions_;
    sphere::SandboxId box_;
    sphere::SessionId session_ = 0;
};

/// The same deed in each language.
struct Words {
    const char *set, *get, *get_output, *both_streams, *fail, *error, *endless, *quit;
};
Words words(Language language) {
    switch (language) {
        case Language::python:
            return {"x = 41",
                    "x + 1",
                    "",
                    "import sys; print('out'); print('err', file=sys.stderr)",
                    "1 / 0",
                    "ZeroDivisionError",
                    "print('begun')\nwhile True: pass",
                    "import os; os._exit(3)"};
        case Language::node:
            return {"x = 41",
                    "x + 1",
                    "",
                    "console.log('out'); console.error('err')",
                    "null.f",
                    "TypeError",
                    "console.log('begun'); for (;;) ;",
                    "process.exit(3)"};
        case Language::bash:
            break;
    }
    return {"x=41",
            "echo $((x + 1))",
            "42\n",
            "echo out; echo err >&2",
            "false",
            "",
            "echo begun; while :; do :; done",
            "exit 3"};
}

TEST_P(Sessions, WhatACellDefinesTheNextFinds) {
    open(GetParam());
    const Words word = words(GetParam());
    EXPECT_EQ(run(word.set).result.status, CellStatus::ok);
    const auto got = run(word.get);
    EXPECT_EQ(got.result.number, 2u);
    EXPECT_EQ(got.out, word.get_output);
    if (GetParam() != Language::bash) {
        EXPECT_EQ(got.result.result_text, "42");
        EXPECT_EQ(got.result.result_json, "42");
    }
}

TEST_P(Sessions, BothStreamsAndAFailureThatEndsNothing) {
    open(GetParam());
    const Words word = words(GetParam());
    const auto both = run(word.both_streams);
    EXPECT_EQ(both.out, "out\n");
    EXPECT_EQ(both.err, "err\n");
    const auto failed = run(word.fail);
    if (GetParam() == Language::bash) {
        EXPECT_EQ(failed.result.exit_code, 1);
    } else {
        EXPECT_EQ(failed.result.status, CellStatus::error);
        EXPECT_EQ(failed.result.error.name, word.error);
        EXPECT_THAT(failed.result.error.traceback, HasSubstr("<cell 2>"));
    }
    EXPECT_EQ(run(word.both_streams).out, "out\n");
}

TEST_P(Sessions, AnInterruptStopsTheCellAndTheSessionLives) {
    open(GetParam());
    const Words word = words(GetParam());
    run(word.set);
    struct Begun final : sphere::CellSink {
        void on_output(sphere::Stream, std::string_view) override { begun.set_value(); }
        void on_result(const CellResult& result) override { ended.set_value(result); }
        std::promise<void> begun;
        std::promise<CellResult> ended;
    };
    for (int round = 0; round < 2; ++round) {
        const auto sink = std::make_shared<Begun>();
        ASSERT_TRUE(sessions_->start(box_, session_, {.code = word.endless}, sink));
        sink->begun.get_future().wait();
        const auto second = sessions_->run(box_, session_, {.code = word.get});
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Code::failed_precondition);
        ASSERT_TRUE(sessions_->interrupt(box_, session_));
        EXPECT_EQ(sink->ended.get_future().get().status, CellStatus::interrupted);
    }
    EXPECT_TRUE(sessions_->interrupt(box_, session_)) << "nothing runs: nothing happens";
    const auto after = run(word.get);
    EXPECT_EQ(after.result.status, CellStatus::ok);
    EXPECT_EQ(after.out + after.result.result_text, GetParam() == Language::bash ? "42\n" : "42");
}

TEST_P(Sessions, ATimeLimitInterrupts) {
    open(GetParam());
    const Words word = words(GetParam());
    run(word.set);
    EXPECT_EQ(run(word.endless, {.code = {}, .wall_timeout = 50ms}).result.status,
              CellStatus::timed_out);
    EXPECT_EQ(run(word.get).result.status, CellStatus::ok);
}

TEST_P(Sessions, ACellThatEndsTheInterpreterEndsTheSessionWithAReason) {
    open(GetParam());
    const CellResult ended = run(words(GetParam()).quit).result;
    EXPECT_EQ(ended.status, CellStatus::ended);
    EXPECT_THAT(ended.error.message, HasSubstr("code 3"));
    EXPECT_EQ(sessions_->info(box_, session_)->state, SessionInfo::State::ended);
    const auto next = sessions_->run(box_, session_, {.code = "1"});
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().code, Code::failed_precondition);
    EXPECT_THAT(next.error().message, HasSubstr("code 3"));
}

TEST_P(Sessions, OutputIsCutAtItsLimitAndTheNextCellIsWhole) {
    open(GetParam());
    const char* const loud = GetParam() == Language::python ? "print('y' * 300000)"
                             : GetParam() == Language::node ? "console.log('y'.repeat(300000))"
                                                            : "printf 'y%.0s' {1..30000}";
    const auto output = run(loud, {.code = {}, .output_bytes_max = 1000});
    EXPECT_EQ(output.out.size(), 1000u);
    EXPECT_EQ(output.result.output_dropped, output.result.output_bytes - 1000);
    EXPECT_EQ(run(words(GetParam()).both_streams).out, "out\n");
}

INSTANTIATE_TEST_SUITE_P(EveryLanguage, Sessions,
                         ::testing::Values(Language::python, Language::node, Language::bash),
                         [](const auto& which) {
                             return std::string(sphere::language_name(which.param));
                         });

TEST_F(Sessions, ResultsAsTextAndAsJson) {
    open(Language::python);
    EXPECT_EQ(run("{'a': [1, 2.5, None]}").result.result_json, R"({"a": [1, 2.5, null]})");
    const CellResult plain = run("object()").result;
    EXPECT_THAT(plain.result_text, HasSubstr("object at"));
    EXPECT_EQ(plain.result_json, "");
    EXPECT_EQ(run("None").result.result_text, "");
    EXPECT_EQ(run("def f():\n    return 'é\\U0001F600'\nf()").result.result_text, "'é\U0001F600'");
    EXPECT_TRUE(run("'a' * 3000000").result.result_truncated);
    EXPECT_EQ(run("x = (").result.error.name, "SyntaxError");
}

TEST_F(Sessions, OutputOfChildrenAndWhatLooksLikeAnAnswerStaysOutput) {
    open(Language::python);
    EXPECT_EQ(run("import os; _ = os.system('echo child')").out, "child\n");
    const auto forged = run("print('\\x1e' + '0' * 32 + ' 2 1\\n{}', end='')");
    EXPECT_EQ(forged.out, "\x1e" + std::string(32, '0') + " 2 1\n{}");
    EXPECT_EQ(run("input()").result.error.name, "EOFError");
}

TEST_F(Sessions, ACellThatDoesNotHeedItsTimeLimitEndsTheSession) {
    open(Language::python);
    const CellResult result = run("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                                  "while True: pass",
                                  {.code = {}, .wall_timeout = 50ms})
                                  .result;
    EXPECT_EQ(result.status, CellStatus::timed_out);
    EXPECT_EQ(sessions_->info(box_, session_)->state, SessionInfo::State::ended);
}

TEST_F(Sessions, EachItsOwnAndGoneWithTheBox) {
    open(Language::python);
    const sphere::SessionId first = session_;
    run("x = 1");
    open(Language::python);
    EXPECT_NE(session_, first);
    EXPECT_EQ(run("x").result.error.name, "NameError");
    EXPECT_EQ(sessions_->list(box_).size(), 2u);
    ASSERT_TRUE(sessions_->close(box_, first));
    EXPECT_EQ(sessions_->list(box_).size(), 1u);
    EXPECT_EQ(sessions_->run(box_, first, {.code = "1"}).error().code, Code::not_found);
    ASSERT_TRUE(sphere_->destroy(box_));
    const auto after = sessions_->run(box_, session_, {.code = "1"});
    ASSERT_FALSE(after);
    const sphere::SandboxId other = *sphere_->create({});
    ASSERT_TRUE(sessions_->open(other, Language::bash));
    EXPECT_TRUE(sessions_->list(box_).empty()) << "forgotten with their box";
}

TEST_F(Sessions, WhatIsTooLargeIsRefused) {
    open(Language::bash);
    const auto large = sessions_->run(
        box_, session_, {.code = std::string(sphere::SessionManager::kCodeMax + 1, '#')});
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().subject, "code");
    EXPECT_FALSE(sessions_->run(box_, session_, {.code = std::string("a\0b", 3)}));
    const auto big = run(std::string(sphere::SessionManager::kCodeMax - 20, '#') + "\necho whole");
    EXPECT_EQ(big.out, "whole\n");
}

}  // namespace
