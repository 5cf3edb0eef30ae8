#include "flow/run/machine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "unit/flow/run/driven_run.h"

namespace {

using base::Code;
using base::Error;
using flow::Decision;
using flow::EventKind;
using flow::Machine;
using flow::RunState;
using flow::RunStatus;
using flow::StepStatus;
namespace json = base::json;

using flow_test::DrivenRun;

TEST(Machine, StepsFollowEachOtherAndSeeWhatCameBefore) {
    DrivenRun run(R"(
name: two
steps:
  - id: first
    call: {function: echo, arguments: {x: "{{ input.x }}"}}
  - id: second
    call: {function: echo, arguments: {y: "{{ steps.first.output.x + 1 }}"}}
output: {sum: "{{ steps.first.output.x + steps.second.output.y }}"}
)",
                  {{"x", 4}});
    ASSERT_EQ(run.called(), std::vector<std::string>{"first"});
    EXPECT_EQ(base::to_text(run.last_call().request), R"({"x":4})");
    run.finish("first", {{"x", 4}});
    ASSERT_EQ(run.called().back(), "second");
    EXPECT_EQ(base::to_text(run.last_call().request), R"({"y":5})");
    run.finish("second", {{"y", 5}});
    EXPECT_EQ(run.state.status, RunStatus::completed);
    EXPECT_EQ(run.output(), R"({"sum":9})");
}

TEST(Machine, IndependentStepsRunAtOnceAndAJoinWaitsForAll) {
    DrivenRun run(R"(
name: diamond
steps:
  - {id: a, call: {function: echo}}
  - {id: b, call: {function: echo}, depends_on: [a]}
  - {id: c, call: {function: echo}, depends_on: [a]}
  - {id: d, call: {function: echo}, depends_on: [b, c]}
)");
    EXPECT_EQ(run.called(), (std::vector<std::string>{"a"}));
    run.finish("a", 1);
    EXPECT_EQ(run.called(), (std::vector<std::string>{"a", "b", "c"}));
    run.finish("c", 3);
    EXPECT_EQ(run.called().size(), 3u);
    run.finish("b", 2);
    EXPECT_EQ(run.called().back(), "d");
    run.finish("d", 4);
    EXPECT_EQ(run.output(), "4");
}

