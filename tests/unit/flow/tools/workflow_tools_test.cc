#include "flow/tools/workflow_tools.h"

#include <gtest/gtest.h>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/journal/journal.h"
#include "flow/log/journal_run_log.h"

namespace {

using base::Code;
using flow::tools::WorkflowTools;
namespace json = base::json;

/// A call's output is its request.
class Echo final : public flow::StepRunner {
public:
    void run(flow::Call call, Done done) override {
        done(flow::StepOutput{std::move(call.request), 0, 0});
    }
    void cancel(flow::RunId, std::string_view) override {}
};

class Workflows : public testing::Test {
protected:
    json::object call(const char* name, json::object arguments, const char* tenant = "default",
                      const std::function<bool()>& cancelled = {}) {
        auto done = tools_.call(tenant, name, arguments, cancelled);
        EXPECT_TRUE(done.has_value()) << name << ": " << done.error().message;
        return done ? *std::move(done) : json::object();
    }
    std::optional<Code> fault(const char* name, json::object arguments,
                              const char* tenant = "default") {
        const auto done = tools_.call(tenant, name, arguments);
        if (done) return std::nullopt;
        return done.error().code;
    }
    void deploy(std::string_view text) {
        ASSERT_TRUE(definitions_->deploy("default", text, "test.yaml").has_value());
    }

    const base::TemporaryDir dir_ = *base::TemporaryDir::create("/tmp", "dougong-flow-tools-");
    base::LinuxDisk disk_;
    base::SystemClock clock_;
    Echo echo_;
    std::unique_ptr<base::journal::Journal> journal_ =
        *base::journal::Journal::open(disk_, dir_.path() + "/journal", {});
    std::unique_ptr<flow::JournalRunLog> log_ =
        *flow::JournalRunLog::open(*journal_, dir_.path() + "/runs.db");
    std::unique_ptr<flow::DefinitionStore> definitions_ =
        *flow::DefinitionStore::open(dir_.path() + "/workflows.db", clock_);
    std::unique_ptr<flow::Runtime> runtime_ =
        *flow::Runtime::open(*log_, *definitions_, echo_, clock_, {});
    WorkflowTools tools_{*runtime_, *log_, *definitions_};
};

constexpr std::string_view kHello = R"(
name: hello
description: says what it is told
input: {type: object, required: [who], properties: {who: {type: string}}}
steps: [{id: say, set: {text: "hello {{ input.who }}"}}]
)";
constexpr std::string_view kGate = R"(
name: gate
steps: [{id: ok, human: {ask: approve, prompt: ok}}, {id: last, set: {v: 1}}]
)";

TEST_F(Workflows, AreListedWithTheirInputAndRunToTheirEnd) {
    deploy(kHello);
    const json::object listed = call("workflow_list", {});
    const json::value& one = listed.at("workflows").at(0);
    EXPECT_EQ(one.at("description"), "says what it is told");
    EXPECT_EQ(one.at("input_schema").at("required").at(0), "who");
    const json::object end =
        call("workflow_run", {{"workflow", "hello"}, {"input", json::object{{"who", "ann"}}}});
    EXPECT_EQ(end.at("status"), "completed");
    EXPECT_EQ(end.at("output").at("text"), "hello ann");
    const json::object steps = call("workflow_status", {{"run", end.at("run")}, {"steps", true}});
    EXPECT_TRUE(steps.contains("steps"));
    EXPECT_EQ(steps.at("output").at("text"), "hello ann");
}

TEST_F(Workflows, ARunThatWaitsForAPersonIsToldAndAnswered) {
    deploy(kGate);
    const json::object begun = call("workflow_run", {{"workflow", "gate"}, {"wait_seconds", 0}});
    EXPECT_EQ(begun.at("status"), "running");
    EXPECT_EQ(begun.at("waits_for").at(0), "human:ok");
    call("workflow_answer", {{"run", begun.at("run")},
                             {"step", "ok"},
                             {"answer", json::object{{"decision", "approved"}}}});
    const json::object end =
        call("workflow_status", {{"run", begun.at("run")}, {"wait_seconds", 60}});
    EXPECT_EQ(end.at("status"), "completed");
}

TEST_F(Workflows, WhoGoesAwayIsNotWaitedForAndTheRunGoesOn) {
    deploy(kGate);
    const json::object begun = call("workflow_run", {{"workflow", "gate"}, {"wait_seconds", 600}},
                                    "default", [] { return true; });
    EXPECT_EQ(begun.at("status"), "running");
    EXPECT_EQ(call("workflow_cancel", {{"run", begun.at("run")}}).at("status"), "cancelled");
}

TEST_F(Workflows, BelongToTheirTenantAndArgumentsAreChecked) {
    deploy(kGate);
    const json::object begun = call("workflow_run", {{"workflow", "gate"}, {"wait_seconds", 0}});
    EXPECT_EQ(fault("workflow_status", {{"run", begun.at("run")}}, "other"), Code::not_found);
    EXPECT_EQ(fault("workflow_cancel", {{"run", begun.at("run")}}, "other"), Code::not_found);
    EXPECT_EQ(fault("workflow_run", {{"workflow", "gate"}}, "other"), Code::not_found);
    EXPECT_EQ(fault("workflow_run", {}), Code::invalid_argument);
    EXPECT_EQ(fault("workflow_run", {{"workflow", "gate"}, {"wait_seconds", 9'999}}),
              Code::invalid_argument);
    EXPECT_EQ(fault("workflow_run", {{"workflow", "gate"}, {"inputs", 1}}), Code::invalid_argument);
    EXPECT_EQ(fault("workflow_status", {{"run", "nonsense"}}), Code::not_found);
    EXPECT_EQ(fault("nothing", {}), Code::not_found);
    EXPECT_EQ(WorkflowTools::listing().at("tools").as_array().size(), WorkflowTools::all().size());
}

}  // namespace
