// Several engines on one database: who owns what, and what goes from one to the other.

#include <gtest/gtest.h>

#include <cstdlib>

#include "unit/flow/fleet/fleet_world.h"

namespace {

using base::Code;
using flow::RunInput;
using flow::RunStatus;
using flow_test::FleetWorld;
namespace json = base::json;
using Kind = flow::RunInput::Kind;
using std::chrono::milliseconds;

class Fleet : public testing::Test {
protected:
    void SetUp() override { DG_NEED_SERVER(test::PostgresServer::instance()); }
};

constexpr std::string_view kTwo = R"(
name: two
steps:
  - {id: a, call: {function: echo, arguments: {v: "{{ input.v }}"}}}
  - {id: b, call: {function: echo, arguments: {v: "{{ steps.a.output.v + 1 }}"}}}
)";
constexpr std::string_view kGate = R"(
name: gate
steps:
  - {id: ok, human: {ask: approve, prompt: "Go on?"}}
  - {id: paid, wait: {signal: paid}}
)";

TEST_F(Fleet, RunsOfAKilledProcessGoOnElsewhereWithTheSameKeys) {
    FleetWorld world(1, 2);
    world.definitions.add(kTwo);
    const auto run = world.start(0, "two", {{"v", 1}});
    ASSERT_TRUE(run.has_value());
    world.echo(0, 0);
    ASSERT_EQ(world.held(0), 1u);
    const std::string key = world.nodes[0]->calls.held[0].call.idempotency_key;
    world.kill(0);
    world.pass(milliseconds(1'000));
    EXPECT_EQ(world.held(1), 0u) << "its lease holds still";
    world.pass_lease();
    ASSERT_EQ(world.held(1), 1u) << "b alone: a is never called again";
    EXPECT_EQ(world.nodes[1]->calls.held[0].call.path, "b");
    EXPECT_EQ(world.nodes[1]->calls.held[0].call.idempotency_key, key);
    world.echo(1, 0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    EXPECT_EQ(base::to_text(world.state(*run).output), R"({"v":2})");
}

TEST_F(Fleet, AProcessThatSleptPastItsLeaseDropsItsRunsAndComesBack) {
    FleetWorld world(2, 2);
    world.definitions.add(kTwo);
    const auto run = world.start(0, "two", {{"v", 1}});
    world.nodes[0]->stopped = true;
    world.pass_lease();
    ASSERT_EQ(world.held(1), 1u);
    world.nodes[0]->stopped = false;
    world.echo(0, 0);  // what its call gave comes to nothing
    EXPECT_EQ(world.nodes[0]->engine->stats().runs_open, 0u);
    EXPECT_EQ(world.nodes[0]->calls.cancelled.size(), 1u);
    ASSERT_EQ(world.held(1), 1u);
    world.echo(1, 0);
    world.echo(1, 0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    ASSERT_TRUE(world.start(0, "two", {{"v", 5}}).has_value()) << "it is a worker again";
    EXPECT_EQ(world.held(0), 1u);
}

TEST_F(Fleet, PeopleAndSignalsReachARunFromAnyProcess) {
    FleetWorld world(3, 3);
    world.definitions.add(kGate);
    const auto run = world.start(0, "gate");
    const auto wrong = world.give(1, *run, {Kind::answer, "ok", {{"decision", "perhaps"}}});
    EXPECT_EQ(wrong.error().code, Code::invalid_argument) << "as if it were asked itself";
    EXPECT_TRUE(world.give(1, *run, {Kind::answer, "ok", {{"decision", "approved"}}}));
    EXPECT_EQ(world.give(1, *run, {Kind::answer, "ok", {{"decision", "approved"}}}).error().code,
              Code::not_found);
    EXPECT_TRUE(world.give(2, *run, {Kind::pause, "wait", {}, "ann"}));
    EXPECT_EQ(world.state(*run).status, RunStatus::paused);
    EXPECT_TRUE(world.give(1, *run, {Kind::resume, {}, {}, "ann"}));
    EXPECT_TRUE(world.give(2, *run, {Kind::signal, "paid", {{"amount", 3}}}));
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    EXPECT_EQ(base::to_text(world.state(*run).output), R"({"amount":3})");
    EXPECT_EQ(world.give(2, *run, {Kind::cancel, "late"}).error().code, Code::failed_precondition);
    EXPECT_EQ(world.give(2, {1, 1}, {Kind::cancel, "none"}).error().code, Code::not_found);
}

TEST_F(Fleet, WhatCameForARunWhoseOwnerDiedWaitsForTheNext) {
    FleetWorld world(4, 3);
    world.definitions.add(kGate);
    const auto run = world.start(0, "gate");
    world.nodes[0]->stopped = true;
    std::optional<base::Result<void>> answered;
    world.nodes[1]->engine->give(*run, {Kind::answer, "ok", {{"decision", "approved"}}},
                                 [&](base::Result<void> result) { answered = result; });
    world.settle();
    EXPECT_FALSE(answered.has_value());
    world.kill(0);
    world.pass_lease();
    ASSERT_TRUE(answered.has_value());
    EXPECT_TRUE(answered->has_value()) << answered->error().message;
    EXPECT_TRUE(world.give(1, *run, {Kind::signal, "paid", 1}));
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
}

TEST_F(Fleet, AFailedRunIsRetriedByWhoeverIsAsked) {
    FleetWorld world(5, 2);
    world.definitions.add(kTwo);
    const auto run = world.start(0, "two", {{"v", 1}});
    auto held = std::move(world.nodes[0]->calls.held[0]);
    world.nodes[0]->calls.held.clear();
    held.done(base::fail(Code::not_found, "no"));
    world.settle();
    EXPECT_EQ(world.state(*run).status, RunStatus::failed);
    EXPECT_TRUE(world.give(1, *run, {Kind::retry, "a", {}, "ann"}));
    ASSERT_EQ(world.held(1), 1u);
    EXPECT_EQ(world.held(0), 0u);
    world.echo(1, 0);
    world.echo(1, 0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
}

TEST_F(Fleet, AnEventReachesWhoWaitsInEveryProcessOnce) {
    FleetWorld world(6, 3);
    world.definitions.add(
        "name: hear\nsteps: [{id: one, wait: {event: news}}, {id: two, wait: {signal: end}}]");
    world.definitions.add("name: tell\nsteps: [{id: t, emit: {event: news, payload: 5}}]");
    std::vector<flow::RunId> runs;
    for (std::size_t i = 0; i < 6; ++i) runs.push_back(*world.start(i % 3, "hear"));
    world.start(1, "tell");
    for (const flow::RunId run : runs) {
        EXPECT_EQ(world.state(run).root.steps[0].output, 5);
        const auto history = world.nodes[0]->log->history(run, 0, 100);
        EXPECT_EQ(
            std::ranges::count(*history, flow::EventKind::signal_received, &flow::Event::kind), 1);
    }
    bool published = false;
    world.nodes[2]->engine->publish("", "news", 6,
                                    [&](const auto& done) { published = done.has_value(); });
    world.settle();
    EXPECT_TRUE(published);
    for (const flow::RunId run : runs) EXPECT_EQ(world.state(run).signals, 1u) << "none waits now";
}

TEST_F(Fleet, AChildsEndReachesItsParentThatIsElsewhereByThen) {
    FleetWorld world(7, 3);
    world.definitions.add(
        "name: outer\nsteps: [{id: sub, for_each: {in: [1, 2, 3, 4], as: n, concurrency: 4, steps: "
        "[{id: s, subflow: {workflow: inner, input: {v: \"{{ n }}\"}}}]}}]");
    world.definitions.add(
        "name: inner\nsteps: [{id: e, call: {function: echo, arguments: {v: \"{{ input.v }}\"}}}]");
    const auto outer = world.start(0, "outer");
    ASSERT_EQ(world.held(0), 4u);
    world.kill(0);
    world.pass_lease();
    EXPECT_EQ(world.held(1) + world.held(2), 4u);
    EXPECT_NE(world.held(1), 0u) << "the two that are left share them";
    EXPECT_NE(world.held(2), 0u);
    while (world.held(2) != 0) world.echo(2, 0);
    while (world.held(1) != 0) world.echo(1, 0);
    EXPECT_EQ(world.state(*outer).status, RunStatus::completed);
    EXPECT_EQ(base::to_text(world.state(*outer).output), R"([{"v":1},{"v":2},{"v":3},{"v":4}])");
}

TEST_F(Fleet, OneKeyStartsOneRunAtAllProcesses) {
    FleetWorld world(8, 2);
    world.definitions.add(kTwo);
    std::vector<flow::RunId> runs;
    for (std::size_t i = 0; i < 2; ++i) {  // both before either is written
        world.nodes[i]->engine->start(
            {.workflow = "two", .input = {{"v", 1}}, .idempotency_key = "order-7"},
            [&](base::Result<flow::RunId> run) {
                ASSERT_TRUE(run.has_value()) << run.error().message;
                runs.push_back(*run);
            });
    }
    world.settle();
    ASSERT_EQ(runs.size(), 2u);
    EXPECT_EQ(runs[0], runs[1]);
    EXPECT_EQ(world.held(0) + world.held(1), 1u);
    EXPECT_EQ(world.start(1, "two", {{"v", 1}}, "order-7"), runs[0]);
}

TEST_F(Fleet, EndsAndEventsAreHeardAtEveryProcess) {
    FleetWorld world(9, 2);
    world.definitions.add(kTwo);
    const auto run = world.start(0, "two", {{"v", 1}});
    std::optional<json::value> ended;
    world.nodes[1]->engine->when_ended(*run, [&](const auto& head, const json::value& output) {
        EXPECT_EQ(head->status, RunStatus::completed);
        ended = output;
    });
    std::map<std::uint64_t, flow::EventKind> seen;
    world.nodes[1]->engine->watch([&](flow::RunId, const auto& events, std::uint64_t first) {
        for (const flow::Event& event : events) seen.emplace(first++, event.kind);
    });
    world.nodes[1]->engine->follow(*run, 0);
    world.settle();
    EXPECT_EQ(seen.size(), 2u);
    world.echo(0, 0);
    EXPECT_FALSE(ended.has_value());
    world.echo(0, 0);
    ASSERT_TRUE(ended.has_value());
    EXPECT_EQ(base::to_text(*ended), R"({"v":2})");
    const auto history = world.nodes[0]->log->history(*run, 0, 100);
    ASSERT_EQ(seen.size(), history->size());
    for (const auto& [place, kind] : seen) EXPECT_EQ((*history)[place].kind, kind);
}

TEST_F(Fleet, WhoLeavesGivesItsRunsToOthersAtOnce) {
    FleetWorld world(10, 2);
    world.definitions.add(kTwo);
    const auto run = world.start(0, "two", {{"v", 1}});
    world.nodes[0]->log->leave();
    world.kill(0);
    world.settle();
    EXPECT_EQ(world.held(1), 1u) << "without waiting for the lease";
    const auto workers = world.nodes[1]->log->workers();
    ASSERT_EQ(workers->size(), 1u);
    EXPECT_EQ((*workers)[0].runs, 1u);
    EXPECT_EQ((*workers)[0].url, "node");
    world.echo(1, 0);
    world.echo(1, 0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
}

}  // namespace