TEST(Machine, AnAttemptThatFailsIsTriedAgainLaterAndThenGivesUp) {
    DrivenRun run(R"(
name: flaky
steps:
  - id: get
    call: {function: echo}
    retry: {attempts: 3, backoff: 2s, factor: 3, jitter: 0}
)");
    const std::string key = run.last_call().idempotency_key;
    run.fail("get", Code::unavailable);
    EXPECT_EQ(run.step("get").status, StepStatus::backoff);
    EXPECT_EQ(flow::next_due_ms(run.state), run.now + 2'000);
    run.pass_ms(1'999);
    EXPECT_EQ(run.calls.size(), 1u);
    run.pass_ms(1);
    ASSERT_EQ(run.calls.size(), 2u);
    EXPECT_EQ(run.last_call().attempt, 2u);
    EXPECT_EQ(run.last_call().idempotency_key, key) << "the same work";
    run.fail("get", Code::unavailable);
    run.pass_ms(6'000);
    ASSERT_EQ(run.calls.size(), 3u);
    run.fail("get", Code::unavailable, "still no");
    EXPECT_EQ(run.state.status, RunStatus::failed);
    EXPECT_EQ(run.state.error->message, "step 'get': still no");
}

TEST(Machine, WhatTimeCannotHealIsNotTriedAgain) {
    DrivenRun run("name: n\nsteps: [{id: a, call: {function: echo}}]");
    run.fail("a", Code::invalid_argument);
    EXPECT_EQ(run.state.status, RunStatus::failed);
    EXPECT_EQ(run.calls.size(), 1u);
}

TEST(Machine, AnAttemptThatTakesTooLongIsGivenUpAndItsLateAnswerIgnored) {
    DrivenRun run(R"(
name: slow
steps: [{id: a, call: {function: echo}, timeout: 10s, retry: {attempts: 2, backoff: 1s, jitter: 0}}]
)");
    run.pass_ms(10'000);
    EXPECT_EQ(run.cancelled, std::vector<std::string>{"a"});
    EXPECT_EQ(run.step("a").status, StepStatus::backoff);
    run.pass_ms(1'000);
    ASSERT_EQ(run.calls.size(), 2u);
    Machine late(run.state);
    late.finished("a", 1, flow::StepOutput{"late", 0, 0}, run.now);
    EXPECT_TRUE(late.take().events.empty());
    run.finish("a", "in time");
    EXPECT_EQ(run.output(), R"("in time")");
}

TEST(Machine, OnErrorSkipsGoesElsewhereOrPauses) {
    DrivenRun skip(R"(
name: skip
steps:
  - {id: a, call: {function: echo}, on_error: skip}
  - {id: b, set: {why: "{{ steps.a.error.message }}", status: "{{ steps.a.status }}"}}
)");
    skip.fail("a", Code::not_found, "gone");
    EXPECT_EQ(skip.output(), R"({"why":"gone","status":"failed"})");

    DrivenRun jump(R"(
name: jump
steps:
  - {id: prepare, call: {function: echo}}
  - {id: use, call: {function: echo}, on_error: {goto: prepare}}
)");
    jump.finish("prepare", 1);
    const std::string key = jump.calls.front().idempotency_key;
    jump.fail("use", Code::failed_precondition);
    ASSERT_EQ(jump.called(), (std::vector<std::string>{"prepare", "use", "prepare"}));
    EXPECT_NE(jump.last_call().idempotency_key, key) << "new work";
    jump.finish("prepare", 2);
    jump.finish("use", 3);
    EXPECT_EQ(jump.output(), "3");

    DrivenRun pause("name: p\nsteps: [{id: a, call: {function: echo}, on_error: pause}]");
    pause.fail("a", Code::permission_denied, "ask somebody");
    EXPECT_EQ(pause.state.status, RunStatus::paused);
    EXPECT_NE(pause.state.reason.find("ask somebody"), std::string::npos);
    EXPECT_TRUE(pause.give([&](Machine& m) { return m.resume("ann", pause.now); }).has_value());
    EXPECT_EQ(pause.calls.size(), 2u) << "what paused it is tried again";
    pause.finish("a", 5);
    EXPECT_EQ(pause.state.status, RunStatus::completed);
}

TEST(Machine, CompensationsRunFromTheLastStepToTheFirst) {
    DrivenRun run(R"(
name: saga
steps:
  - id: book
    call: {function: echo}
    compensate: {call: {function: echo, arguments: {cancel: "{{ steps.book.output }}"}}}
  - id: pay
    call: {function: echo}
    compensate: {call: {function: echo, arguments: {refund: "{{ steps.pay.output }}"}}}
  - {id: ship, call: {function: echo}, on_error: compensate}
)");
    run.finish("book", "b1");
    run.finish("pay", "p1");
    run.fail("ship", Code::not_found, "no truck");
    EXPECT_EQ(run.state.status, RunStatus::undoing);
    ASSERT_EQ(run.last_call().path, "pay~undo");
    EXPECT_EQ(base::to_text(run.last_call().request), R"({"refund":"p1"})");
    run.finish("pay~undo", nullptr);
    ASSERT_EQ(run.last_call().path, "book~undo");
    run.finish("book~undo", nullptr);
    EXPECT_EQ(run.state.status, RunStatus::failed);
    EXPECT_EQ(run.state.error->message, "step 'ship': no truck");
}

TEST(Machine, ALoopRunsSoManyRoundsAtOnceAndKeepsTheirOrder) {
    DrivenRun run(R"(
name: each
steps:
  - id: all
    for_each:
      in: "{{ input.xs }}"
      as: x
      concurrency: 2
      steps: [{id: twice, call: {function: echo, arguments: {v: "{{ x * 2 }}", at: "{{ index }}"}}}]
)",
                  {{"xs", {5, 6, 7}}});
    EXPECT_EQ(run.called(), (std::vector<std::string>{"all[0].twice", "all[1].twice"}));
    run.finish("all[1].twice", 12);
    EXPECT_EQ(run.called().back(), "all[2].twice");
    EXPECT_EQ(base::to_text(run.last_call().request), R"({"v":14,"at":2})");
    run.finish("all[2].twice", 14);
    run.finish("all[0].twice", 10);
    EXPECT_EQ(run.output(), "[10,12,14]");
}

TEST(Machine, AWhileLoopSeesItsLastRoundAndIsBounded) {
    const std::string_view text = R"(
name: poll
steps:
  - id: poll
    while:
      condition: "steps.get.output.state != 'done'"
      max: 3
      steps: [{id: get, call: {function: echo}}]
)";
    DrivenRun run(text);
    run.finish("poll[0].get", {{"state", "busy"}});
    run.finish("poll[1].get", {{"state", "done"}});
    EXPECT_EQ(run.state.status, RunStatus::completed);
    EXPECT_EQ(run.output(), R"([{"state":"busy"},{"state":"done"}])");
    DrivenRun endless(text);
    for (int i = 0; i < 3; ++i) endless.finish(fmt::format("poll[{}].get", i), json::object());
    EXPECT_EQ(endless.state.status, RunStatus::failed);
    EXPECT_EQ(endless.state.error->code, Code::resource_exhausted);
}

TEST(Machine, TheConditionOfAWhileLoopKnowsTheRoundItDecidesOn) {
    DrivenRun run(R"(
name: count
steps:
  - id: rounds
    while: {condition: index < 2, max: 9, steps: [{id: at, set: {i: "{{ index }}"}}]}
)");
    EXPECT_EQ(run.state.status, RunStatus::completed);
    EXPECT_EQ(run.output(), R"([{"i":0},{"i":1}])");
    DrivenRun within(R"(
name: within
steps:
  - id: each
    for_each:
      in: [a, b]
      steps: [{id: inner, while: {condition: index < 1, max: 9, steps: [{id: at, set: {i: "{{ index }}"}}]}}]
)");
    EXPECT_EQ(within.output(), R"([[{"i":0}],[{"i":0}]])") << "the nearest loop's index";
}

TEST(Machine, OneArmRunsAndWhatItGaveIsSeenAfterwards) {
    const std::string_view text = R"(
name: arms
steps:
  - id: pick
    switch:
      on: "{{ input.kind }}"
      cases:
        a: [{id: in_a, set: {got: 1}}]
        b: [{id: in_b, set: {got: 2}}]
      default: [{id: other, set: {got: 3}}]
output: "{{ vars.got }}"
)";
    EXPECT_EQ(DrivenRun(text, {{"kind", "b"}}).output(), "2");
    EXPECT_EQ(DrivenRun(text, {{"kind", "z"}}).output(), "3");
    EXPECT_EQ(DrivenRun(R"(
name: branch
steps:
  - {id: maybe, branch: {if: "input.x > 3", then: [{id: big, set: {size: big}}]}}
output: "{{ steps.big.output.size | default('small') }}"
)",
                        {{"x", 1}})
                  .output(),
              R"("small")");
}

TEST(Machine, ParallelBranchesNeedAllOrSome) {
    DrivenRun all(R"(
name: par
steps:
  - id: both
    parallel: {branches: {x: [{id: px, call: {function: echo}}], y: [{id: py, call: {function: echo}}]}}
)");
    EXPECT_EQ(all.calls.size(), 2u);
    all.finish("both[y].py", 2);
    all.finish("both[x].px", 1);
    EXPECT_EQ(all.output(), R"({"x":1,"y":2})");

    DrivenRun any(R"(
name: any
steps:
  - id: first
    parallel:
      need: any
      branches: {x: [{id: px, call: {function: echo}}], y: [{id: py, call: {function: echo}}]}
)");
    any.fail("first[x].px", Code::not_found);
    EXPECT_EQ(any.state.status, RunStatus::running) << "the other may still do";
    any.finish("first[y].py", 2);
    EXPECT_EQ(any.state.status, RunStatus::completed);
}

TEST(Machine, WhatRanBesideAFailedStepOfABranchIsOverWithIt) {
    DrivenRun run(R"(
name: race
steps:
  - id: first
    parallel:
      need: any
      branches:
        x:
          - {id: xa, call: {function: echo}, timeout: 10s}
          - {id: xb, call: {function: echo}, depends_on: []}
          - {id: xc, call: {function: echo}, depends_on: [xa, xb]}
        y: [{id: ya, call: {function: echo}, timeout: 1h}]
)");
    ASSERT_EQ(run.calls.size(), 3u);
    run.fail("first[x].xb", Code::not_found);
    EXPECT_EQ(run.cancelled, std::vector<std::string>{"first[x].xa"});
    EXPECT_EQ(run.step("first[x].xa").status, StepStatus::cancelled);
    run.pass_ms(60'000);  // its timeout is nobody's any more
    run.finish("first[y].ya", 1);
    EXPECT_EQ(run.state.status, RunStatus::completed);
}

TEST(Machine, WaitsForTimeAndSignals) {
    DrivenRun run(R"(
name: waits
steps:
  - {id: nap, wait: {for: 2d}}
  - {id: paid, wait: {signal: paid, where: "payload.amount >= input.price"}}
output: "{{ steps.paid.output.amount }}"
)",
                  {{"price", 10}});
    EXPECT_EQ(flow::next_due_ms(run.state), run.now + 2 * 86'400'000);
    const auto pay = [&](int amount) {
        return run.give([&](Machine& m) {
            return m.signal("paid", {{"amount", amount}}, run.now);
        });
    };
    ASSERT_TRUE(pay(12).has_value()) << "before anybody waits";
    run.pass_ms(2 * 86'400'000);
    EXPECT_EQ(run.state.status, RunStatus::completed);
    EXPECT_EQ(run.output(), "12");
    EXPECT_EQ(pay(1).error().code, Code::failed_precondition);
}

TEST(Machine, APersonApprovesRejectsAnswersOrIsTooLate) {
    const std::string_view text = R"(
name: ask
steps:
  - id: gate
    human:
      ask: answer
      prompt: "Price of {{ input.item }}?"
      form: {type: object, properties: {price: {type: number}}, required: [price]}
      deadline: 3d
      escalate: {after: 1d, to: [lead]}
)";
    DrivenRun run(text, {{"item", "tea"}});
    EXPECT_EQ(run.step("gate").output.at("prompt"), "Price of tea?");
    run.pass_ms(86'400'000);
    EXPECT_EQ(base::to_text(run.step("gate").output.at("escalated_to")), R"(["lead"])");
    const auto answer = [&](json::value value) {
        return run.give([&](Machine& m) { return m.answer("gate", value, run.now); });
    };
    EXPECT_EQ(answer({{"decision", "answered"}, {"answer", {{"price", "much"}}}}).error().code,
              Code::invalid_argument);
    EXPECT_EQ(answer({{"decision", "approved"}}).error().subject, "decision");
    ASSERT_TRUE(
        answer({{"decision", "answered"}, {"answer", {{"price", 3}}}, {"by", "ann"}}).has_value());
    EXPECT_EQ(run.output(), R"({"decision":"answered","answer":{"price":3},"by":"ann"})");
    EXPECT_EQ(answer({{"decision", "rejected"}}).error().code, Code::not_found);

    DrivenRun late(text, {{"item", "tea"}});
    late.pass_ms(86'400'000);
    late.pass_ms(2 * 86'400'000);
    EXPECT_EQ(late.state.error->code, Code::deadline_exceeded);

    DrivenRun no(text, {{"item", "tea"}});
    ASSERT_TRUE(
        no.give([&](Machine& m) {
              return m.answer("gate", {{"decision", "rejected"}, {"answer", "too dear"}}, no.now);
          }).has_value());
    EXPECT_EQ(no.state.status, RunStatus::failed);
    EXPECT_NE(no.state.error->message.find("too dear"), std::string::npos);
}

