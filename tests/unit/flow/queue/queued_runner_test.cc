#include "flow/queue/queued_runner.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "../engine/flow_world.h"
#include "support/manual_clock.h"

namespace {

namespace json = base::json;
using flow::RunId;
using flow::StepStatus;

constexpr std::string_view kMail = R"(
name: mail
queues: {post: {concurrency: 1}}
steps:
  - {id: write, call: {function: f}}
  - {id: send, call: {function: f, arguments: {to: "{{ input.to }}"}}, queue: post, timeout: 10s}
)";

constexpr std::string_view kWhole = R"(
name: whole
queues: {few: {concurrency: 2}}
queue: few
steps:
  - {id: work, call: {function: f}}
)";

struct Behind {
    test::ManualClock still;
    std::unique_ptr<flow::QueuedRunner> runner;
};

/// The engine of the simulated world, its calls behind queues.
class Queued : public Behind, public flow_test::World {
public:
    explicit Queued(std::uint64_t seed)
        : World(seed, {}, [this](flow::StepRunner& inner) {
              runner =
                  std::make_unique<flow::QueuedRunner>(inner, still, flow::QueuedRunner::Local{});
              return static_cast<flow::StepRunner*>(runner.get());
          }) {
        take_up();
    }
    /// As a server after its start: what was open is asked for again, then queues open.
    void take_up() {
        tasks.push_back([this] { runner->open(); });
        settle();
    }
    ~Queued() {
        halt();
        runner.reset();
    }

    RunId begin(std::string_view workflow, std::int32_t priority = 0) {
        std::optional<RunId> out;
        engine->start({.workflow = std::string(workflow),
                       .input = json::object{{"to", "x"}},
                       .priority = priority},
                      [&](base::Result<RunId> run) { out = *run; });
        settle();
        return *out;
    }
    /// Ends every call of this path's last part that is out.
    void end_all(std::string_view path) {
        for (std::size_t i = calls.held.size(); i-- > 0;) {
            if (calls.held[i].call.path == path) echo(i);
        }
    }
    std::vector<RunId> out(std::string_view path) {
        std::vector<RunId> runs;
        for (const auto& held : calls.held) {
            if (held.call.path == path) runs.push_back(held.call.run);
        }
        return runs;
    }
};

TEST(QueuedRunner, OneAtATimeByPriorityAndTheStateSaysWhoWaits) {
    Queued world(1);
    world.definitions.add(kMail);
    std::vector<RunId> runs{world.begin("mail"), world.begin("mail"), world.begin("mail", 7)};
    world.end_all("write");
    ASSERT_EQ(world.out("send").size(), 1u);
    const RunId first = world.out("send")[0];
    std::size_t waiting = 0;
    for (const RunId run : runs) {
        const auto& step = world.state(run).root.steps[1];
        if (run == first) {
            EXPECT_EQ(step.status, StepStatus::running);
            continue;
        }
        ++waiting;
        EXPECT_EQ(step.status, StepStatus::waiting);
        EXPECT_EQ(step.name, "queue/post");
    }
    EXPECT_EQ(waiting, 2u);
    EXPECT_EQ(world.runner->queues("").at(0).counts.waiting, 2u);
    world.end_all("send");
    if (first != runs[2]) {
        ASSERT_EQ(world.out("send"), std::vector<RunId>{runs[2]}) << "the higher priority is next";
    }
    while (!world.out("send").empty()) world.end_all("send");
    for (const RunId run : runs) {
        EXPECT_EQ(world.state(run).status, flow::RunStatus::completed);
    }
    EXPECT_TRUE(world.runner->queues("").empty());
}

