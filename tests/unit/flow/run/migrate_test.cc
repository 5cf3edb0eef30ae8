// Runs that go on as another version of their workflow says.

#include <gtest/gtest.h>

#include "unit/flow/run/driven_run.h"

namespace {

using base::Code;
using flow::RunStatus;
using flow::StepStatus;
using flow_test::DrivenRun;
namespace json = base::json;

std::string text(const json::value& value) {
    return base::to_text(value);
}

/// Why a run cannot move.
std::string why(const base::Result<void>& refused) {
    EXPECT_FALSE(refused.has_value());
    if (refused) return "";
    EXPECT_EQ(refused.error().code, Code::failed_precondition) << refused.error().message;
    return refused.error().message;
}

constexpr std::string_view kThree = R"(
name: three
steps:
  - {id: a, call: {function: echo, arguments: {x: "{{ input.x }}"}}}
  - {id: b, call: {function: echo, arguments: {y: "{{ steps.a.output.x + 1 }}"}}}
  - {id: c, call: {function: echo, arguments: {z: "{{ steps.b.output.y + 1 }}"}}}
)";

TEST(Migrate, WhatIsDoneIsKeptAndWhatComesIsOfTheNewVersion) {
    DrivenRun run(kThree, {{"x", 1}});
    run.finish("a", {{"x", 1}});
    ASSERT_TRUE(run.migrate(R"(
name: three
steps:
  - {id: a, call: {function: echo, arguments: {x: "{{ input.x }}"}}}
  - {id: b, call: {function: echo, arguments: {y: "other"}}}
  - {id: c, call: {function: echo, arguments: {z: "{{ steps.a.output.x + steps.b.output.y }}"}}}
  - {id: d, call: {function: last, arguments: {w: "{{ steps.c.output }}"}}}
)")
                    .has_value());
    EXPECT_EQ(run.called(), (std::vector<std::string>{"a", "b"})) << "no call is made again";
    run.finish("b", {{"y", 40}});
    EXPECT_EQ(text(run.last_call().request), R"({"z":41})");
    run.finish("c", 7);
    EXPECT_EQ(run.last_call().path, "d");
    run.finish("d", "end");
    EXPECT_EQ(run.state.status, RunStatus::completed);
    EXPECT_EQ(run.output(), R"("end")");
}

TEST(Migrate, AStepThatIsOutAndGoneIsInTheWayUnlessItIsToEnd) {
    constexpr std::string_view kWithoutB = R"(
name: three
steps:
  - {id: a, call: {function: echo, arguments: {x: 1}}}
  - {id: c, call: {function: echo, arguments: {z: 9}}}
)";
    DrivenRun run(kThree, {{"x", 1}});
    run.finish("a", {{"x", 1}});
    const std::string reason = why(run.migrate(kWithoutB));
    EXPECT_NE(reason.find("'b' is running and gone"), std::string::npos) << reason;
    EXPECT_EQ(run.state.definition->version, 0u) << "nothing has changed";
    ASSERT_TRUE(run.migrate(kWithoutB, {{"removed", "skip"}}).has_value());
    EXPECT_EQ(run.cancelled, (std::vector<std::string>{"b"}));
    EXPECT_EQ(run.last_call().path, "c");
    run.finish("c", 1);
    EXPECT_EQ(run.state.status, RunStatus::completed);
}

TEST(Migrate, AWaitGoesOnUnderItsNewName) {
    DrivenRun run("name: w\nsteps: [{id: gate, wait: {signal: go}}]");
    ASSERT_TRUE(run.migrate("name: w\nsteps: [{id: door, wait: {signal: go}}]",
                            {{"renamed", {{"gate", "door"}}}})
                    .has_value());
    ASSERT_TRUE(run.give([&](auto& m) { return m.signal("go", 3, run.now); }).has_value());
    EXPECT_EQ(run.output(), "3");
}

