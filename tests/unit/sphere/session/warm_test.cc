// Sessions from boxes that wait with an interpreter: who gets one, what it must not share, and what
// becomes of the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "sphere/session/session.h"
#include "support/moved_clock.h"
#include "support/temp_dir.h"

namespace {

using namespace std::chrono_literals;
using base::Code;
using sphere::CellStatus;
using sphere::Language;
using sphere::SandboxId;
using sphere::SandboxState;
using sphere::SessionInfo;
using ::testing::HasSubstr;

/// Loaded by a warm interpreter and by nothing that a cold one loads.
constexpr const char* kIsWarm = "import sys; 'statistics' in sys.modules";

class WarmSessions : public ::testing::TestWithParam<Language> {
protected:
    void SetUp() override { open({}, 2); }

    void open(std::vector<Language> languages, std::uint32_t pool_size) {
        sessions_.reset();
        sphere_.reset();
        sphere::SphereOptions options{.state_dir = state_.path(), .pool_size = pool_size};
        for (const Language language : languages) {
            options.warm_commands.push_back(
                {.spec = sphere::session::driver_command(language, sphere::session::kPythonModules),
                 .least = 1,
                 .most = 2});
        }
        auto opened = sphere::Sphere::open(options, clock_);
        if (!opened) GTEST_SKIP() << "this host cannot make sandboxes: " << opened.error().message;
        sphere_ = std::move(*opened);
        sessions_ = std::make_unique<sphere::SessionManager>(*sphere_, clock_);
    }
    static bool is_here(Language language) {
        const char* const program = language == Language::node ? "/usr/bin/node" : "/usr/bin/bash";
        return language == Language::python ? ::access("/usr/bin/python3", X_OK) == 0
                                            : ::access(program, X_OK) == 0;
    }
    template <class Condition>
    void wait_until(const char* what, const Condition& condition) {
        const base::Instant until = system_.now() + 60s;
        while (!condition()) {
            ASSERT_LT(system_.now(), until) << what;
            std::this_thread::yield();
        }
    }
    void await_warm(std::uint32_t count = 1) {
        wait_until("an interpreter waits", [&] { return sphere_->pool().warm.at(0) >= count; });
    }
    sphere::SessionManager::Output run(const SandboxId& box, sphere::SessionId session,
                                       std::string code) {
        auto output = sessions_->run(box, session, {.code = std::move(code)});
        EXPECT_TRUE(output) << output.error().message;
        return output ? *output : sphere::SessionManager::Output{};
    }
    /// The last value of a first cell in a python session of `box`.
    std::string first_value(const SandboxId& box, std::string code) {
        const auto opened = sessions_->open(box, Language::python);
        EXPECT_TRUE(opened) << opened.error().message;
        return opened ? run(box, opened->id, std::move(code)).result.result_text : "";
    }
    /// Since the host began, in its own ticks: of the clock, and of a process's start.
    static long ticks_now() {
        double seconds = 0;
        std::ifstream("/proc/uptime") >> seconds;
        return static_cast<long>(seconds * static_cast<double>(::sysconf(_SC_CLK_TCK)));
    }
    /// Every process in a command's group of this sphere.
    std::vector<pid_t> processes() const {
        std::vector<pid_t> all;
        for (const auto& entry : std::filesystem::directory_iterator(state_.path())) {
            if (entry.path().extension() != ".sphere") continue;
            std::ifstream groups(entry.path());
            for (std::string group; std::getline(groups, group);) {
                std::error_code gone;
                for (const auto& each :
                     std::filesystem::recursive_directory_iterator(group, gone)) {
                    if (each.path().filename() != "cgroup.procs" ||
                        !each.path().parent_path().filename().string().starts_with("e")) {
                        continue;
                    }
                    std::ifstream numbers(each.path());
                    for (pid_t pid; numbers >> pid;) all.push_back(pid);
                }
            }
        }
        return all;
    }

