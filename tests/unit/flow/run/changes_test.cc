// What people do to runs: retries with other input, checkpoints, forks, replays, quarantine.

#include <gtest/gtest.h>

#include "unit/flow/run/driven_run.h"

namespace {

using base::Code;
using flow::RunStatus;
using flow::StepStatus;
using flow_test::DrivenRun;
namespace json = base::json;

constexpr std::string_view kThree = R"(
name: three
steps:
  - {id: a, call: {function: echo, arguments: {x: "{{ input.x }}"}}}
  - {id: b, call: {function: echo, arguments: {y: "{{ steps.a.output.x + 1 }}"}}}
  - {id: c, call: {function: echo, arguments: {z: "{{ steps.b.output.y + 1 }}"}}}
)";

std::string text(const json::value& value) {
    return base::to_text(value);
}

TEST(Retry, OtherInputStandsForTheRenderedOneFromThenOn) {
    DrivenRun run(kThree, {{"x", 1}});
    run.finish("a", {{"x", 1}});
    run.fail("b", Code::not_found);
    ASSERT_EQ(run.state.status, RunStatus::failed);
    const json::value with{{"y", 40}};
    ASSERT_TRUE(run.give([&](auto& m) { return m.retry("", "ann", run.now, with); }).has_value())
        << "the one that failed";
    EXPECT_EQ(run.last_call().path, "b");
    EXPECT_EQ(run.last_call().request, with);
    run.fail("b", Code::unavailable);
    run.pass_ms(60'000);
    EXPECT_EQ(run.last_call().attempt, 2u);
    EXPECT_EQ(run.last_call().request, with);
    EXPECT_EQ(flow::Machine(run.state).outstanding().at(0).request, with) << "after a crash, too";
    run.finish("b", with);
    EXPECT_EQ(text(run.last_call().request), R"({"z":41})");
}

TEST(Retry, AStepWithoutInputRefusesOne) {
    DrivenRun run(
        "name: w\nsteps: [{id: gate, human: {ask: approve, prompt: ok}, on_error: pause}]");
    ASSERT_TRUE(run.give([&](auto& m) {
                       return m.answer("gate", json::value{{"decision", "rejected"}}, run.now);
                   })
                    .has_value());
    const auto refused = run.give([&](auto& m) {
        return m.retry("gate", "ann", run.now, json::value{{"a", 1}});
    });
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().subject, "with");
    EXPECT_TRUE(run.give([&](auto& m) { return m.retry("gate", "ann", run.now); }).has_value());
}

TEST(Fork, TakesOverWhatWasDoneAndGoesOnByItself) {
    DrivenRun run(kThree, {{"x", 1}});
    run.finish("a", {{"x", 5}});
    run.finish("b", {{"y", 6}});
    run.finish("c", {{"z", 7}});
    ASSERT_EQ(run.state.status, RunStatus::completed);
    const std::string before = text(to_json(run.state));
    DrivenRun fork(run, "b", {{"y", 100}});
    EXPECT_EQ(fork.called(), std::vector<std::string>{"b"}) << "a is not called again";
    EXPECT_EQ(text(fork.last_call().request), R"({"y":100})");
    EXPECT_NE(fork.last_call().idempotency_key, run.calls[1].idempotency_key);
    fork.finish("b", {{"y", 100}});
    EXPECT_EQ(text(fork.last_call().request), R"({"z":101})");
    fork.finish("c", {{"z", 101}});
    EXPECT_EQ(fork.state.status, RunStatus::completed);
    EXPECT_EQ(fork.state.forked_from->path, "b");
    EXPECT_EQ(fork.state.forked_from->run, run.state.id);
    EXPECT_EQ(text(to_json(run.state)), before);
    DrivenRun second(fork, "c");
    EXPECT_EQ(text(second.last_call().request), R"({"z":101})") << "a fork of a fork";
    second.finish("c", {{"z", 1}});
}

TEST(Fork, BranchesThatEndedBesideTheStepAreTakenOver) {
    DrivenRun run(R"(
name: graph
steps:
  - {id: a, call: {function: f, arguments: {}}}
  - {id: b, depends_on: [a], call: {function: f, arguments: {}}}
  - {id: c, depends_on: [a], call: {function: f, arguments: {}}}
  - {id: d, depends_on: [b, c], call: {function: f, arguments: {}}}
)");
    run.finish("a", 1);
    run.finish("c", 3);
    run.finish("b", 2);
    run.fail("d", Code::not_found);
    DrivenRun fork(run, "c");
    EXPECT_EQ(fork.called(), std::vector<std::string>{"c"})
        << "b ended later and does not wait for c";
    fork.finish("c", 30);
    EXPECT_EQ(fork.called(), (std::vector<std::string>{"c", "d"}));
    DrivenRun early(run, "a");
    EXPECT_EQ(early.called(), std::vector<std::string>{"a"});
    early.finish("a", 1);
    EXPECT_EQ(early.called().size(), 3u) << "b and c follow from it";
}