TEST(Machine, ADraftIsApprovedAsItStandsOrAnsweredWithAnother) {
    const std::string_view text =
        "name: d\nsteps: [{id: gate, human: {ask: edit, prompt: p, draft: {to: ann}}}]";
    const auto answered = [&](json::value value) {
        DrivenRun run(text);
        const auto taken = run.give([&](Machine& m) { return m.answer("gate", value, run.now); });
        return taken ? run.output() : taken.error().subject;
    };
    EXPECT_EQ(answered({{"decision", "approved"}}), R"({"decision":"approved"})");
    EXPECT_EQ(answered({{"decision", "answered"}, {"answer", {{"to", "kim"}}}}),
              R"({"decision":"answered","answer":{"to":"kim"}})");
    EXPECT_EQ(answered({{"decision", "answered"}}), "answer");
    EXPECT_EQ(answered({{"decision", "perhaps"}}), "decision");
}

TEST(Machine, ASignalThatIsThereIsTakenWithoutWaitingForOne) {
    const std::string_view text = R"(
name: s
steps:
  - {id: work, call: {function: echo}}
  - {id: news, if: "'news' in run.signals", wait: {signal: news}}
output: "{{ steps.news.output }}"
)";
    DrivenRun quiet(text);
    quiet.finish("work", 1);
    EXPECT_EQ(quiet.state.status, RunStatus::completed);
    EXPECT_EQ(quiet.output(), "null");
    DrivenRun told(text);
    ASSERT_TRUE(told.give([&](Machine& m) { return m.signal("news", "rain", told.now); }));
    told.finish("work", 1);
    EXPECT_EQ(told.output(), R"("rain")");
}

