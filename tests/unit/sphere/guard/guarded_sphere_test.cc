#include "sphere/guard/guarded_sphere.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>

#include "guard_fixture.h"
#include "support/seeds.h"

namespace test {
namespace {

using base::Code;
using sphere::EndReason;

TEST_F(GuardTest, ASandboxIsRecordedFromItsMakingToItsEnd) {
    open();
    const std::string box = make();
    ASSERT_TRUE(guard->destroy(box));
    ASSERT_TRUE(guard->destroy(box)) << "idempotent";
    const auto made = events("sandbox.create"), gone = events("sandbox.destroy");
    ASSERT_EQ(made.size(), 1u);
    EXPECT_EQ(text(made[0], "sandbox"), box);
    EXPECT_EQ(text(made[0], "tenant"), "acme");
    EXPECT_EQ(text(made[0], "actor"), "test");
    EXPECT_EQ(text(made[0], "backend"), "scripted");
    EXPECT_EQ(text(made[0], "policy"), "team");
    EXPECT_EQ(text(made[0], "decision"), "allow");
    EXPECT_EQ(made[0].at("limits").at("memory_bytes").as_int64(), 512 << 20);
    ASSERT_EQ(gone.size(), 1u);
    EXPECT_EQ(text(gone[0], "reason"), "destroyed");
    EXPECT_EQ(events("policy.load").size(), 1u);
    EXPECT_TRUE(sphere::audit::verify(audit_dir)->ok());
}

TEST_F(GuardTest, WhatIsOverACeilingIsRefusedByFieldAndLeavesOneEvent) {
    open();
    sphere::SandboxSpec spec = acme();
    spec.limits.memory_bytes = 2ull << 30;
    const auto refused = guard->create(spec);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::permission_denied);
    EXPECT_EQ(refused.error().subject, "limits.memory_bytes");
    spec.tenant = "stranger";
    EXPECT_EQ(guard->create(spec).error().code, Code::permission_denied) << "no policy";
    const auto events_of_create = events("sandbox.create");
    ASSERT_EQ(events_of_create.size(), 2u);
    for (const auto& event : events_of_create) EXPECT_EQ(text(event, "decision"), "deny");
    EXPECT_EQ(text(events_of_create[0], "rule"), "limits.memory_bytes");
    EXPECT_NE(text(events_of_create[0], "reason").find("2147483648"), std::string::npos);
    EXPECT_EQ(inner->made, 0u) << "the backend was not asked";
}

TEST_F(GuardTest, ARefusalByTheBackendIsOneEventToo) {
    open();
    inner->refuse_create = base::Error{Code::failed_precondition, "no landlock", "isolation"};
    EXPECT_EQ(guard->create(acme()).error().message, "no landlock");
    inner->refuse_create.reset();
    const std::string box = make();
    inner->refuse_start = base::Error{Code::not_found, "no such program", "argv[0]"};
    Quiet unheard;
    EXPECT_EQ(guard->start(box, {.argv = {"nope"}}, unheard).error().code, Code::not_found);
    EXPECT_FALSE(unheard.result);
    const auto made = events("sandbox.create");
    ASSERT_EQ(made.size(), 2u);
    EXPECT_EQ(text(made[0], "decision"), "deny");
    EXPECT_EQ(text(made[0], "reason"), "no landlock");
    const auto starts = events("exec.start"), ends = events("exec.end");
    ASSERT_EQ(starts.size(), 1u);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(text(ends[0], "decision"), "deny");
    EXPECT_FALSE(ends[0].contains("exit"));
    EXPECT_EQ(starts[0].at("details").at("call"), ends[0].at("details").at("call"));
}

TEST_F(GuardTest, AForkOfACommandIsRecordedAsACommand) {
    open();
    const std::string box = make();
    Quiet first, second;
    const auto exec = guard->start(box, {.argv = {"python3"}}, first);
    ASSERT_TRUE(exec);
    ASSERT_TRUE(guard->fork_command(box, *exec, second));
    ASSERT_EQ(events("exec.start").size(), 2u);
    EXPECT_EQ(text(events("exec.start")[1], "what"), fmt::format("fork of command {}", *exec));
    inner->finish(box, {.reason = EndReason::exited});
    EXPECT_EQ(events("exec.end").size(), 2u);
    inner->refuse_start = {Code::failed_precondition, "it has threads", ""};
    EXPECT_FALSE(guard->fork_command(box, *exec, second));
    EXPECT_EQ(text(events("exec.end").back(), "decision"), "deny");
}

TEST_F(GuardTest, ACommandIsRecordedBeforeItRunsAndBeforeItsEndIsHeard) {
    open();
    const std::string box = make();
    const auto view = guard->as("console");
    Quiet heard;
    const auto exec =
        view->start(box, {.argv = {"sh", "-c", "exit 3"}, .stdin_text = "abc"}, heard);
    ASSERT_TRUE(exec);
    ASSERT_EQ(events("exec.start").size(), 1u);
    EXPECT_EQ(events("exec.end").size(), 0u);
    ASSERT_TRUE(view->write_stdin(box, *exec, "defg", true));
    write_text(inner->workspace + "/made.txt", "x");
    inner->finish(box, {.reason = EndReason::exited,
                        .exit_code = 3,
                        .output_bytes = 42,
                        .wall = std::chrono::microseconds(1500)});
    ASSERT_TRUE(heard.result);
    const auto ends = events("exec.end");
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(text(ends[0], "what"), "sh -c exit 3");
    EXPECT_EQ(text(ends[0], "actor"), "console");
    EXPECT_EQ(ends[0].at("exit").at("code").as_int64(), 3);
    EXPECT_EQ(ends[0].at("exit").at("wall_us").as_int64(), 1500);
    EXPECT_EQ(ends[0].at("bytes_in").as_int64(), 7);
    EXPECT_EQ(ends[0].at("bytes_out").as_int64(), 42);
    EXPECT_EQ(ends[0].at("files_changed").as_array().at(0).as_string(), "made.txt");
}

TEST_F(GuardTest, SecretsGoWhereThePolicySaysAndNowhereElse) {
    open();
    sphere::SandboxSpec spec = acme();
    spec.secrets = {"key", "token"};
    const auto box = guard->create(spec);
    ASSERT_TRUE(box) << box.error().message;
    ASSERT_EQ(inner->given.size(), 2u);
    EXPECT_EQ(inner->given[0].value, "open-sesame");
    EXPECT_EQ(inner->given[0].environment, "API_KEY");
    EXPECT_EQ(inner->given[1].header, "Authorization");
    EXPECT_EQ(inner->given[1].domains, std::vector<std::string>{"example.org"});
    Quiet heard;
    ASSERT_TRUE(guard->start(*box, {.argv = {"echo", "open-sesame", "b3Blbi1zZXNhbWU="}}, heard));
    inner->finish(*box, {});
    spec.secrets = {"other"};
    const auto refused = guard->create(spec);
    ASSERT_FALSE(refused) << "in the store, and not granted";
    EXPECT_EQ(refused.error().subject, "secrets");
    EXPECT_EQ(guard->create(acme(), {{"key", "mine", "", "", {}}}).error().code,
              Code::permission_denied)
        << "values come by the policy alone";
    const std::string all = record();
    EXPECT_EQ(all.find("open-sesame"), std::string::npos);
    EXPECT_EQ(all.find("b3Blbi1zZXNhbWU"), std::string::npos);
    EXPECT_NE(all.find("[secret:key]"), std::string::npos);
}

TEST_F(GuardTest, AChangedPolicyFileStopsNewWorkUntilItIsLoaded) {  // S54
    open();
    const std::string box = make();
    write_text(policy_file, std::string(kPolicy) + "dry_run: true\n");
    Quiet unheard;
    EXPECT_EQ(guard->create(acme()).error().code, Code::failed_precondition);
    EXPECT_EQ(guard->start(box, {.argv = {"true"}}, unheard).error().code,
              Code::failed_precondition);
    EXPECT_EQ(guard->admit_file(box, {.name = "a"}).error().code, Code::failed_precondition);
    EXPECT_EQ(guard->snapshot(box, "s").error().code, Code::failed_precondition);
    EXPECT_EQ(guard->dial(box, 80).error().code, Code::failed_precondition);
    EXPECT_EQ(decide().cause, sphere::policy::Decision::Cause::stale_policy);
    for (const char* kind : {"exec.start", "file.read", "snapshot.create", "port.open"}) {
        ASSERT_EQ(events(kind).size(), 1u) << kind;
        EXPECT_EQ(text(events(kind)[0], "decision"), "deny");
    }
    EXPECT_TRUE(guard->pause(box)) << "what takes away stays possible";
    ASSERT_TRUE(guard->reload_policies());
    EXPECT_TRUE(guard->create(acme()));
    EXPECT_EQ(events("policy.load").size(), 2u);
    write_text(policy_file, "version: 1\n");
    EXPECT_FALSE(guard->reload_policies());
    EXPECT_FALSE(guard->create(acme())) << "the old ones are stale";
    EXPECT_EQ(text(events("policy.load").back(), "decision"), "deny");
    EXPECT_TRUE(guard->destroy(box));
}

TEST_F(GuardTest, ADryRunRecordsWhatItWouldRefuse) {
    write_text(policy_file, std::string(kPolicy) + "dry_run: true\n");
    open();
    sphere::SandboxSpec spec = acme();
    spec.limits.cpus = 64;
    ASSERT_TRUE(guard->create(spec));
    const auto made = events("sandbox.create");
    ASSERT_EQ(made.size(), 1u);
    EXPECT_EQ(text(made[0], "decision"), "dry-run: deny");
    EXPECT_EQ(text(made[0], "rule"), "limits.cpus");
}

TEST_F(GuardTest, AnEmergencyStopOutlivesTheProcess) {
    open();
    const std::string box = make();
    Quiet heard;
    ASSERT_TRUE(guard->start(box, {.argv = {"sleep", "9"}}, heard));
    const auto order = guard->as("signal")->order_stop({.tenant = "acme"}, "too loud");
    EXPECT_EQ(order.stopped, 1u);
    EXPECT_EQ(order.fault, "");
    EXPECT_EQ(heard.result->reason, EndReason::stopped);
    EXPECT_EQ(guard->info(box)->state, sphere::SandboxState::ended);
    EXPECT_EQ(guard->create(acme()).error().code, Code::permission_denied);
    open();
    EXPECT_EQ(guard->create(acme()).error().code, Code::permission_denied) << "after a restart";
    EXPECT_EQ(decide().effect, sphere::policy::Effect::deny);
    ASSERT_EQ(guard->order_lift({}).value(), 1u);
    EXPECT_EQ(std::ranges::count(inner->lifted, "acme"), 1) << "also in the backend, by its scope";
    EXPECT_TRUE(guard->create(acme()));
    open();
    EXPECT_TRUE(guard->create(acme()));
    const auto stop = events("emergency.stop"), gone = events("sandbox.destroy");
    ASSERT_EQ(stop.size(), 1u);
    EXPECT_EQ(text(stop[0], "actor"), "signal");
    EXPECT_EQ(text(stop[0], "reason"), "too loud");
    EXPECT_EQ(stop[0].at("details").at("epoch").as_string(), std::to_string(order.epoch));
    EXPECT_EQ(events("emergency.lift").size(), 1u);
    EXPECT_EQ(text(gone.at(0), "reason"), "emergency");
}

TEST_F(GuardTest, ABackendThatTellsOfNoEndsIsAskedAfterAStop) {
    open();
    inner->tells_ends = false;
    const std::string box = make();
    EXPECT_EQ(guard->emergency_stop({}), 1u);
    ASSERT_EQ(events("sandbox.destroy").size(), 1u);
    EXPECT_EQ(text(events("sandbox.destroy")[0], "sandbox"), box);
}

TEST_F(GuardTest, AStopDuringACreateLeavesNoSandbox) {
    open();
    inner->on_create = [&](const sphere::SandboxInfo&) { stops->raise({}, "ops", "now"); };
    const auto refused = guard->create(acme());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::permission_denied);
    EXPECT_TRUE(guard->list().empty());
    ASSERT_EQ(events("sandbox.create").size(), 1u);
    EXPECT_EQ(text(events("sandbox.create")[0], "decision"), "deny");
    EXPECT_EQ(events("sandbox.destroy").size(), 0u) << "it never was";
}