    test::TempDir state_;
    test::MovedClock clock_;
    base::SystemClock system_;
    std::unique_ptr<sphere::Sphere> sphere_;
    std::unique_ptr<sphere::SessionManager> sessions_;
};

TEST_P(WarmSessions, TheInterpreterThatWaitedIsHandedOut) {
    if (!is_here(GetParam())) GTEST_SKIP() << "THIS HOST HAS NO " << language_name(GetParam());
    open({GetParam()}, 2);
    await_warm();
    const long ready = ticks_now();
    wait_until("the host's next tick", [&] { return ticks_now() > ready + 1; });
    const long asked = ticks_now();
    sphere::SandboxSpec spec;
    spec.name = "mine";
    spec.labels = {{"a", "b"}};
    spec.tenant = "tenant-1";
    const SandboxId box = *sphere_->create(spec);
    const auto session = sessions_->open(box, GetParam());
    ASSERT_TRUE(session) << session.error().message;
    EXPECT_EQ(session->state, SessionInfo::State::idle);
    EXPECT_FALSE(session->version.empty());
    const auto told = run(box, session->id,
                          GetParam() == Language::python ? "print(open('/proc/self/stat').read())"
                          : GetParam() == Language::node
                              ? "console.log(require('fs').readFileSync('/proc/self/stat', 'utf8'))"
                              : "read -r stat < /proc/$$/stat; echo \"$stat\"");
    std::istringstream fields(told.out.substr(std::min(told.out.find(')'), told.out.size())));
    long started = 0;
    std::string skipped;
    for (int field = 2; field < 22; ++field) fields >> skipped;
    fields.seekg(0);
    for (int field = 2; field < 22; ++field) fields >> skipped;
    fields >> started;
    ASSERT_GT(started, 0) << told.out;
    EXPECT_LT(started, asked) << "it began before anybody asked";

    const auto info = sphere_->info(box);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->spec.name, "mine");
    EXPECT_EQ(info->spec.tenant, "tenant-1");
    EXPECT_EQ(info->spec.labels.at("a"), "b");
    EXPECT_EQ(info->execs, 1u);
    EXPECT_EQ(sphere_->list().size(), 1u);
    ASSERT_TRUE(sphere_->destroy(box));
    EXPECT_EQ(sphere_->info(box)->state, SandboxState::ended);
}

INSTANTIATE_TEST_SUITE_P(EveryLanguage, WarmSessions,
                         ::testing::Values(Language::python, Language::node, Language::bash),
                         [](const auto& which) {
                             return std::string(sphere::language_name(which.param));
                         });

TEST_F(WarmSessions, OnlyABoxInWhichNothingWasDoneIsExchanged) {
    open({Language::python}, 2);
    struct Ignored final : sphere::ExecSink {
        void on_output(sphere::Stream, std::string_view) override {}
        void on_end(const sphere::ExecResult&) override {}
    } ignored;
    await_warm();
    const SandboxId ran = *sphere_->create({});
    ASSERT_TRUE(sphere_->exec(ran, {.argv = {"sh", "-c", "echo kept > file"}}, ignored));
    EXPECT_EQ(first_value(ran, kIsWarm), "False");
    EXPECT_EQ(first_value(ran, "open('file').read()"), "'kept\\n'");

    const SandboxId written = *sphere_->create({});
    ::close(*sphere_->open_workspace(written));
    EXPECT_EQ(first_value(written, kIsWarm), "False");

    const SandboxId kept = *sphere_->create({});
    ASSERT_TRUE(sphere_->snapshot(kept, "before"));
    EXPECT_EQ(first_value(kept, kIsWarm), "False");

    const SandboxId paused = *sphere_->create({});
    ASSERT_TRUE(sphere_->pause(paused));
    EXPECT_EQ(sessions_->open(paused, Language::python).error().code, Code::failed_precondition);

    await_warm();
    const SandboxId fresh = *sphere_->create({});
    EXPECT_EQ(first_value(fresh, kIsWarm), "True");
}

