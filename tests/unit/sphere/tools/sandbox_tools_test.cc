// Tools of agents over real sandboxes.
#include "sphere/tools/sandbox_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>

#include "base/core/clock.h"
#include "support/temp_dir.h"

namespace {

namespace json = base::json;
using base::Code;
using sphere::tools::SandboxTools;
using sphere::tools::SandboxToolsOptions;
using sphere::tools::ToolCaller;
using ::testing::HasSubstr;
using ::testing::Not;

class Tools : public ::testing::Test {
protected:
    void SetUp() override {
        auto opened = sphere::Sphere::open({.state_dir = state.path(), .pool_size = 0}, clock);
        if (!opened) GTEST_SKIP() << "this host cannot make sandboxes: " << opened.error().message;
        sphere_ = std::move(*opened);
        sessions =
            std::make_unique<sphere::SessionManager>(*sphere_, clock, std::vector<std::string>{});
        make();
    }
    void make(SandboxToolsOptions options = {}) {
        tools = std::make_unique<SandboxTools>(*sphere_, *sessions, std::move(options));
    }
    json::object call(std::string_view name, json::object arguments) {
        const auto told = tools->call(who, name, arguments);
        EXPECT_TRUE(told) << told.error().message;
        return told ? *told : json::object{};
    }
    static std::string text(const json::object& told) {
        return std::string(told.at("content").at(0).at("text").as_string());
    }
    static bool failed(const json::object& told) { return told.at("isError").as_bool(); }
    std::string python(std::string_view code) { return text(call("run_code", {{"code", code}})); }