TEST_F(GuardTest, ASandboxThatEndsWhileItIsMadeIsTold) {
    open();
    inner->on_create = [&](const sphere::SandboxInfo& info) {
        static_cast<void>(inner->end(info.id, "lifetime"));
    };
    EXPECT_EQ(guard->create(acme()).error().code, Code::unavailable);
    EXPECT_EQ(events("sandbox.destroy").size(), 1u);
}

TEST_F(GuardTest, AnExpiredSandboxIsRecordedOnce) {
    open();
    const std::string box = make();
    static_cast<void>(inner->end(box, "idle"));
    ASSERT_TRUE(guard->destroy(box));
    const auto gone = events("sandbox.destroy");
    ASSERT_EQ(gone.size(), 1u);
    EXPECT_EQ(text(gone[0], "reason"), "idle");
    EXPECT_EQ(text(gone[0], "actor"), "server");
}

TEST_F(GuardTest, NetworkAttemptsAreToldBoundedly) {
    open();
    const std::string box = make();
    Quiet heard;
    ASSERT_TRUE(guard->start(box, {.argv = {"curl"}}, heard));
    for (int i = 0; i < 1000; ++i) {
        inner->try_network(box, {"example.org:443", "tcp", true, "", 10, 20});
        inner->try_network(box, {"169.254.169.254:80", "tcp", false, "a metadata address", 0, 0});
    }
    inner->finish(box, {});
    const auto refused = events("network.refused");
    EXPECT_EQ(refused.size(), 64u);
    EXPECT_EQ(text(refused[0], "what"), "169.254.169.254:80");
    EXPECT_EQ(text(refused[0], "reason"), "a metadata address");
    const auto end = events("exec.end").at(0);
    EXPECT_EQ(end.at("network").as_array().size(), 64u);
    EXPECT_EQ(end.at("network_more").as_int64(), 2 * (1000 - 64));
    const std::string figures = metrics->exposition();
    EXPECT_NE(figures.find("dougong_sphere_network_attempts_total{allowed=\"false\"} 1000"),
              std::string::npos)
        << figures;
}