TEST(Machine, BudgetsAndDeadlinesEndARun) {
    DrivenRun tokens(R"(
name: dear
budget: {tokens: 100}
steps: [{id: a, call: {function: echo}}, {id: b, call: {function: echo}}]
)");
    tokens.finish("a", 1, 101);
    EXPECT_EQ(tokens.state.error->code, Code::resource_exhausted);
    EXPECT_EQ(tokens.calls.size(), 1u);
    DrivenRun late("name: late\ndeadline: 1h\nsteps: [{id: a, wait: {for: 2h}}]");
    late.pass_ms(3'600'000);
    EXPECT_EQ(late.state.error->code, Code::deadline_exceeded);
}

TEST(Machine, PausedRunsBeginNothingAndLoseNothing) {
    DrivenRun run(
        "name: p\nsteps: [{id: a, call: {function: echo}}, {id: b, call: {function: echo}}]");
    ASSERT_TRUE(run.give([&](Machine& m) { return m.pause("lunch", "ann", run.now); }).has_value());
    run.finish("a", 1);
    EXPECT_EQ(run.calls.size(), 1u);
    ASSERT_TRUE(run.give([&](Machine& m) { return m.resume("ann", run.now); }).has_value());
    EXPECT_EQ(run.called().back(), "b");
    ASSERT_TRUE(run.give([&](Machine& m) { return m.cancel("enough", run.now); }).has_value());
    EXPECT_EQ(run.cancelled, std::vector<std::string>{"b"});
    EXPECT_EQ(run.state.status, RunStatus::cancelled);
    EXPECT_FALSE(run.give([&](Machine& m) { return m.resume("ann", run.now); }).has_value());
}