TEST_F(WarmSessions, WhatTheInterpreterWasStartedWithMustBeWhatTheBoxGives) {
    open({Language::python}, 2);
    await_warm();
    sphere::SandboxSpec spec;
    spec.environment = {{"PYTHONHASHSEED", "0"}, {"SPEECH", "plain"}};
    EXPECT_EQ(first_value(*sphere_->create(spec), "import os; os.environ['SPEECH']"), "'plain'");
    spec = {};
    spec.limits.open_files_max = 99;
    EXPECT_EQ(first_value(*sphere_->create(spec),
                          "import resource; resource.getrlimit(resource.RLIMIT_NOFILE)[0]"),
              "99");
    spec = {};
    spec.limits.workspace_bytes = 1 << 20;  // another shape
    EXPECT_EQ(first_value(*sphere_->create(spec), kIsWarm), "False");
    spec = {};
    spec.limits.cpus = 0.5;  // of the group: changed where it runs
    await_warm();
    const SandboxId half = *sphere_->create(spec);
    EXPECT_EQ(first_value(half, kIsWarm), "True");
    EXPECT_EQ(sphere_->info(half)->spec.limits.cpus, 0.5);
    // The box that it changed places with is handed out to nobody with these limits left.
    EXPECT_EQ(sphere_->info(*sphere_->create({}))->spec.limits.cpus, sphere::Limits{}.cpus);
}

TEST_F(WarmSessions, NoTwoShareChanceOrAddresses) {
    open({Language::python}, 4);
    std::vector<std::string> drawn;
    for (int i = 0; i < 4; ++i) {
        await_warm();
        sphere::SandboxSpec spec;
        spec.tenant = "tenant-" + std::to_string(i);
        const SandboxId box = *sphere_->create(spec);
        const auto session = sessions_->open(box, Language::python);
        ASSERT_TRUE(session) << session.error().message;
        EXPECT_EQ(run(box, session->id, kIsWarm).result.result_text, "True");
        for (const char* const code :
             {"import random; random.random()", "import os; os.urandom(8)", "hash('chance')",
              "id(object())",  // where its heap is
              "import random; random.getrandbits(64)", "import uuid; uuid.uuid4()"}) {
            drawn.push_back(run(box, session->id, code).result.result_text);
        }
        const auto numpy = run(box, session->id, "import numpy; numpy.random.rand()").result;
        if (numpy.status == CellStatus::ok) drawn.push_back(numpy.result_text);
    }
    std::ranges::sort(drawn);
    EXPECT_EQ(std::ranges::adjacent_find(drawn), drawn.end()) << ::testing::PrintToString(drawn);
}

TEST_F(WarmSessions, NumpyIsLoadedWhereItIsInstalled) {
    open({Language::python}, 2);
    await_warm();
    const std::string there =
        first_value(*sphere_->create({}),
                    "import sys, importlib.util as u; "
                    "(u.find_spec('numpy') is not None, 'numpy' in sys.modules)");
    if (there == "(False, False)") GTEST_SKIP() << "THIS HOST'S python3 HAS NO numpy";
    EXPECT_EQ(there, "(True, True)");
}

TEST_F(WarmSessions, NothingOfTheWarmingUpIsInTheCellsNames) {
    open({Language::python}, 2);
    const SandboxId cold = *sphere_->create({});
    ASSERT_TRUE(sphere_->open_workspace(cold).has_value());
    const std::string names = first_value(cold, "sorted(globals())");
    await_warm();
    EXPECT_EQ(first_value(*sphere_->create({}), "sorted(globals())"), names);
}

TEST_F(WarmSessions, OneThatIsKilledIsReplacedAndNobodyGetsIt) {
    open({Language::python}, 0);
    await_warm();
    const auto killed = processes();
    ASSERT_EQ(killed.size(), 1u);
    ASSERT_EQ(::kill(killed[0], SIGKILL), 0);
    wait_until("it is gone", [&] { return sphere_->pool().warm.at(0) == 0; });
    EXPECT_EQ(first_value(*sphere_->create({}), kIsWarm), "False") << "a cold one does it, too";
    // Not at once: what ends while it waits might do so again.
    wait_until("another one waits", [&] {
        clock_.advance(1s);
        return sphere_->pool().warm.at(0) == 1;
    });
    EXPECT_EQ(first_value(*sphere_->create({}), kIsWarm), "True");
}