TEST_F(GuardTest, TheAuditLevelSaysHowMuchIsWritten) {
    struct Case {
        const char* level;
        std::size_t creates, refusals, execs, writes, reads;
    };
    for (const Case& each : {Case{"none", 0, 0, 0, 0, 0}, Case{"decisions", 1, 1, 0, 0, 0},
                             Case{"calls", 1, 1, 1, 1, 0}, Case{"full", 1, 1, 1, 1, 1}}) {
        SCOPED_TRACE(each.level);
        close();
        std::filesystem::remove_all(audit_dir);
        write_text(policy_file, std::string(kPolicy) + "audit: " + each.level + "\n");
        open();
        const std::string box = make();
        sphere::SandboxSpec spec = acme();
        spec.limits.cpus = 64;
        EXPECT_FALSE(guard->create(spec));
        Quiet heard;
        ASSERT_TRUE(guard->start(box, {.argv = {"true"}}, heard));
        inner->finish(box, {});
        ASSERT_TRUE(guard->admit_file(box, {sphere::FileAccess::Kind::write, "a", 5}));
        ASSERT_TRUE(guard->admit_file(box, {sphere::FileAccess::Kind::read, "a", 0}));
        guard->emergency_stop({.tenant = "nobody"});
        EXPECT_EQ(events("sandbox.create").size(), each.creates + each.refusals);
        EXPECT_EQ(events("exec.start").size(), each.execs);
        EXPECT_EQ(events("exec.end").size(), each.execs);
        EXPECT_EQ(events("file.write").size(), each.writes);
        EXPECT_EQ(events("file.read").size(), each.reads);
        EXPECT_EQ(events("emergency.stop").size(), 1u) << "nobody switches this off";
    }
}