TEST(Migrate, ACallThatIsOutKeepsItsNameBecauseItsKeyHasIt) {
    constexpr std::string_view kRenamed =
        "name: w\nsteps: [{id: new, call: {function: f, arguments: {v: 2}}}]";
    DrivenRun run("name: w\nsteps: [{id: old, call: {function: f, arguments: {v: 1}}}]");
    json::value rules{{"renamed", {{"old", "new"}}}};
    EXPECT_NE(why(run.migrate(kRenamed, rules)).find("key"), std::string::npos);
    rules.as_object()["restart"] = {"new"};
    const std::string key = run.last_call().idempotency_key;
    const std::uint32_t attempt = run.last_call().attempt;
    ASSERT_TRUE(run.migrate(kRenamed, rules).has_value());
    EXPECT_EQ(run.cancelled, (std::vector<std::string>{"old"}));
    EXPECT_EQ(run.last_call().path, "new");
    EXPECT_EQ(text(run.last_call().request), R"({"v":2})");
    EXPECT_NE(run.last_call().idempotency_key, key);
    EXPECT_GT(run.last_call().attempt, attempt) << "a late answer to the old call is not its own";
}

TEST(Migrate, AFinishedOutputHasToBeAsTheNewSchemaSays) {
    constexpr std::string_view kOld =
        "name: w\nsteps: [{id: a, call: {function: f}}, {id: g, wait: {signal: go}}]";
    constexpr std::string_view kNew =
        "name: w\nsteps: [{id: a, call: {function: f}, output_schema: {type: object, required: "
        "[total]}}, "
        "{id: g, wait: {signal: go}}]";
    DrivenRun good(kOld);
    good.finish("a", {{"total", 1}});
    EXPECT_TRUE(good.migrate(kNew).has_value());
    DrivenRun bad(kOld);
    bad.finish("a", {{"sum", 1}});
    EXPECT_NE(why(bad.migrate(kNew)).find("total"), std::string::npos);
    EXPECT_TRUE(bad.migrate(kNew, {{"kept", {"a"}}}).has_value());
}

TEST(Migrate, AStepOfAnotherKindIsInTheWayOnceItHasBegun) {
    constexpr std::string_view kOld =
        "name: w\nsteps: [{id: a, call: {function: f}}, {id: g, wait: {signal: go}}]";
    constexpr std::string_view kNew =
        "name: w\nsteps: [{id: a, set: {v: 1}}, {id: g, wait: {signal: go}}]";
    DrivenRun out(kOld);
    EXPECT_NE(why(out.migrate(kNew)).find("running as call and is set"), std::string::npos);
    EXPECT_TRUE(out.migrate(kNew, {{"restart", {"a"}}}).has_value());
    EXPECT_EQ(text(out.state.vars), R"({"v":1})");
    DrivenRun done(kOld);
    done.finish("a", 1);
    EXPECT_NE(why(done.migrate(kNew)).find("another kind"), std::string::npos);
    EXPECT_TRUE(done.migrate(kNew, {{"kept", {"a"}}}).has_value());
    EXPECT_TRUE(done.state.vars.empty()) << "it is not done again";
}

constexpr std::string_view kLoop = R"(
name: w
steps:
  - id: each
    for_each: {in: "{{ [1, 2, 3] }}", as: n, steps: [{id: f, call: {function: f, arguments: {n: "{{ n }}"}}}]}
)";

TEST(Migrate, RoundsInProgressGetTheNewBody) {
    DrivenRun run(kLoop);
    run.finish("each[0].f", 10);
    ASSERT_TRUE(run.migrate(R"(
name: w
steps:
  - id: each
    for_each:
      in: "{{ [1, 2, 3] }}"
      as: n
      steps:
        - {id: first, call: {function: first, arguments: {n: "{{ n }}"}}}
        - {id: f, call: {function: f, arguments: {n: "{{ n * 100 }}"}}}
)")
                    .has_value());
    EXPECT_EQ(run.last_call().path, "each[1].first") << "late, as the round had begun";
    run.finish("each[1].f", 20);
    run.finish("each[1].first", 0);
    run.finish("each[2].first", 0);
    EXPECT_EQ(text(run.last_call().request), R"({"n":300})");
    run.finish("each[2].f", 30);
    EXPECT_EQ(run.output(), "[10,20,30]");
}

