#include "flow/engine/run_engine.h"

#include <gtest/gtest.h>

#include "flow/log/record.h"
#include "unit/flow/engine/flow_world.h"

namespace {

using base::Code;
using base::sim::SimDisk;
using flow::RunStatus;
using flow_test::World;
namespace json = base::json;
using std::chrono::milliseconds;

constexpr std::string_view kTwo = R"(
name: two
steps:
  - {id: a, call: {function: echo, arguments: {v: "{{ input.v }}"}}}
  - {id: b, call: {function: echo, arguments: {v: "{{ steps.a.output.v + 1 }}"}}}
)";

TEST(RunEngine, AFinishedStepIsNeverCalledAgainAndAnOpenOneIs) {
    World world(1);
    world.definitions.add(kTwo);
    const auto run = world.start("two", {{"v", 1}});
    ASSERT_TRUE(run.has_value());
    world.echo(0);
    ASSERT_EQ(world.calls.held.size(), 1u);
    const std::string key = world.calls.held[0].call.idempotency_key;
    world.crash(SimDisk::Stop::power, true);
    world.settle();
    ASSERT_EQ(world.calls.held.size(), 1u) << "b alone";
    EXPECT_EQ(world.calls.held[0].call.path, "b");
    EXPECT_EQ(world.calls.held[0].call.idempotency_key, key);
    world.echo(0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    EXPECT_EQ(base::to_text(world.state(*run).output), R"({"v":2})");
    world.crash(SimDisk::Stop::process, false);
    world.settle();
    EXPECT_TRUE(world.calls.held.empty());
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
}

TEST(RunEngine, NoCallIsMadeBeforeWhatLedToItIsDurable) {
    World world(2);
    world.definitions.add(kTwo);
    world.engine->start({.workflow = "two", .input = {{"v", 1}}}, [](const auto&) {});
    while (!world.tasks.empty()) {
        const auto task = std::move(world.tasks.front());
        world.tasks.pop_front();
        task();
    }
    EXPECT_TRUE(world.calls.held.empty());
    world.settle();
    EXPECT_EQ(world.calls.held.size(), 1u);
}

TEST(RunEngine, OneKeyStartsOneRunAlsoAfterACrash) {
    World world(3);
    world.definitions.add(kTwo);
    const auto first = world.start("two", {{"v", 1}}, "order-7");
    EXPECT_EQ(world.start("two", {{"v", 1}}, "order-7"), first);
    world.crash(SimDisk::Stop::power, false);
    EXPECT_EQ(world.start("two", {{"v", 1}}, "order-7"), first);
    EXPECT_NE(world.start("two", {{"v", 1}}, "order-8"), first);
}

TEST(RunEngine, ADiskThatRefusesIsAPauseAndNothingThatCameInIsLost) {
    World world(4);
    world.definitions.add(kTwo);
    const auto run = world.start("two", {{"v", 1}});
    world.disk.set_faults({.write = 1});
    world.echo(0);
    EXPECT_TRUE(world.calls.held.empty()) << "a's result is not durable";
    EXPECT_EQ(world.engine->stats().stalled_inputs, 1u);
    EXPECT_FALSE(world.start("two", {{"v", 5}}).has_value()) << "and no run is acknowledged";
    world.pass(milliseconds(1'500));
    EXPECT_EQ(world.engine->stats().stalled_inputs, 1u);
    world.disk.set_faults({});
    world.pass(milliseconds(1'500));
    ASSERT_EQ(world.calls.held.size(), 1u);
    EXPECT_EQ(world.calls.held[0].call.path, "b");
    world.echo(0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
}

TEST(RunEngine, ATimerThatCameDueWhileNothingRanFiresAtTheStart) {
    World world(5);
    world.definitions.add("name: nap\nsteps: [{id: nap, wait: {for: 3d}}]");
    const auto run = world.start("nap", json::object());
    world.halt();
    world.clock.advance(std::chrono::hours(24 * 4));
    world.disk.restart(SimDisk::Stop::process);
    ASSERT_TRUE(world.boot());
    world.pass(milliseconds(0));
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
}

TEST(RunEngine, AnEventReachesAllThatWaitInOneCommit) {
    World world(6);
    world.definitions.add("name: hear\nsteps: [{id: w, wait: {event: news}}]");
    world.definitions.add("name: tell\nsteps: [{id: t, emit: {event: news, payload: 5}}]");
    const auto one = world.start("hear", json::object()), two = world.start("hear", json::object());
    const std::uint64_t commits = world.engine->stats().commits;
    world.start("tell", json::object());
    EXPECT_EQ(world.engine->stats().commits, commits + 1);
    EXPECT_EQ(world.state(*one).output, 5);
    EXPECT_EQ(world.state(*two).output, 5);
}

TEST(RunEngine, AChildRunIsOneAndItsParentGoesOnInTheSameCommit) {
    World world(7);
    world.definitions.add(
        "name: outer\nsteps: [{id: sub, subflow: {workflow: inner, input: {v: 3}}}]");
    world.definitions.add(
        "name: inner\nsteps: [{id: e, call: {function: echo, arguments: {v: \"{{ input.v }}\"}}}]");
    world.definitions.add("name: lost\nsteps: [{id: sub, subflow: {workflow: nowhere}}]");
    const auto outer = world.start("outer", json::object());
    world.crash(SimDisk::Stop::power, true);
    world.settle();
    ASSERT_EQ(world.calls.held.size(), 1u);
    world.echo(0);
    EXPECT_EQ(base::to_text(world.state(*outer).output), R"({"v":3})");
    flow::RunFilter filter;
    EXPECT_EQ(world.log->list(filter)->size(), 2u);
    const auto lost = world.start("lost", json::object());
    EXPECT_EQ(world.state(*lost).error->code, Code::not_found);
}

TEST(RunEngine, RunsThatAnswerEachOtherForeverComeInManyCommits) {
    World world(10);
    world.definitions.add(
        "name: ping\nsteps: [{id: all, while: {condition: 'true', max: 500, steps: [{id: say, "
        "emit: "
        "{event: ping, payload: 1}}, {id: hear, wait: {event: pong}}]}, on_error: skip}]");
    world.definitions.add(
        "name: pong\nsteps: [{id: all, while: {condition: 'true', max: 500, steps: [{id: hear, "
        "wait: "
        "{event: ping}}, {id: say, emit: {event: pong, payload: 1}}]}, on_error: skip}]");
    const auto pong = world.start("pong", json::object());
    const auto ping = world.start("ping", json::object());
    EXPECT_EQ(world.state(*ping).status, RunStatus::completed);
    EXPECT_EQ(world.state(*pong).status, RunStatus::completed);
    EXPECT_GT(world.engine->stats().commits, 50u);
}

TEST(RunEngine, ALoopOverSubflowsThatEndAtOnceIsNoRecursion) {
    World world(11);
    world.definitions.add("name: leaf\nsteps: [{id: s, set: {v: 1}}]");
    world.definitions.add(
        "name: many\nsteps: [{id: all, for_each: {in: '{{ range(300) | list }}', as: i, steps: "
        "[{id: "
        "sub, subflow: {workflow: leaf}}]}}]");
    const auto run = world.start("many", json::object());
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    EXPECT_EQ(world.state(*run).output.as_array().size(), 300u);
}

TEST(RunEngine, AFailedRunIsRetriedAfterItLeftMemory) {
    World world(8, {.hot_runs_max = 1});
    world.definitions.add(kTwo);
    const auto run = world.start("two", {{"v", 1}});
    world.end_call(0, base::fail(Code::not_found, "no"));
    world.settle();
    EXPECT_EQ(world.state(*run).status, RunStatus::failed);
    world.crash(SimDisk::Stop::process, false);
    for (int i = 0; i < 3; ++i) world.start("two", {{"v", i}});
    const std::size_t others = world.calls.held.size();
    world.engine->input(
        *run, [](flow::Machine& m, std::int64_t now) { return m.retry("a", "ann", now); }, {});
    world.settle();
    ASSERT_EQ(world.calls.held.size(), others + 1);
    world.echo(others);
    world.echo(others);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    const auto history = world.log->history(*run, 0, 1'000);
    EXPECT_EQ(history->size(), world.state(*run).events);
    EXPECT_EQ(world.log->history(*run, 3, 2)->at(0), history->at(3));
}

TEST(RunEngine, AMillionWaitingRunsWouldNotAllBeInMemory) {
    World world(9, {.hot_runs_max = 10});
    world.definitions.add("name: wait\nsteps: [{id: w, wait: {signal: go}}]");
    std::vector<flow::RunId> runs;
    for (int i = 0; i < 100; ++i) runs.push_back(*world.start("wait", {{"i", i}}));
    EXPECT_LE(world.engine->stats().runs_hot, 11u);
    EXPECT_EQ(world.engine->stats().runs_open, 100u);
    for (const flow::RunId run : runs) {
        world.engine->input(
            run, [](flow::Machine& m, std::int64_t now) { return m.signal("go", 1, now); }, {});
        world.settle();
    }
    EXPECT_EQ(world.engine->stats().completed, 100u);
}

TEST(RunEngine, WhatIsWrittenOfAStateIsAShareOfTheEventsHoweverLargeItBecomes) {
    World world(10, {.snapshot_events = 20});
    world.definitions.add(R"(
name: many
steps:
  - id: each
    for_each:
      in: "{{ range(400) }}"
      steps: [{id: one, call: {function: echo, arguments: {n: "{{ item }}", text: "{{ input.t }}"}}}]
)");
    const auto run = world.start("many", {{"t", std::string(200, 'x')}});
    for (int i = 0; i < 399; ++i) world.echo(0);
    std::uint64_t snapshots = 0, bytes = 0;
    const auto each = [&](base::journal::Address, std::string_view record) -> base::Result<bool> {
        const auto read = DG_TRY(flow::decode_record(record));
        if (read.change.snapshot.empty()) return true;
        ++snapshots;
        const auto reference = DG_TRY(base::parse_json(read.change.snapshot));
        bytes += reference.at("bytes").to_number<std::uint64_t>();
        return true;
    };
    ASSERT_TRUE(world.journal->scan({}, each));
    const std::uint64_t events = world.state(*run).events;
    const std::uint64_t whole = json::serialize(to_json(world.state(*run))).size();
    EXPECT_GT(whole, 80'000u);
    EXPECT_GT(snapshots, 4u);
    EXPECT_LT(bytes, 256 * events + whole);
    // And what is behind the last one is a share of the state.
    const auto stored = world.log->load(*run);
    EXPECT_LE(stored->events.size(), whole / 256 + 20);
    world.crash(SimDisk::Stop::power, false);
    world.settle();
    ASSERT_EQ(world.calls.held.size(), 1u);
    world.echo(0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    EXPECT_EQ(world.state(*run).output.as_array().size(), 400u);
}

}  // namespace