TEST_F(GuardTest, ToolNamesArgumentsAndDataAreRejectedWithAnEvent) {  // S53
    open();
    const auto ask = [&](std::string tool, const char* arguments, std::vector<std::string> data) {
        return guard
            ->decide({"acme", "", std::move(tool), *base::parse_json(arguments), std::move(data)})
            ->decision.effect;
    };
    using sphere::policy::Effect;
    EXPECT_EQ(ask("fs.read", R"({"limit": 5})", {"public"}), Effect::allow);
    EXPECT_EQ(events("tool_rejected").size(), 0u);
    EXPECT_EQ(ask("FS.read", "{}", {}), Effect::deny);
    EXPECT_EQ(ask("fs.r\xD0\xB5"  // a Cyrillic letter
                  "ad",
                  "{}", {}),
              Effect::deny);
    EXPECT_EQ(ask("read", "{}", {}), Effect::deny);
    EXPECT_EQ(ask("mcp.fs.read", "{}", {}), Effect::deny);
    EXPECT_EQ(ask("fs.read", R"({"limit": 11})", {"public"}), Effect::deny);
    EXPECT_EQ(ask("fs.read", R"({"limit": 5})", {"medical"}), Effect::deny);
    const auto rejected = events("tool_rejected");
    ASSERT_EQ(rejected.size(), 6u);
    for (const auto& event : rejected) {
        EXPECT_EQ(text(event, "decision"), "deny");
        EXPECT_FALSE(text(event, "reason").empty());
    }
    EXPECT_EQ(events("tool_decided").size(), 1u);
}