TEST(Migrate, FinishedRoundsHaveToBeOfTheStepThatTheBodyEndsWith) {
    constexpr std::string_view kOtherEnd = R"(
name: w
steps:
  - id: each
    for_each: {in: "{{ [1, 2, 3] }}", as: n, steps: [{id: f, call: {function: f}}, {id: last, set: {v: 1}}]}
)";
    DrivenRun run(kLoop);
    run.finish("each[0].f", 10);
    EXPECT_NE(why(run.migrate(kOtherEnd)).find("1 finished rounds"), std::string::npos);
    EXPECT_TRUE(run.migrate(kOtherEnd, {{"kept", {"last"}}}).has_value());
    DrivenRun anew(kLoop);
    anew.finish("each[0].f", 10);
    EXPECT_TRUE(anew.migrate(kOtherEnd, {{"restart", {"each"}}}).has_value());
    EXPECT_EQ(anew.cancelled, (std::vector<std::string>{"each[1].f"}));
    EXPECT_EQ(anew.last_call().path, "each[0].f");
}

TEST(Migrate, ANewBranchBeginsAndOneThatIsGoneIsInTheWay) {
    constexpr std::string_view kTwo =
        "name: w\nsteps: [{id: p, parallel: {branches: {x: [{id: a, call: {function: f}}], y: "
        "[{id: b, call: {function: f}"
        "}]}}}]";
    constexpr std::string_view kThreeWays =
        "name: w\nsteps: [{id: p, parallel: {branches: {x: [{id: a, call: {function: f}}], y: "
        "[{id: b, call: {function: f}"
        "}], z: [{id: c, call: {function: f}}]}}}]";
    constexpr std::string_view kOne =
        "name: w\nsteps: [{id: p, parallel: {branches: {x: [{id: a, call: {function: f}}]}}}]";
    DrivenRun run(kTwo);
    run.finish("p[x].a", 1);
    ASSERT_TRUE(run.migrate(kThreeWays).has_value());
    run.finish("p[y].b", 2);
    EXPECT_EQ(run.state.status, RunStatus::running);
    run.finish("p[z].c", 3);
    EXPECT_EQ(run.output(), R"({"x":1,"y":2,"z":3})");
    DrivenRun less(kTwo);
    EXPECT_NE(why(less.migrate(kOne)).find("its part 'y'"), std::string::npos);
}

TEST(Migrate, StepsThatHaveBegunDoNotWaitForOthersThatHaveNot) {
    constexpr std::string_view kTurned = R"(
name: three
steps:
  - {id: b, call: {function: echo}}
  - {id: a, call: {function: echo}}
  - {id: c, call: {function: echo}}
)";
    DrivenRun run(kThree, {{"x", 1}});
    EXPECT_NE(why(run.migrate(kTurned)).find("waits for 'b' now"), std::string::npos);
}

TEST(Migrate, TheInputHasToFitAndGetsDefaults) {
    constexpr std::string_view kOld = "name: w\nsteps: [{id: g, wait: {signal: go}}]";
    DrivenRun run(kOld, {{"x", 1}});
    EXPECT_NE(why(run.migrate("name: w\ninput: {type: object, required: [y]}\nsteps: [{id: g, "
                              "wait: {signal: go}}]"))
                  .find("input"),
              std::string::npos);
    ASSERT_TRUE(run.migrate("name: w\ninput: {type: object, properties: {y: {type: integer, "
                            "default: 5}}}\nsteps: [{id: g, wait: {signal: go}}]\noutput: \"{{ "
                            "input.y }}\"")
                    .has_value());
    ASSERT_TRUE(run.give([&](auto& m) { return m.signal("go", 3, run.now); }).has_value());
    EXPECT_EQ(run.output(), "5");
}