TEST(Machine, AFailedRunGoesOnWhenAStepIsRetriedByHand) {
    DrivenRun run(R"(
name: again
steps: [{id: a, call: {function: echo}}, {id: b, call: {function: echo}}, {id: c, call: {function: echo}}]
)");
    run.finish("a", 1);
    run.fail("b", Code::not_found);
    ASSERT_EQ(run.state.status, RunStatus::failed);
    ASSERT_TRUE(run.give([&](Machine& m) { return m.retry("b", "ann", run.now); }).has_value());
    run.finish("b", 2);
    run.finish("c", 3);
    EXPECT_EQ(run.state.status, RunStatus::completed);
    EXPECT_EQ(run.called(), (std::vector<std::string>{"a", "b", "b", "c"}));
}

TEST(Machine, ACheckpointIsANameForAStep) {
    DrivenRun run(R"(
name: named
steps:
  - {id: a, call: {function: echo}}
  - {id: b, call: {function: echo}, checkpoint: cleaned}
  - {id: c, call: {function: echo}}
)");
    run.finish("a", 1);
    run.finish("b", 2);
    run.fail("c", Code::not_found);
    ASSERT_TRUE(
        run.give([&](Machine& m) { return m.retry("cleaned", "ann", run.now); }).has_value());
    EXPECT_EQ(run.called(), (std::vector<std::string>{"a", "b", "c", "b"}));
}