    test::TempDir state;
    base::SystemClock clock;
    std::unique_ptr<sphere::Sphere> sphere_;
    std::unique_ptr<sphere::SessionManager> sessions;
    std::unique_ptr<SandboxTools> tools;
    ToolCaller who{.tenant = "acme", .agent = "helper", .session = "one"};
};

TEST(ToolList, IsWhatModelsAndMcpWant) {
    const json::object listing = SandboxTools::listing();
    std::set<std::string> names;
    for (const json::value& tool : listing.at("tools").as_array()) {
        names.insert(std::string(tool.at("name").as_string()));
        EXPECT_GT(tool.at("description").as_string().size(), 40u);
        const json::object& schema = tool.at("inputSchema").as_object();
        EXPECT_EQ(schema.at("type").as_string(), "object");
        EXPECT_FALSE(schema.at("additionalProperties").as_bool());
        const json::object& properties = schema.at("properties").as_object();
        if (const auto* required = schema.if_contains("required")) {
            for (const json::value& name : required->as_array()) {
                EXPECT_TRUE(properties.contains(name.as_string()));
            }
        }
        for (const char* never : {"tenant", "agent", "session", "sandbox"}) {
            EXPECT_FALSE(properties.contains(never)) << never << " is the caller's to say";
        }
    }
    EXPECT_EQ(names,
              (std::set<std::string>{"run_code", "run_command", "read_file", "write_file",
                                     "edit_file", "list_files", "remove_file", "reset_sandbox"}));
}

TEST_F(Tools, AnInterpreterKeepsWhatCellsDefine) {
    EXPECT_EQ(python("x = 20\nprint('hi')"), "hi\n");
    EXPECT_EQ(python("x + 1"), "21");
    const json::object shell = call("run_code", {{"code", "y=3; echo $y"}, {"language", "bash"}});
    EXPECT_EQ(text(shell), "3\n");
    EXPECT_EQ(sphere_->list().size(), 1u) << "one sandbox for one session";
    EXPECT_EQ(sphere_->list()[0].spec.agent, "helper");
    EXPECT_EQ(sphere_->list()[0].spec.tenant, "acme");
}

TEST_F(Tools, CodeThatFailsIsAnErrorWithItsTraceback) {
    const json::object told = call("run_code", {{"code", "print(1)\n1 / 0"}});
    EXPECT_TRUE(failed(told));
    EXPECT_THAT(text(told), HasSubstr("ZeroDivisionError"));
    EXPECT_EQ(told.at("structuredContent").at("error").at("name").as_string(), "ZeroDivisionError");
    EXPECT_EQ(told.at("structuredContent").at("stdout").as_string(), "1\n");
}

TEST_F(Tools, CodeThatTakesTooLongIsInterruptedAndToldWhatToDo) {
    python("kept = 5");
    const json::object told =
        call("run_code", {{"code", "import time\ntime.sleep(1000)"}, {"timeout_ms", 200}});
    EXPECT_TRUE(failed(told));
    EXPECT_THAT(text(told), HasSubstr("timeout_ms"));
    EXPECT_EQ(python("kept"), "5");
    const json::object command =
        call("run_command", {{"command", "sleep 1000"}, {"timeout_ms", 200}});
    EXPECT_TRUE(failed(command));
    EXPECT_THAT(text(command), HasSubstr("timeout_ms"));
}

TEST_F(Tools, AnInterpreterThatEndsIsReplaced) {
    python("x = 1");
    const json::object told = call("run_code", {{"code", "import os\nos._exit(3)"}});
    EXPECT_TRUE(failed(told));
    EXPECT_THAT(text(told), HasSubstr("new one"));
    EXPECT_THAT(python("x"), HasSubstr("NameError"));
    EXPECT_EQ(python("2 + 2"), "4");
}

TEST_F(Tools, CommandsTellStreamsAndExitCode) {
    const json::object told =
        call("run_command", {{"command", "cat; echo bad >&2; exit 3"}, {"stdin", "given"}});
    EXPECT_FALSE(failed(told)) << "a command's exit code is its answer";
    EXPECT_EQ(text(told), "given\n[stderr]\nbad\n[exit code 3]");
    EXPECT_EQ(told.at("structuredContent").at("exit_code").to_number<int>(), 3);
    EXPECT_EQ(text(call("run_command", {{"command", "true"}})), "[no output]");
}

TEST_F(Tools, AFloodOfOutputIsCutAndTold) {
    make({.text_bytes_max = 1000});
    const json::object told =
        call("run_command", {{"command", "echo first; seq 200000; echo last"}});
    EXPECT_TRUE(told.at("structuredContent").at("truncated").as_bool());
    EXPECT_LT(text(told).size(), 1300u);
    EXPECT_THAT(text(told), ::testing::StartsWith("first\n"));
    EXPECT_THAT(text(told), HasSubstr("bytes left out"));
    EXPECT_THAT(text(told), HasSubstr("last\n"));
    const json::object cell =
        call("run_code", {{"code", "print('first'); print('x' * 10**6); print('last')"}});
    EXPECT_LT(text(cell).size(), 1300u);
    EXPECT_THAT(text(cell), HasSubstr("bytes left out"));
    EXPECT_THAT(text(cell), HasSubstr("last\n"));
}

TEST_F(Tools, FilesAreWrittenReadEditedListedAndRemoved) {
    call("write_file", {{"path", "a/b.txt"}, {"content", "one two two"}});
    EXPECT_EQ(text(call("read_file", {{"path", "/workspace/a/b.txt"}})), "one two two");
    EXPECT_EQ(text(call("run_command", {{"command", "cat a/b.txt; touch a/mine"}})), "one two two");
    const json::object unclear =
        call("edit_file", {{"path", "a/b.txt"}, {"old_text", "two"}, {"new_text", "three"}});
    EXPECT_TRUE(failed(unclear));
    EXPECT_THAT(text(unclear), HasSubstr("2 times"));
    EXPECT_FALSE(failed(
        call("edit_file", {{"path", "a/b.txt"}, {"old_text", "one two"}, {"new_text", "zero"}})));
    EXPECT_EQ(text(call("read_file", {{"path", "a/b.txt"}})), "zero two");
    EXPECT_EQ(text(call("list_files", {{"path", "a"}})), "a/b.txt  8 bytes\na/mine  0 bytes\n");
    EXPECT_FALSE(failed(call("remove_file", {{"path", "a"}, {"recursive", true}})));
    EXPECT_THAT(text(call("list_files", json::object{})), Not(HasSubstr("a/")));
    EXPECT_TRUE(failed(call("read_file", {{"path", "a/b.txt"}})));
}

TEST_F(Tools, LongFilesAreReadInParts) {
    std::string all;
    for (int i = 0; i < 400; ++i) all += "\xe4\xb8\xad";
    call("write_file", {{"path", "f"}, {"content", all}});
    std::string read;
    std::uint64_t offset = 0;
    bool more = true;
    while (more) {
        const json::object told =
            call("read_file", {{"path", "f"}, {"offset", offset}, {"bytes_max", 100}});
        ASSERT_FALSE(failed(told)) << text(told);
        more = told.at("structuredContent").at("more").as_bool();
        offset = told.at("structuredContent").at("next_offset").to_number<std::uint64_t>();
        read += text(told).substr(0, text(told).find("\n[..."));
    }
    EXPECT_EQ(read, all);
    call("run_command", {{"command", "head -c 100 /dev/urandom > g; printf '\\377' >> g"}});
    EXPECT_THAT(text(call("read_file", {{"path", "g"}})), HasSubstr("not a text file"));
}

TEST_F(Tools, NothingLeadsOutOfTheWorkspace) {
    call("run_command", {{"command", "ln -s /etc/passwd out; ln -s / root"}});
    for (const char* path : {"/etc/passwd", "../etc/passwd", "out", "root/etc/passwd"}) {
        const json::object told = call("read_file", {{"path", path}});
        EXPECT_TRUE(failed(told)) << path;
        EXPECT_THAT(text(told), Not(HasSubstr("root:"))) << path;
    }
}

TEST_F(Tools, SessionsAndAgentsAndTenantsAreApart) {
    python("mine = 1");
    who.session = "two";
    EXPECT_THAT(python("mine"), HasSubstr("NameError"));
    who = {.tenant = "other", .agent = "helper", .session = "one"};
    EXPECT_THAT(python("mine"), HasSubstr("NameError"));
    EXPECT_EQ(sphere_->list().size(), 3u);
    who.sandbox =
        sphere_->list()[0].spec.tenant == "acme" ? sphere_->list()[0].id : sphere_->list()[1].id;
    const json::object told = call("run_command", {{"command", "id"}});
    EXPECT_TRUE(failed(told)) << "another tenant's does not exist";
}

TEST_F(Tools, ANamedSandboxIsUsedAsItIs) {
    sphere::SandboxSpec spec;
    spec.tenant = "acme";
    who.sandbox = *sphere_->create(spec);
    call("write_file", {{"path", "f"}, {"content", "x"}});
    python("y = 1");
    EXPECT_EQ(sphere_->list().size(), 1u);
    EXPECT_FALSE(failed(call("reset_sandbox", json::object{})));
    EXPECT_EQ(text(call("read_file", {{"path", "f"}})), "x") << "it is not the session's to end";
    EXPECT_THAT(python("y"), HasSubstr("NameError"));
}

TEST_F(Tools, WhatIsGoneIsMadeAnewAndTold) {
    call("write_file", {{"path", "f"}, {"content", "x"}});
    ASSERT_TRUE(sphere_->destroy(sphere_->list()[0].id));
    const json::object told = call("read_file", {{"path", "f"}});
    EXPECT_TRUE(failed(told));
    EXPECT_THAT(text(told), HasSubstr("new sandbox"));
    EXPECT_THAT(text(call("list_files", json::object{})), Not(HasSubstr("new sandbox"))) << "once";
    EXPECT_FALSE(failed(call("reset_sandbox", json::object{})));
    EXPECT_TRUE(sphere_->list().empty());
    EXPECT_EQ(python("1"), "1");
}

TEST_F(Tools, ASandboxOfASessionEndsWhenNobodyCalls) {
    make({.idle_timeout = std::chrono::minutes(3)});
    python("1");
    EXPECT_EQ(sphere_->list()[0].spec.limits.idle_timeout, std::chrono::minutes(3));
    EXPECT_EQ(sphere_->list()[0].spec.labels.at("session"), "one");
}

TEST_F(Tools, WhatIsNotAdmittedIsNotDone) {
    make({.admit = [](const ToolCaller& caller, std::string_view tool,
                      const json::object& given) -> base::Result<void> {
        EXPECT_EQ(caller.agent, "helper");
        if (tool != "write_file") return {};
        return base::fail(Code::permission_denied, "no writing of {}",
                          std::string(given.at("path").as_string()));
    }});
    const json::object told = call("write_file", {{"path", "f"}, {"content", "x"}});
    EXPECT_TRUE(failed(told));
    EXPECT_THAT(text(told), HasSubstr("no writing of f"));
    EXPECT_THAT(text(told), HasSubstr("not allowed"));
    EXPECT_TRUE(sphere_->list().empty()) << "not even a sandbox was made";
}

TEST_F(Tools, AStopIsToldAsOne) {
    python("1");
    EXPECT_EQ(sphere_->emergency_stop({.tenant = "acme"}), 1u);
    const json::object told = call("run_code", {{"code", "1"}});
    EXPECT_TRUE(failed(told));
    EXPECT_THAT(text(told), HasSubstr("emergency stop"));
}

TEST_F(Tools, StoppingEndsWhatRuns) {
    json::object command, cell;
    std::thread shell([&] { command = call("run_command", {{"command", "sleep 1000"}}); });
    std::thread code([&] {
        cell = call("run_code", {{"code", "import time\nfor _ in range(1000): time.sleep(1)"}});
    });
    const auto both_run = [&] {
        const auto boxes = sphere_->list();
        if (boxes.size() != 1 || boxes[0].running < 2) return false;
        const auto live = sessions->list(boxes[0].id);
        return live.size() == 1 && live[0].state == sphere::SessionInfo::State::running;
    };
    while (!both_run()) std::this_thread::yield();
    tools->stop();
    shell.join();
    code.join();
    EXPECT_TRUE(failed(command)) << text(command);
    EXPECT_TRUE(failed(cell)) << text(cell);
    EXPECT_TRUE(failed(call("run_command", {{"command", "true"}}))) << "none after it";
}

TEST_F(Tools, WrongArgumentsAreToldToTheModel) {
    const std::pair<const char*, json::object> wrong[] = {
        {"run_code", {}},
        {"run_code", {{"code", ""}}},
        {"run_code", {{"code", "1"}, {"language", "cobol"}}},
        {"run_code", {{"code", "1"}, {"timeout_ms", 0}}},
        {"run_command", {{"command", "x"}, {"tenant", "other"}}},
        {"run_command", {{"command", "x"}, {"working_directory", "here"}}},
        {"read_file", {{"path", 1}}},
        {"write_file", {{"path", "f"}}},
        {"edit_file", {{"path", "f"}, {"old_text", ""}, {"new_text", ""}}},
        {"list_files", {{"path", "/usr"}}},
        {"reset_sandbox", {{"now", true}}},
    };
    for (const auto& [tool, arguments] : wrong) {
        const json::object told = call(tool, arguments);
        EXPECT_TRUE(failed(told)) << tool << base::to_text(arguments);
        EXPECT_EQ(told.at("structuredContent").at("error").as_string(), "invalid_argument")
            << tool << base::to_text(arguments) << text(told);
    }
    EXPECT_EQ(tools->call(who, "run_cobol", {}).error().code, Code::not_found);
}

}  // namespace