TEST(Migrate, WhatUndoesADoneStepStays) {
    constexpr std::string_view kOld = R"(
name: w
steps:
  - {id: a, call: {function: f}, compensate: {call: {function: undo}}}
  - {id: b, call: {function: f}, on_error: compensate}
)";
    constexpr std::string_view kRenamed = R"(
name: w
steps:
  - {id: aa, call: {function: f}, compensate: {call: {function: undo}}}
  - {id: b, call: {function: f}, on_error: compensate}
)";
    constexpr std::string_view kGone = R"(
name: w
steps: [{id: a, call: {function: f}}, {id: b, call: {function: f}}]
)";
    DrivenRun run(kOld);
    run.finish("a", 1);
    EXPECT_NE(why(run.migrate(kGone)).find("what would undo it is gone"), std::string::npos);
    ASSERT_TRUE(run.migrate(kRenamed, {{"renamed", {{"a", "aa"}}}}).has_value());
    run.fail("b", Code::not_found);
    EXPECT_EQ(run.last_call().path, "aa~undo");
    EXPECT_NE(why(run.migrate(kOld, {{"renamed", {{"aa", "a"}}}})).find("undoes"),
              std::string::npos);
    run.finish("aa~undo", 1);
    EXPECT_EQ(run.state.status, RunStatus::failed);
}

TEST(Migrate, AFailedRunIsMendedAndRetried) {
    DrivenRun run(
        "name: w\nsteps: [{id: a, set: {v: 1}}, {id: b, call: {function: f, arguments: "
        "{v: wrong}}}]");
    run.fail("b", Code::invalid_argument);
    ASSERT_EQ(run.state.status, RunStatus::failed);
    ASSERT_TRUE(run.migrate("name: w\nsteps: [{id: a, set: {v: 1}}, {id: b, call: {function: f, "
                            "arguments: {v: right}}}]")
                    .has_value());
    EXPECT_EQ(run.state.status, RunStatus::failed) << "it waits to be told";
    ASSERT_TRUE(run.give([&](auto& m) { return m.retry("", "ann", run.now); }).has_value());
    EXPECT_EQ(text(run.last_call().request), R"({"v":"right"})");
    run.finish("b", 1);
    EXPECT_EQ(run.state.status, RunStatus::completed);
    EXPECT_NE(why(run.migrate(kLoop)).find("completed"), std::string::npos);
}

TEST(Migrate, APausedRunStaysPaused) {
    DrivenRun run("name: w\nsteps: [{id: a, wait: {signal: go}}, {id: b, call: {function: f}}]");
    ASSERT_TRUE(run.give([&](auto& m) { return m.pause("look", "ann", run.now); }).has_value());
    ASSERT_TRUE(
        run.migrate(
               "name: w\nsteps: [{id: first, call: {function: f}}, {id: a, wait: {signal: go}}]")
            .has_value());
    EXPECT_TRUE(run.calls.empty());
    ASSERT_TRUE(run.give([&](auto& m) { return m.resume("ann", run.now); }).has_value());
    EXPECT_EQ(run.last_call().path, "first");
}

TEST(Migrate, WhoWaitsInAQueueWaitsInTheNewOne) {
    constexpr std::string_view kOld = R"(
name: w
queues: {q: {concurrency: 1}, r: {concurrency: 1}}
steps: [{id: a, call: {function: f}, queue: q}]
)";
    constexpr std::string_view kNew = R"(