TEST(Fork, WithinAFinishedLoopVariablesAreAsTheyWere) {
    DrivenRun run(R"(
name: loop
steps:
  - id: each
    for_each:
      in: input.parts
      steps:
        - {id: fit, call: {function: f, arguments: {part: "{{ item }}", n: "{{ vars.n or 0 }}"}}}
        - {id: count, set: {n: "{{ (vars.n or 0) + 1 }}"}}
  - {id: last, call: {function: f, arguments: {all: "{{ steps.each.output }}"}}}
)",
                  {{"parts", {"x", "y", "z"}}});
    for (const char* path : {"each[0].fit", "each[1].fit", "each[2].fit"}) run.finish(path, path);
    run.finish("last", 1);
    ASSERT_EQ(run.state.status, RunStatus::completed);
    DrivenRun fork(run, "each[1].fit");
    EXPECT_EQ(text(fork.last_call().request), R"({"part":"y","n":1})");
    fork.finish("each[1].fit", "other");
    while (fork.last_call().path != "last") fork.finish(fork.last_call().path, "z");
    EXPECT_EQ(fork.state.vars.at("n"), 3);
    DrivenRun loop(run, "last");
    EXPECT_EQ(loop.called(), std::vector<std::string>{"last"});
    const auto nowhere =
        flow::plan_fork(run.state.id, run.definition, run.events, "each[7].fit", {});
    EXPECT_EQ(nowhere.error().code, Code::not_found);
    const auto unknown = flow::plan_fork(run.state.id, run.definition, run.events, "nope", {});
    EXPECT_EQ(unknown.error().subject, "step");
}

TEST(Fork, WhatWasAtWorkBesideItBeginsAnew) {
    DrivenRun run(R"(
name: both
steps:
  - id: both
    parallel:
      branches:
        x: [{id: x1, call: {function: f, arguments: {}}}, {id: x2, call: {function: f, arguments: {}}}]
        y: [{id: y1, call: {function: f, arguments: {}}}]
)");
    run.finish("both[x].x1", 1);
    DrivenRun fork(run, "both[x].x2");
    EXPECT_EQ(fork.called(), (std::vector<std::string>{"both[x].x2", "both[y].y1"}));
    fork.finish("both[y].y1", 5);
    fork.finish("both[x].x2", 6);
    EXPECT_EQ(fork.output(), R"({"x":6,"y":5})");
}

constexpr std::string_view kCheckpoints = R"(
name: long
steps:
  - {id: plan, set: {goal: 1}, checkpoint: planned}
  - id: train
    call: {function: f, arguments: {goal: "{{ vars.goal }}"}}
    checkpoint: {name: trained, summary: "loss {{ steps.train.output.loss }}", next: [evaluate]}
  - {id: change, set: {goal: 2}}
  - {id: evaluate, call: {function: f, arguments: {goal: "{{ vars.goal }}"}}}
)";

TEST(Checkpoints, GoingBackResetsWhatCameAfter) {
    DrivenRun run(kCheckpoints);
    run.finish("train", {{"loss", 3}});
    ASSERT_EQ(run.state.checkpoints.size(), 2u);
    EXPECT_EQ(text(run.state.checkpoints[1].value), R"({"next":["evaluate"],"summary":"loss 3"})");
    run.fail("evaluate", Code::not_found);
    ASSERT_EQ(run.state.status, RunStatus::failed);
    ASSERT_TRUE(run.give([&](auto& m) { return m.rewind("last", "ann", run.now); }).has_value());
    EXPECT_EQ(run.state.status, RunStatus::running);
    EXPECT_EQ(run.called(), (std::vector<std::string>{"train", "evaluate", "evaluate"}));
    ASSERT_TRUE(run.give([&](auto& m) { return m.rewind("planned", "ann", run.now); }).has_value());
    EXPECT_EQ(run.last_call().path, "train");
    EXPECT_EQ(text(run.last_call().request), R"({"goal":1})") << "variables are as they were";
    EXPECT_EQ(run.state.checkpoints.size(), 1u);
    EXPECT_EQ(run.cancelled, std::vector<std::string>{"evaluate"});
    const auto none = run.give([&](auto& m) { return m.rewind("trained", "ann", run.now); });
    EXPECT_EQ(none.error().code, Code::not_found);
}

TEST(Checkpoints, LastIsNoName) {
    EXPECT_FALSE(
        flow::read_definition("name: a\nsteps: [{id: s, set: {a: 1}, checkpoint: last}]", "a.yaml")
            .has_value());
}

TEST(Quarantine, ACallThatIsLostTooOftenPausesTheRunUntilItIsReleased) {
    DrivenRun run(kThree, {{"x", 1}});
    const auto die = [&] {
        return run.give([&](auto& m) -> base::Result<void> {
            m.lost(std::vector<flow::LostCall>{{"a", 1}}, 3, run.now);
            return {};
        });
    };
    (void)die();
    (void)die();
    EXPECT_EQ(run.calls.size(), 3u);
    EXPECT_EQ(run.calls[2].idempotency_key, run.calls[0].idempotency_key);
    (void)die();
    EXPECT_EQ(run.calls.size(), 3u);
    EXPECT_EQ(run.state.status, RunStatus::paused);
    EXPECT_TRUE(run.step("a").quarantined);
    EXPECT_NE(run.state.reason.find("'a'"), std::string::npos);
    ASSERT_TRUE(run.give([&](auto& m) { return m.resume("ann", run.now); }).has_value());
    EXPECT_EQ(run.calls.size(), 4u);
    EXPECT_EQ(run.step("a").lost, 0u);
    run.finish("a", {{"x", 1}});
    EXPECT_EQ(run.last_call().path, "b");
}