TEST_F(WarmSessions, HowManyWaitFollowsDemandAndIsBounded) {
    open({Language::python}, 4);
    await_warm();
    for (int i = 0; i < 5; ++i) first_value(*sphere_->create({}), "1");
    await_warm(2);
    for (int i = 0; i < 200; ++i) {
        ASSERT_LE(sphere_->pool().warm.at(0), 2u);
        std::this_thread::yield();
    }
    EXPECT_LE(processes().size(), 5u + 2u + 4u) << "sessions, warm ones, prepared commands";
    clock_.advance(2min);
    wait_until("one too many is let go", [&] { return sphere_->pool().warm.at(0) == 1; });
}

TEST_F(WarmSessions, AProgramThatIsNotThereCostsNothing) {
    sphere::WarmCommand none;
    none.spec.argv = {"no-such-interpreter"};
    none.spec.stdin_open = true;
    sphere_.reset();
    auto opened = sphere::Sphere::open(
        {.state_dir = state_.path(), .pool_size = 1, .warm_commands = {none}}, clock_);
    if (!opened) GTEST_SKIP() << "this host cannot make sandboxes: " << opened.error().message;
    sphere_ = std::move(*opened);
    wait_until("an ordinary box waits", [&] { return sphere_->pool().boxes == 1; });
    EXPECT_EQ(sphere_->pool().warm.at(0), 0u);
    EXPECT_TRUE(sphere_->create({}));
}

TEST_F(WarmSessions, TheEmergencyStopEndsThemLikeAnyOther) {
    open({Language::python}, 2);
    await_warm();
    sphere::SandboxSpec spec;
    spec.tenant = "a";
    const SandboxId box = *sphere_->create(spec);
    const auto session = sessions_->open(box, Language::python);
    ASSERT_TRUE(session) << session.error().message;
    EXPECT_EQ(sphere_->emergency_stop({.tenant = "a"}), 1u);
    EXPECT_EQ(sphere_->info(box)->state, SandboxState::ended);
    const auto info = sessions_->info(box, session->id);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->state, SessionInfo::State::ended);
    EXPECT_THAT(info->end_reason, HasSubstr("emergency"));
    EXPECT_FALSE(sphere_->create(spec));
    spec.tenant = "b";
    EXPECT_TRUE(sphere_->create(spec));
}

TEST_F(WarmSessions, AnOpenSessionKeepsNoBoxFromIdlingOutButARunningCellDoes) {
    sphere::SandboxSpec spec;
    spec.limits.idle_timeout = 1h;
    const SandboxId idle = *sphere_->create(spec);
    const SandboxId works = *sphere_->create(spec);
    EXPECT_EQ(first_value(idle, "1"), "1");
    const auto session = sessions_->open(works, Language::bash);
    ASSERT_TRUE(session) << session.error().message;
    struct Begun final : sphere::CellSink {
        void on_output(sphere::Stream, std::string_view) override { begun = true; }
        void on_result(const sphere::CellResult&) override { ended = true; }
        std::atomic<bool> begun = false, ended = false;
    };
    const auto cell = std::make_shared<Begun>();
    ASSERT_TRUE(sessions_->start(works, session->id, {.code = "echo; while :; do :; done"}, cell));
    wait_until("the cell runs", [&] { return cell->begun.load(); });
    clock_.advance(2h);
    const auto is_gone = [&](const SandboxId& box) {
        return sphere_->info(box)->state == SandboxState::ended;
    };
    wait_until("the idle one is gone", [&] { return is_gone(idle); });
    EXPECT_FALSE(is_gone(works));
    ASSERT_TRUE(sessions_->interrupt(works, session->id));
    wait_until("the cell is over", [&] { return cell->ended.load(); });
    EXPECT_FALSE(is_gone(works)) << "its hour begins now";
    clock_.advance(2h);
    wait_until("the other one is gone", [&] { return is_gone(works); });
}

}  // namespace
