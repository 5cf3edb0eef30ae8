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
    world.end(0);
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

TEST_F(Fleet, LargeValuesAreWholeAtEveryProcess) {
    FleetWorld world(11, 2);
    world.definitions.add(kTwo);
    const std::string large(1'234, 'x');
    const auto run = world.start(0, "two", {{"v", 1}, {"text", large}});
    ASSERT_TRUE(run.has_value());
    std::string told;
    world.nodes[1]->engine->watch([&](flow::RunId, const auto& events, std::uint64_t) {
        for (const flow::Event& event : events) {
            if (event.kind == flow::EventKind::run_started) told = base::to_text(event.value);
        }
    });
    world.nodes[1]->engine->follow(*run, 0);
    world.settle();
    EXPECT_NE(told.find(large), std::string::npos) << "also in what is told as it happens";
    const auto plain = world.nodes[1]->log->history(*run, 0, 1);
    EXPECT_LT(base::to_text((*plain)[0].value).size(), 400u) << "the event names it";
    world.kill(0);
    world.pass_lease();
    ASSERT_EQ(world.held(1), 1u);
    const std::string second = large + "z";
    const auto held = std::move(world.nodes[1]->calls.held[0]);
    world.nodes[1]->calls.held.clear();
    held.done(flow::StepOutput{{{"v", 1}, {"text", second}}, 1, 0});
    world.settle();
    world.boot(0);
    EXPECT_EQ(world.nodes[0]->engine->state(*run).value()->input.at("text"), json::value(large));
    const auto history = world.nodes[0]->whole->history(*run, 0, 100);
    ASSERT_TRUE(history.has_value());
    const auto found =
        std::ranges::find(*history, flow::EventKind::step_finished, &flow::Event::kind);
    ASSERT_NE(found, history->end());
    EXPECT_EQ(found->value.at("text"), json::value(second));
}

TEST_F(Fleet, ValuesOfRunsThatNeverBeganAreCollectedAndNoOthers) {
    FleetWorld world(12, 1);
    world.definitions.add(kTwo);
    const std::string large(500, 'x');
    const auto run = world.start(0, "two", {{"v", 1}, {"text", large}});
    auto& log = *world.nodes[0]->log;
    flow::PostgresBlobStore now(log.pool(), world.clock,
                                {.piece_bytes = 100, .orphan_after = std::chrono::hours(-1)});
    const flow::RunId never{1, 2};
    const auto hash = now.put(never, large);
    ASSERT_TRUE(hash.has_value()) << hash.error().message;
    EXPECT_EQ(now.put(never, large), *hash);
    EXPECT_EQ(now.get(never, *hash), large);
    EXPECT_EQ(world.nodes[0]->blobs->collect({}), 0u) << "its run may be about to begin";
    EXPECT_EQ(now.collect({}), 1u);
    EXPECT_EQ(now.get(never, *hash).error().code, Code::not_found);
    EXPECT_EQ(now.put(never, large), *hash);
    EXPECT_TRUE(now.remove(never, *hash).has_value());
    EXPECT_TRUE(now.remove(never, *hash).has_value()) << "it may be gone already";
    EXPECT_EQ(now.get(never, *hash).error().code, Code::not_found);
    EXPECT_EQ(now.put(never, large), *hash) << "what was removed is put again";
    EXPECT_EQ(now.get(never, *hash), large);
    EXPECT_EQ(now.get(*run, "no hash").error().code, Code::not_found);
    const auto history = world.nodes[0]->whole->history(*run, 0, 1);
    ASSERT_TRUE(history.has_value()) << history.error().message;
    EXPECT_EQ((*history)[0].value.at("input").at("text"), json::value(large));
}

TEST_F(Fleet, AStepThatKillsItsProcessesIsQuarantined) {
    FleetWorld world(13, 2);
    world.definitions.add(kTwo);
    const auto run = world.start(0, "two", {{"v", 1}});
    std::size_t at = 0;
    for (int death = 0; death < 3; ++death, at = 1 - at) {
        ASSERT_EQ(world.held(at), 1u) << death;
        EXPECT_EQ(world.state(*run).status, RunStatus::running);
        world.kill(at);
        world.pass_lease();
        world.boot(at);
    }
    EXPECT_EQ(world.held(0) + world.held(1), 0u);
    EXPECT_EQ(world.state(*run).status, RunStatus::paused);
    EXPECT_EQ(world.nodes[0]->log->load_head(*run)->waiting,
              std::vector<std::string>{"quarantine:a"});
    ASSERT_TRUE(world.give(0, *run, {Kind::retry, "a"}).has_value());
    ASSERT_EQ(world.held(0) + world.held(1), 1u);
    world.echo(world.held(0) == 1 ? 0 : 1, 0);
    world.echo(world.held(0) == 1 ? 0 : 1, 0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
}

TEST_F(Fleet, ProcessesThatEndInOrderOrComeBackInTimeCountForNothing) {
    FleetWorld world(14, 2);
    world.definitions.add(kTwo);
    const auto run = world.start(0, "two", {{"v", 1}});
    std::size_t at = 0;
    for (int i = 0; i < 5; ++i, at = 1 - at) {
        ASSERT_EQ(world.held(at), 1u) << i;
        world.end(at);
        world.settle();
        world.boot(at);
    }
    // Alone and asleep past its lease: nobody else took the run, and it lives.
    world.kill(1 - at);
    for (int i = 0; i < 4; ++i) {
        ASSERT_GE(world.held(at), 1u) << i;
        world.nodes[at]->stopped = true;
        world.pass_lease();
        world.nodes[at]->stopped = false;
        world.settle();
    }
    EXPECT_EQ(world.state(*run).status, RunStatus::running);
    const auto history = world.nodes[at]->log->history(*run, 0, 100);
    ASSERT_TRUE(history.has_value());
    for (const flow::Event& event : *history) {
        EXPECT_NE(event.kind, flow::EventKind::step_lost);
    }
}

TEST_F(Fleet, ARunOfAnotherProcessIsLookedAtAndCounted) {
    FleetWorld world(15, 2);
    world.definitions.add(kTwo);
    world.definitions.add(kGate);
    const auto run = world.start(0, "two", {{"v", 5}});
    ASSERT_TRUE(world.start(0, "gate").has_value());
    std::string request;
    const auto looked = world.nodes[1]->engine->peek(
        *run, [&](flow::Machine& machine, std::int64_t now) -> base::Result<void> {
            request = base::to_text(DG_TRY(machine.request("a", now)));
            return {};
        });
    ASSERT_TRUE(looked.has_value()) << looked.error().message;
    EXPECT_EQ(request, R"({"v":5})");
    EXPECT_TRUE(world.nodes[1]->engine->foreign(*run)) << "it stays where it was";
    EXPECT_EQ(world.nodes[1]->log->owner_url(*run), "node");
    EXPECT_EQ(world.nodes[0]->log->owner_url(*run), "") << "its own";
    world.echo(0, 0);
    world.echo(0, 0);
    const auto counts = world.nodes[1]->log->count({});
    ASSERT_TRUE(counts.has_value()) << counts.error().message;
    EXPECT_EQ(counts->by_status[static_cast<std::size_t>(RunStatus::completed)], 1u);
    EXPECT_EQ(counts->by_status[static_cast<std::size_t>(RunStatus::running)], 1u);
    EXPECT_EQ(counts->waiting, 1u);
    EXPECT_EQ(world.nodes[1]->log->count({.workflow = "gate", .status = "open"})->waiting, 1u);
    EXPECT_EQ(world.nodes[1]->log->count({.workflow = "none"})->waiting, 0u);
}

}  // namespace