TEST_F(GuardTest, WhatCannotBeRecordedIsNotDone) {
    // In a child: the file size limit stands for the full disk.
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        open();
        const std::string box = make();
        const rlimit tight{800, RLIM_INFINITY};
        ::setrlimit(RLIMIT_FSIZE, &tight);
        static_cast<void>(guard->create(acme()));
        static_cast<void>(log->sync());  // fails: from now on the log says so
        const std::uint32_t made = inner->made, execs = inner->execs;
        const std::size_t there = guard->list().size();
        Quiet unheard;
        const auto exec = guard->start(box, {.argv = {"true"}}, unheard);
        if (exec || exec.error().code != Code::unavailable || inner->execs != execs) ::_exit(2);
        const auto refused = guard->create(acme());
        if (refused || refused.error().code != Code::unavailable) ::_exit(3);
        if (guard->list().size() != there || inner->made != made + 1) ::_exit(4);
        if (guard->admit_file(box, {sphere::FileAccess::Kind::write, "a", 1})) ::_exit(5);
        if (guard->order_lift({})) ::_exit(6);
        // What ends something is done all the same.
        const auto order = guard->order_stop({}, "");
        if (order.stopped == 0 || order.fault.empty() || !guard->list().empty()) ::_exit(7);
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(GuardTest, RandomHistoriesLeaveAWholeRecordAndTrueFigures) {
    for_each_seed(10, [&](base::Rng& rng) {
        close();
        std::filesystem::remove_all(audit_dir);
        std::filesystem::remove(dir.file("stops.json"));
        open();
        std::vector<std::string> boxes;
        std::vector<std::unique_ptr<Quiet>> sinks;
        for (int step = 0; step < 120; ++step) {
            const std::string box = boxes.empty() ? "sbx-none" : boxes[rng.below(boxes.size())];
            switch (rng.below(8)) {
                case 0:
                case 1:
                    if (const auto made = guard->create(acme())) boxes.push_back(*made);
                    break;
                case 2:
                    static_cast<void>(guard->destroy(box));
                    break;
                case 3:
                    static_cast<void>(inner->end(box, "idle"));
                    break;
                case 4:
                    sinks.push_back(std::make_unique<Quiet>());
                    static_cast<void>(guard->start(box, {.argv = {"x"}}, *sinks.back()));
                    break;
                case 5:
                    inner->finish(box, {});
                    break;
                case 6:
                    if (rng.below(4) == 0) guard->emergency_stop({.tenant = "acme"});
                    break;
                default:
                    static_cast<void>(guard->lift_stop({}));
            }
        }
        for (const auto& info : inner->list()) inner->finish(info.id, {});
        std::map<std::string, int> made, gone, calls;
        for (const auto& event : events()) {
            const std::string kind = text(event, "event"), decision = text(event, "decision");
            const std::string box = text(event, "sandbox");
            if (kind == "sandbox.create" && decision == "allow") ++made[box];
            if (kind == "sandbox.destroy" && decision == "allow") {
                EXPECT_EQ(made[box], 1) << "after its making";
                ++gone[box];
            }
            if (kind.starts_with("exec.") && event.at("details").as_object().contains("call")) {
                calls[std::string(event.at("details").at("call").as_string())] +=
                    kind == "exec.start" ? 1 : -1;
            }
        }
        EXPECT_EQ(made.size(), boxes.size());
        EXPECT_EQ(gone.size() + inner->list().size(), made.size());
        for (const auto& [box, count] : gone) EXPECT_EQ(count, 1) << box;
        for (const auto& [call, open_ends] : calls) EXPECT_EQ(open_ends, 0) << call;
        const std::string ready = "dougong_sphere_sandboxes{state=\"ready\"} " +
                                  std::to_string(inner->list().size()) + "\n";
        EXPECT_NE(metrics->exposition().find(ready), std::string::npos);
        EXPECT_TRUE(sphere::audit::verify(audit_dir)->ok());
    });
}

}  // namespace
}  // namespace test