TEST(Machine, ASiblingThatAFailureCutOffRunsAgainWithIt) {
    DrivenRun run(R"(
name: siblings
steps:
  - {id: a, call: {function: echo}}
  - {id: b, call: {function: echo}}
  - {id: c, call: {function: echo}, depends_on: [a, b]}
)");
    EXPECT_EQ(run.calls.size(), 2u);
    run.fail("a", Code::not_found);
    EXPECT_EQ(run.cancelled, std::vector<std::string>{"b"});
    ASSERT_TRUE(run.give([&](Machine& m) { return m.retry("a", "ann", run.now); }).has_value());
    run.finish("a", 1);
    run.finish("b", 2);
    run.finish("c", 3);
    EXPECT_EQ(run.state.status, RunStatus::completed);
}

TEST(Machine, SubflowsAndEventsAreAskedForInTheSameDecision) {
    DrivenRun run(R"(
name: outer
steps:
  - {id: sub, subflow: {workflow: inner, input: {n: 1}}}
  - {id: tell, emit: {event: news, payload: "{{ steps.sub.output }}"}}
)");
    ASSERT_EQ(run.children.size(), 1u);
    EXPECT_EQ(run.children[0].workflow, "inner");
    EXPECT_EQ(run.step("sub").name, to_text(run.children[0].id));
    Machine machine(run.state);
    machine.child_finished("sub", json::value(42), run.now);
    const Decision decision = machine.take();
    ASSERT_EQ(decision.sendings.size(), 1u);
    EXPECT_EQ(decision.sendings[0].name, "news");
    EXPECT_EQ(decision.sendings[0].payload, 42);
    EXPECT_TRUE(decision.ended);
}

TEST(Machine, LongWorkIsDecidedInPieces) {
    DrivenRun run(R"(
name: long
steps:
  - id: count
    for_each: {in: "{{ range(2000) | list }}", as: i, steps: [{id: one, set: {last: "{{ i }}"}}]}
output: "{{ vars.last }}"
)");
    EXPECT_EQ(run.state.status, RunStatus::completed);
    EXPECT_EQ(run.output(), "1999");
}

TEST(Machine, AWrongExpressionFailsItsStepAndNamesIt) {
    DrivenRun run("name: w\nsteps: [{id: a, set: {x: \"{{ input.n / 0 }}\"}}]", {{"n", 1}});
    EXPECT_EQ(run.state.status, RunStatus::failed);
    EXPECT_TRUE(run.state.error->message.starts_with("step 'a'")) << run.state.error->message;
}

}  // namespace
