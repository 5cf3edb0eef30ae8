// /v1/sandboxes over real sockets and real boxes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "unit/sphere/http/api_fixture.h"
#include "unit/sphere/images/image_fixture.h"

namespace {

namespace json = base::json;
using sphere::read_until;
using test::RawClient;
using test::RawResponse;
using ::testing::HasSubstr;

class SandboxRoutes : public sphere::ApiTest {};

TEST_F(SandboxRoutes, ABoxFromItsMakingToItsEnd) {
    const std::string box = create(R"({"name": "one", "labels": {"for": "test"}})");
    const json::object shown = object(call("GET", "/v1/sandboxes/" + box));
    EXPECT_EQ(shown.at("name").as_string(), "one");
    EXPECT_EQ(shown.at("state").as_string(), "ready");
    EXPECT_EQ(shown.at("labels").at("for").as_string(), "test");
    EXPECT_FALSE(shown.at("enforced_by").as_array().empty());

    const json::object result =
        exec(box, R"({"argv": ["sh", "-c", "echo out; echo err >&2; exit 3"]})");
    EXPECT_EQ(result.at("stdout").as_string(), "out\n");
    EXPECT_EQ(result.at("stderr").as_string(), "err\n");
    EXPECT_EQ(result.at("reason").as_string(), "exited");
    EXPECT_EQ(result.at("exit_code").as_int64(), 3);

    EXPECT_EQ(object(call("GET", "/v1/sandboxes")).at("data").as_array().size(), 1u);
    EXPECT_EQ(call("DELETE", "/v1/sandboxes/" + box).status, 200);
    EXPECT_EQ(object(call("GET", "/v1/sandboxes/" + box)).at("state").as_string(), "ended");
    EXPECT_EQ(call("POST", "/v1/sandboxes/" + box + "/exec", R"({"argv": ["true"]})").status, 404);
    EXPECT_TRUE(object(call("GET", "/v1/sandboxes")).at("data").as_array().empty());
}

TEST_F(SandboxRoutes, CodeInALanguageAndInputGivenWhole) {
    const std::string box = create();
    EXPECT_EQ(exec(box, R"({"code": "read x; echo got $x", "language": "bash", "stdin": "it\n"})")
                  .at("stdout")
                  .as_string(),
              "got it\n");
    EXPECT_EQ(exec(box, R"({"code": "printf '\\377'", "language": "bash", "encoding": "base64"})")
                  .at("stdout")
                  .as_string(),
              "/w==");
}

TEST_F(SandboxRoutes, OutputIsCutAtItsCapAndTold) {
    const std::string box = create();
    const json::object result = exec(
        box, R"({"code": "yes | head -c 300000", "language": "bash", "output_bytes_max": 1000})");
    EXPECT_EQ(result.at("stdout").as_string().size(), 1000u);
    EXPECT_EQ(result.at("output_bytes").to_number<int>(), 300000);
    EXPECT_EQ(result.at("output_dropped").to_number<int>(), 299000);
}

TEST_F(SandboxRoutes, AStreamTellsStartOutputAndEnd) {
    const std::string box = create();
    const RawResponse answer =
        call("POST", "/v1/sandboxes/" + box + "/exec",
             R"({"code": "echo a; echo b >&2", "language": "bash", "stream": true})");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
    EXPECT_THAT(answer.body, HasSubstr("event: start\ndata: {\"exec\":"));
    EXPECT_THAT(answer.body, HasSubstr(R"(data: {"stream":"out","text":"a\n"})"));
    EXPECT_THAT(answer.body, HasSubstr(R"(data: {"stream":"err","text":"b\n"})"));
    EXPECT_THAT(answer.body, HasSubstr("event: end\ndata: {\"reason\":\"exited\",\"exit_code\":0"));
}

TEST_F(SandboxRoutes, InputAndSignalsReachARunningCommand) {
    const std::string box = create();
    RawClient client(server_->port());
    client.send(request("POST", "/v1/sandboxes/" + box + "/exec",
                        R"({"argv": ["cat"], "stdin_open": true, "stream": true})", ""));
    EXPECT_EQ(client.read_head().status, 200);
    const std::string begun = read_until(client, "}\n\n");
    const std::string_view before = "event: start\ndata: {\"exec\":";
    ASSERT_TRUE(begun.starts_with(before)) << begun;
    const std::string number = begun.substr(before.size(), begun.find('}') - before.size());
    const std::string path = "/v1/sandboxes/" + box + "/execs/" + number;
    EXPECT_EQ(call("POST", path + "/stdin", "hello\n").status, 200);
    read_until(client, R"("text":"hello\n")");
    EXPECT_EQ(call("POST", path + "/signal", R"({"signal": "TERM"})").status, 200);
    EXPECT_THAT(read_until(client, "event: end\n"), HasSubstr("\"signal\":15"));
}

TEST_F(SandboxRoutes, AClientThatLeavesEndsItsCommand) {
    const std::string box = create();
    {
        RawClient client(server_->port());
        client.send(request("POST", "/v1/sandboxes/" + box + "/exec",
                            R"({"argv": ["sleep", "1000"], "stream": true, "wall_timeout_ms": 0})",
                            ""));
        client.read_head();
        read_until(client, "event: start");
    }
    const auto running = [&] {
        return object(call("GET", "/v1/sandboxes/" + box))
            .at("usage")
            .at("running")
            .to_number<int>();
    };
    const base::Instant patience = clock_.now() + std::chrono::seconds(60);
    while (running() > 0 && clock_.now() < patience) std::this_thread::yield();
    EXPECT_EQ(running(), 0);
}

TEST_F(SandboxRoutes, PauseHoldsAndResumeGoesOn) {
    const std::string box = create();
    const RawResponse paused = call("POST", "/v1/sandboxes/" + box + "/pause");
    ASSERT_EQ(paused.status, 200) << paused.body;
    EXPECT_EQ(object(paused).at("state").as_string(), "paused");
    EXPECT_EQ(call("POST", "/v1/sandboxes/" + box + "/exec", R"({"argv": ["true"]})").status, 400);
    EXPECT_EQ(call("POST", "/v1/sandboxes/" + box + "/resume").status, 200);
    EXPECT_EQ(exec(box, R"({"argv": ["true"]})").at("exit_code").as_int64(), 0);
}

TEST_F(SandboxRoutes, OneTenantsBoxesDoNotExistForAnother) {
    const std::string box = create("", "blue");
    EXPECT_EQ(call("GET", "/v1/sandboxes/" + box, "", "red").status, 404);
    EXPECT_EQ(call("DELETE", "/v1/sandboxes/" + box, "", "red").status, 404);
    EXPECT_EQ(call("POST", "/v1/sandboxes/" + box + "/exec", R"({"argv": ["true"]})", "red").status,
              404);
    EXPECT_TRUE(object(call("GET", "/v1/sandboxes", "", "red")).at("data").as_array().empty());
    // Nor does its emergency stop reach it.
    EXPECT_EQ(object(call("POST", "/v1/emergency_stop", "", "red")).at("stopped").to_number<int>(),
              0);
    EXPECT_EQ(call("GET", "/v1/sandboxes/" + box, "", "blue").status, 200);
}

TEST_F(SandboxRoutes, TheEmergencyStopEndsBoxesAndRefusesNewOnesUntilLifted) {
    create();
    create();
    EXPECT_EQ(object(call("POST", "/v1/emergency_stop")).at("stopped").to_number<int>(), 2);
    const RawResponse refused = call("POST", "/v1/sandboxes");
    EXPECT_EQ(refused.status, 403) << refused.body;
    EXPECT_EQ(call("DELETE", "/v1/emergency_stop").status, 200);
    create();
}

TEST_F(SandboxRoutes, WhatIsWrongIsNamed) {
    const std::string box = create();
    const struct {
        std::string path, body, param;
        int status;
    } cases[] = {
        {"/v1/sandboxes", "[]", "", 400},
        {"/v1/sandboxes", "{", "", 400},
        {"/v1/sandboxes", R"({"limits": {"memory": 1}})", "limits.memory", 400},
        {"/v1/sandboxes", R"({"limits": {"cpus": -1}})", "limits.cpus", 400},
        {"/v1/sandboxes", R"({"network": {"mode": "wifi"}})", "network.mode", 400},
        {"/v1/sandboxes/" + box + "/exec", "{}", "argv", 400},
        {"/v1/sandboxes/" + box + "/exec", R"({"argv": ["a"], "code": "b"})", "argv", 400},
        {"/v1/sandboxes/" + box + "/exec", R"({"argv": ["a"], "output_bytes_max": 99999999})",
         "output_bytes_max", 400},
        {"/v1/sandboxes/" + box + "/execs/x/signal", "{}", "exec", 400},
        {"/v1/sandboxes/nobody/exec", R"({"argv": ["a"]})", "id", 404},
    };
    for (const auto& each : cases) {
        const RawResponse answer = call("POST", each.path, each.body);
        EXPECT_EQ(answer.status, each.status) << each.body << answer.body;
        const json::object error = object(answer).at("error").as_object();
        const std::string param =
            error.at("param").is_string() ? std::string(error.at("param").as_string()) : "";
        EXPECT_EQ(param, each.param) << answer.body;
    }
}

TEST_F(SandboxRoutes, TheHostIsReported) {
    const json::object host = object(call("GET", "/v1/sandboxes/host"));
    EXPECT_FALSE(host.at("levels").as_array().empty());
    EXPECT_FALSE(host.at("facts").as_array().empty());
}

TEST_F(SandboxRoutes, SnapshotsAreKeptOnDiskWhenAsked) {
    const std::string box = create();
    const std::string path = "/v1/sandboxes/" + box;
    exec(box, R"({"argv":["sh","-c","echo one > a"]})");
    const auto kept = object(call("POST", path + "/snapshots", R"({"name":"k","persist":true})"));
    EXPECT_TRUE(kept.at("persist").as_bool());
    const auto other = object(call("POST", path + "/snapshots", R"({"name":"m"})"));
    EXPECT_FALSE(other.at("persist").as_bool());
    EXPECT_EQ(call("POST", path + "/snapshots", R"({"persist":"yes"})").status, 400);
    const json::array all = object(call("GET", "/v1/snapshots")).at("data").as_array();
    ASSERT_EQ(all.size(), 2u);
    for (const json::value& each : all) {
        EXPECT_EQ(each.at("persist").as_bool(), each.at("name").as_string() == "k");
        const std::string id(each.at("id").as_string());
        const std::string again = create(fmt::format(R"({{"snapshot":"{}"}})", id));
        EXPECT_EQ(exec(again, R"({"argv":["cat","a"]})").at("stdout").as_string(), "one\n");
        EXPECT_EQ(call("DELETE", "/v1/snapshots/" + id).status, 200);
    }
}

TEST_F(SandboxRoutes, ImagesComeByUploadAndGoByName) {
    const std::string tar =
        test::TarText().file("etc/motd", "from the image\n").folder("usr/bin").done();
    EXPECT_TRUE(object(call("GET", "/v1/sandbox-images")).at("data").as_array().empty());
    const RawResponse made = call("PUT", "/v1/sandbox-images/test/motd:1", test::gzipped(tar));
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(object(made).at("name").as_string(), "test/motd:1");
    const std::string id(object(made).at("id").as_string());
    for (const std::string& path : {std::string("test/motd:1"), id}) {
        const std::string box =
            create(fmt::format(R"({{"root":{{"kind":"image","path":"{}"}}}})", path));
        EXPECT_EQ(call("DELETE", "/v1/sandbox-images/test/motd:1").status, 400) << "it is in use";
        EXPECT_EQ(call("DELETE", "/v1/sandboxes/" + box).status, 200);
    }
    EXPECT_EQ(call("PUT", "/v1/sandbox-images/sha256:1", tar).status, 400);
    EXPECT_EQ(call("PUT", "/v1/sandbox-images/a%20b", tar).status, 400);
    EXPECT_EQ(call("PUT", "/v1/sandbox-images/bad", "no archive at all").status, 400);
    EXPECT_EQ(call("POST", "/v1/sandboxes", R"({"root":{"kind":"image","path":"gone"}})").status,
              404);
    EXPECT_EQ(object(call("GET", "/v1/sandbox-images")).at("data").as_array().size(), 1u);
    EXPECT_EQ(call("DELETE", "/v1/sandbox-images/test/motd:1").status, 200);
    EXPECT_EQ(call("DELETE", "/v1/sandbox-images/test/motd:1").status, 404);
    EXPECT_TRUE(object(call("GET", "/v1/sandbox-images")).at("data").as_array().empty());
}

TEST_F(SandboxRoutes, SnapshotsAndForksBelongToTheirTenant) {
    const std::string box = create(R"({"name":"first"})", "ours");
    const std::string path = "/v1/sandboxes/" + box;
    ASSERT_EQ(call("POST", path + "/exec", R"({"argv":["sh","-c","echo one > a"]})", "ours").status,
              200);
    const RawResponse kept = call("POST", path + "/snapshots", R"({"name":"before"})", "ours");
    ASSERT_EQ(kept.status, 201) << kept.body;
    const std::string snapshot(object(kept).at("id").as_string());
    EXPECT_EQ(object(kept).at("from").as_string(), box);
    EXPECT_EQ(object(kept).at("name").as_string(), "before");
    EXPECT_EQ(object(kept).at("consistency").as_string(), "idle");
    EXPECT_EQ(object(kept).at("entries").as_int64(), 1);
    EXPECT_EQ(call("POST", path + "/snapshots", R"({"nam":"x"})", "ours").status, 400);

    EXPECT_EQ(call("POST", path + "/snapshots", "", "theirs").status, 404);
    EXPECT_EQ(call("POST", path + "/fork", "", "theirs").status, 404);
    EXPECT_TRUE(object(call("GET", "/v1/snapshots", "", "theirs")).at("data").as_array().empty());
    EXPECT_EQ(call("DELETE", "/v1/snapshots/" + snapshot, "", "theirs").status, 404);
    const std::string begin = fmt::format(R"({{"snapshot":"{}"}})", snapshot);
    EXPECT_EQ(call("POST", "/v1/sandboxes", begin, "theirs").status, 404);

    const RawResponse fork = call("POST", path + "/fork", "", "ours");
    ASSERT_EQ(fork.status, 201) << fork.body;
    for (const std::string& other :
         {std::string(object(fork).at("id").as_string()), create(begin, "ours")}) {
        const RawResponse read =
            call("POST", "/v1/sandboxes/" + other + "/exec", R"({"argv":["cat","a"]})", "ours");
        EXPECT_EQ(object(read).at("stdout").as_string(), "one\n");
    }
    const RawResponse all = call("GET", "/v1/snapshots", "", "ours");
    EXPECT_EQ(object(all).at("data").as_array().size(), 1u);
    EXPECT_EQ(call("DELETE", "/v1/snapshots/" + snapshot, "", "ours").status, 200);
    EXPECT_EQ(call("POST", "/v1/sandboxes", begin, "ours").status, 404);
}

}  // namespace