TEST(QueuedRunner, TheTimeOfAnAttemptBeginsWithItsPlace) {
    Queued world(2);
    world.definitions.add(kMail);
    const RunId a = world.begin("mail"), b = world.begin("mail");
    world.end_all("write");
    const RunId first = world.out("send").at(0), second = first == a ? b : a;
    for (int i = 0; i < 3; ++i) world.pass(std::chrono::milliseconds(3'000));
    EXPECT_EQ(world.state(second).root.steps[1].status, StepStatus::waiting);
    world.end_all("send");
    ASSERT_EQ(world.out("send"), std::vector<RunId>{second});
    for (int i = 0; i < 3; ++i) world.pass(std::chrono::milliseconds(3'000));
    EXPECT_EQ(world.state(second).root.steps[1].status, StepStatus::running) << "9 s of its own 10";
    world.pass(std::chrono::milliseconds(1'000));
    EXPECT_NE(world.state(second).root.steps[1].status, StepStatus::running);
}

TEST(QueuedRunner, WhoWaitsAndWhoIsInSurviveACrash) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Queued world(seed);
        world.definitions.add(kMail);
        for (int i = 0; i < 4; ++i) world.begin("mail");
        world.end_all("write");
        const RunId first = world.out("send").at(0);
        world.crash(base::sim::SimDisk::Stop::power, seed % 2 == 0);
        world.take_up();
        ASSERT_EQ(world.out("send"), std::vector<RunId>{first}) << "it has its place again";
        std::vector<RunId> ended;
        while (!world.out("send").empty()) {
            ASSERT_EQ(world.out("send").size(), 1u);
            ended.push_back(world.out("send")[0]);
            world.end_all("send");
        }
        EXPECT_EQ(ended.size(), 4u);
    }
}

TEST(QueuedRunner, APausedOrCancelledRunTakesNoPlace) {
    Queued world(4);
    world.definitions.add(kMail);
    const RunId a = world.begin("mail"), b = world.begin("mail"), c = world.begin("mail");
    world.end_all("write");
    std::vector<RunId> others{a, b, c};
    std::erase(others, world.out("send").at(0));
    world.engine->input(
        others[0], [](flow::Machine& m, std::int64_t now) { return m.pause("", "", now); }, {});
    world.engine->input(others[1],
                        [](flow::Machine& m, std::int64_t now) { return m.cancel("", now); }, {});
    world.settle();
    world.end_all("send");
    EXPECT_TRUE(world.out("send").empty());
    const RunId d = world.begin("mail");
    world.end_all("write");
    EXPECT_EQ(world.out("send"), std::vector<RunId>{d}) << "the paused one keeps nobody waiting";
    world.engine->input(others[0],
                        [](flow::Machine& m, std::int64_t now) { return m.resume("", now); }, {});
    world.settle();
    world.end_all("send");
    EXPECT_EQ(world.out("send"), std::vector<RunId>{others[0]});
}

TEST(QueuedRunner, WholeRunsWaitAndGiveTheirPlaceBackAtTheirEnd) {
    Queued world(5);
    world.definitions.add(kWhole);
    std::vector<RunId> runs;
    for (int i = 0; i < 5; ++i) runs.push_back(world.begin("whole"));
    EXPECT_EQ(world.out("work").size(), 2u);
    EXPECT_EQ(world.state(runs[4]).queued_in, "few");
    world.crash(base::sim::SimDisk::Stop::process, true);
    world.take_up();
    EXPECT_EQ(world.out("work").size(), 2u) << "runs that had a place have it again";
    world.engine->input(world.out("work")[0],
                        [](flow::Machine& m, std::int64_t now) { return m.cancel("", now); }, {});
    world.settle();
    std::erase_if(world.calls.held, [&](const auto& held) {
        return world.state(held.call.run).status == flow::RunStatus::cancelled;
    });
    EXPECT_EQ(world.out("work").size(), 2u);
    int turns = 0;
    while (!world.out("work").empty() && ++turns < 10) {
        ASSERT_LE(world.out("work").size(), 2u);
        world.end_all("work");
    }
    EXPECT_EQ(turns, 2);
}

TEST(QueuedRunner, WhatTheProcessDoesItselfTakesTurnsByTenant) {
    flow_test::HeldCalls inner;
    test::ManualClock clock;
    flow::QueuedRunner runner(
        inner, clock, {.concurrency = 1, .is_local = [](const flow::Call&) { return true; }});
    flow::Step step;
    step.action = flow::NativeAction{};
    int cancelled = 0;
    const auto run = [&](std::uint64_t id, std::string tenant) {
        flow::Call call;
        call.run = RunId{id, 0};
        call.path = "s";
        call.step = &step;
        call.tenant = std::move(tenant);
        call.since_ms = static_cast<std::int64_t>(id);
        runner.run(std::move(call), [&](const base::Result<flow::StepOutput>& result) {
            if (!result) ++cancelled;
        });
    };
    for (std::uint64_t i = 1; i <= 50; ++i) run(i, "loud");
    run(51, "quiet");
    ASSERT_EQ(inner.held.size(), 1u);
    runner.cancel(RunId{50, 0}, "s");
    EXPECT_EQ(cancelled, 1) << "who will not be called is told";
    inner.held[0].done(flow::StepOutput{});
    ASSERT_EQ(inner.held.size(), 2u);
    EXPECT_EQ(inner.held[1].call.tenant, "quiet");
}

}  // namespace