name: w
queues: {q: {concurrency: 1}, r: {concurrency: 1}}
steps: [{id: a, call: {function: f}, queue: r}]
)";
    DrivenRun run(kOld);
    ASSERT_TRUE(run.last_call().admission);
    ASSERT_TRUE(run.migrate(kNew).has_value());
    EXPECT_EQ(run.cancelled, (std::vector<std::string>{"a"}));
    EXPECT_TRUE(run.last_call().admission);
    EXPECT_EQ(run.step("a").name, "queue/r");
    run.admit("a");
    EXPECT_FALSE(run.last_call().admission);
    run.finish("a", 1);
    EXPECT_EQ(run.state.status, RunStatus::completed);
}

TEST(Migrate, ARunTakesItsPlaceInTheNewQueue) {
    constexpr std::string_view kOld =
        "name: w\nqueues: {q: {concurrency: 1}}\nqueue: q\nsteps: [{id: a, wait: {signal: go}}]";
    constexpr std::string_view kNew =
        "name: w\nqueues: {r: {concurrency: 1}}\nqueue: r\nsteps: [{id: a, wait: {signal: go}}, "
        "{id: b, call: {function: f}}]";
    DrivenRun run(kOld);
    run.admit("");
    ASSERT_TRUE(run.migrate(kNew).has_value());
    EXPECT_EQ(run.cancelled, (std::vector<std::string>{""})) << "its old place is free";
    EXPECT_EQ(run.state.queued_in, "r");
    run.admit("");
    ASSERT_TRUE(run.give([&](auto& m) { return m.signal("go", 3, run.now); }).has_value());
    EXPECT_EQ(run.last_call().path, "b");
}

TEST(Migrate, RulesNameStepsThatThereAre) {
    DrivenRun run(kThree, {{"x", 1}});
    for (const json::value& rules :
         {json::value{{"renamed", {{"zz", "a"}}}}, json::value{{"renamed", {{"a", "b"}}}},
          json::value{{"restart", {"zz"}}}, json::value{{"removed", "maybe"}},
          json::value{{"what", 1}}, json::value{{"kept", "a"}}, json::value(1)}) {
        const auto refused = run.migrate(
            "name: three\nsteps: [{id: a, call: {function: f}}, {id: b, call: {function: f}}, {id: "
            "c, call: {function: f}}]",
            rules);
        ASSERT_FALSE(refused.has_value()) << text(rules);
        EXPECT_EQ(refused.error().code, Code::invalid_argument) << text(rules);
        EXPECT_TRUE(refused.error().subject.starts_with("rules")) << refused.error().subject;
    }
}

TEST(Migrate, TheHistoryIsSplitWhereAnotherVersionGoesOn) {
    DrivenRun run(kThree, {{"x", 1}});
    run.finish("a", {{"x", 1}});
    const std::string old = run.definition->hash;
    ASSERT_TRUE(run.migrate("name: three\nsteps: [{id: a, call: {function: f}}, {id: b, call: "
                            "{function: f}}, {id: d, "
                            "call: {function: f}}]")
                    .has_value());
    run.finish("b", 1);
    const flow::History whole = flow::history_of(run.events);
    const auto parts = flow::history_parts(whole, run.definition->hash);
    ASSERT_TRUE(parts.has_value());
    ASSERT_EQ(parts->size(), 2u);
    const flow::HistoryPart &last = parts->front(), &first = parts->back();
    EXPECT_EQ(last.hash, run.definition->hash);
    EXPECT_EQ(first.hash, old);
    EXPECT_EQ(first.begin, 0u);
    EXPECT_EQ(first.end, last.begin);
    EXPECT_EQ(last.end, run.events.size());
    std::vector<flow::EventKind> kinds;
    ASSERT_TRUE(flow::part_of(whole, first)(1, [&](const flow::Event& event) {
        kinds.push_back(event.kind);
        return true;
    }));
    EXPECT_EQ(kinds.size(), first.end - 1);
    EXPECT_EQ(std::ranges::count(kinds, flow::EventKind::run_migrated), 0);
    EXPECT_TRUE(flow::plan_fork(run.state.id, run.definition, flow::part_of(whole, last), "d", {}));
}

}  // namespace