TEST(Replay, TellsWhereAnotherDefinitionGoesAnotherWay) {
    DrivenRun run(R"(
name: size
steps:
  - {id: a, call: {function: f, arguments: {x: 1}}}
  - id: which
    branch:
      if: steps.a.output.rows > 10
      then: [{id: big, call: {function: f, arguments: {}}}]
      else: [{id: small, call: {function: f, arguments: {}}}]
)");
    run.finish("a", {{"rows", 20}});
    run.finish("which[then].big", 1);
    const auto changed = flow::read_definition(R"(
name: size
steps:
  - {id: a, call: {function: f, arguments: {x: 2}}}
  - id: which
    branch:
      if: steps.a.output.rows > 100
      then: [{id: big, call: {function: f, arguments: {}}}]
      else: [{id: small, call: {function: f, arguments: {}}}]
)",
                                               "b.yaml");
    ASSERT_TRUE(changed.has_value());
    const auto found = flow::replay(run.state.id, *changed, false, run.events);
    ASSERT_TRUE(found.has_value() && found->difference);
    EXPECT_EQ(found->difference->what, "name");
    EXPECT_EQ(found->difference->recorded->name, "then");
    EXPECT_EQ(found->difference->today->name, "else");
    EXPECT_EQ(text(found->requests.at(0).request), R"({"x":2})");
    std::vector<flow::Event> edited = run.events;
    edited.back().value = 2;
    const auto forged = flow::replay(run.state.id, run.definition, true, edited);
    ASSERT_TRUE(forged.has_value() && forged->difference);
    EXPECT_EQ(forged->difference->place, edited.size());
}

TEST(Export, ADocumentIsReadAsItWasWritten) {
    DrivenRun run(kThree, {{"x", 1}});
    run.fail("a", Code::unavailable);
    const flow::RunExport one{run.definition->document, to_json(run.state), run.events};
    const auto parsed = base::parse_json(base::to_text(to_json(one)));
    const auto read = flow::export_from_json(*parsed);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(read->events, run.events);
    json::object wrong = to_json(one);
    wrong["events"].as_array()[1].as_object()["at_ms"] = "now";
    EXPECT_EQ(flow::export_from_json(wrong).error().subject, "events[1].at_ms");
}

constexpr std::string_view kQueued = R"(
name: queued
queues: {runs: {concurrency: 1}, calls: {concurrency: 1}}
queue: runs
steps:
  - {id: a, call: {function: echo, arguments: {x: "{{ input.x }}"}}, queue: calls}
  - {id: b, call: {function: echo, arguments: {y: "{{ steps.a.output.x }}"}}}
)";

/// Each record is decided again when its run goes.
TEST(Replay, PlacesInQueuesPriorityAndTraceAreOfTheRecord) {
    flow::RunStart start;
    start.priority = 7;
    start.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    DrivenRun run(kQueued, {{"x", 1}}, start);
    EXPECT_EQ(run.last_call().priority, 7);
    run.admit("");
    ASSERT_TRUE(run.give([&](auto& m) { return m.pause("look", "ann", run.now); }).has_value());
    run.admit("a");  // a paused run begins nothing
    EXPECT_EQ(run.step("a").status, StepStatus::waiting);
    ASSERT_TRUE(run.give([&](auto& m) { return m.resume("ann", run.now); }).has_value());
    run.admit("a");
    run.fail("a", Code::unavailable);
    run.pass_ms(60'000);
    run.admit("a");
    run.finish("a", {{"x", 1}});
    run.fail("b", Code::not_found);
    ASSERT_EQ(run.state.status, RunStatus::failed);
    ASSERT_TRUE(run.give([&](auto& m) { return m.retry("b", "ann", run.now); }).has_value());
    EXPECT_EQ(run.state.queued_in, "runs") << "its place went with its end";
    run.admit("");
    run.finish("b", {{"y", 1}});
    EXPECT_EQ(run.state.status, RunStatus::completed);
}

TEST(Fork, WaitsForAPlaceAsAnyRunOfItsWorkflow) {
    DrivenRun run(kQueued, {{"x", 1}});
    run.admit("");
    run.admit("a");
    run.finish("a", {{"x", 1}});
    DrivenRun fork(run, "b");
    EXPECT_EQ(fork.state.queued_in, "runs");
    EXPECT_TRUE(fork.last_call().admission);
    fork.admit("");
    EXPECT_EQ(fork.last_call().path, "b");
    fork.finish("b", {{"y", 1}});
    EXPECT_EQ(fork.state.status, RunStatus::completed);
}

}  // namespace
