#include "flow/observe/run_spans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "flow/observe/run_trace.h"
#include "support/seeds.h"
#include "unit/flow/engine/flow_world.h"

namespace {

using namespace flow_test;
using namespace std::chrono_literals;
using flow::RunSpan;

constexpr std::string_view kMixed = R"(
name: mixed
steps:
  - {id: first, http: {url: "http://nowhere/"}, retry: {attempts: 3, backoff: 1s}}
  - id: each
    for_each: {in: [1, 2, 3], concurrency: 2, steps: [{id: inner, http: {url: "http://nowhere/"}}]}
  - {id: gate, human: {ask: approve, prompt: "secret words?"}}
  - id: both
    parallel:
      branches:
        a: [{id: one, http: {url: "http://nowhere/"}, on_error: skip}]
        b: [{id: two, wait: {for: 5s}}]
  - {id: sum, set: {n: 1}}
)";

const RunSpan* named(const std::vector<RunSpan>& spans, std::string_view what,
                     std::string_view path) {
    for (const RunSpan& span : spans) {
        if (span.what == what && span.path == path) return &span;
    }
    return nullptr;
}

flow::RunTrace trace_of(World& world, flow::RunId run) {
    auto trace = flow::read_trace(*world.log, world.definitions, run, 100'000);
    EXPECT_TRUE(trace.has_value()) << (trace ? "" : trace.error().message);
    return trace ? *std::move(trace) : flow::RunTrace{};
}

/// What holds of any run's spans.
void expect_a_tree(const flow::RunTrace& trace, bool over) {
    std::map<base::trace::SpanId, const RunSpan*> by_id;
    for (const RunSpan& span : trace.spans) {
        EXPECT_TRUE(by_id.emplace(span.id, &span).second) << span.name << " " << span.path;
        EXPECT_FALSE(over && span.end_ms == 0) << span.name << " " << span.path;
        EXPECT_TRUE(span.end_ms == 0 || span.end_ms >= span.start_ms) << span.name;
    }
    for (const RunSpan& span : trace.spans) {
        if (span.parent == trace.trace.span_id) continue;
        const auto parent = by_id.find(span.parent);
        ASSERT_NE(parent, by_id.end()) << span.name << " " << span.path;
        EXPECT_LE(parent->second->start_ms, span.start_ms) << span.name << " " << span.path;
    }
}

TEST(RunSpans, AreTheStepsTheirAttemptsRoundsAndWaits) {
    World world(1);
    world.definitions.add(kMixed);
    const flow::RunId run = *world.start("mixed", nullptr);
    world.clock.advance(20ms);
    world.end_call(0, base::fail(base::Code::unavailable, "busy with secret words"));
    world.settle();
    world.pass(2s);
    world.clock.advance(30ms);
    world.end_call(0, flow::StepOutput{json::object{{"status", 200}}, 0, 0});
    world.settle();
    while (!world.calls.held.empty()) world.echo(0);
    world.clock.advance(1h);
    world.engine->input(
        run,
        [](flow::Machine& machine, std::int64_t now) {
            return machine.answer("gate", json::object{{"decision", "approved"}}, now);
        },
        {});
    world.settle();
    world.echo(0);
    const flow::RunTrace half = trace_of(world, run);
    expect_a_tree(half, false);
    EXPECT_EQ(named(half.spans, "step", "both")->status, "open");
    world.pass(5s);

    const flow::RunTrace trace = trace_of(world, run);
    expect_a_tree(trace, true);
    const RunSpan* first = named(trace.spans, "step", "first");
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->kind, "http");
    EXPECT_GE(first->end_ms - first->start_ms, 1'000);
    const auto attempts = std::ranges::count_if(trace.spans, [&](const RunSpan& span) {
        return span.what == "attempt" && span.parent == first->id;
    });
    EXPECT_EQ(attempts, 2);
    EXPECT_NE(named(trace.spans, "backoff", "first"), nullptr);
    const RunSpan* round = named(trace.spans, "block", "each[1]");
    ASSERT_NE(round, nullptr);
    EXPECT_EQ(round->parent, named(trace.spans, "step", "each")->id);
    EXPECT_EQ(named(trace.spans, "step", "each[1].inner")->parent, round->id);
    EXPECT_EQ(named(trace.spans, "step", "both[b].two")->status, "done");
    EXPECT_EQ(named(trace.spans, "run", "")->status, "done");
    EXPECT_EQ(trace.totals.people_ms, 3'600'000);
    EXPECT_EQ(trace.totals.timers_ms, 5'000);
    EXPECT_EQ(trace.totals.kinds.at("http").attempts, 6u);
    EXPECT_EQ(trace.totals.kinds.at("http").working_ms, 50);
    EXPECT_EQ(flow::to_otlp(trace).find("secret words"), std::string::npos);
    EXPECT_EQ(base::to_text(flow::to_json(trace)).find("secret words"), std::string::npos);
}

TEST(RunSpans, CallsCarryTheirAttemptsSpanAlsoAfterACrash) {
    World world(2);
    world.definitions.add(kMixed);
    const flow::RunId run = *world.start("mixed", nullptr);
    const base::trace::Context before = world.calls.held[0].call.trace;
    world.crash(base::sim::SimDisk::Stop::process, false);
    world.settle();
    ASSERT_EQ(world.calls.held.size(), 1u);
    EXPECT_EQ(world.calls.held[0].call.trace, before);
    const flow::RunTrace trace = trace_of(world, run);
    EXPECT_EQ(named(trace.spans, "attempt", "first")->id, before.span_id);
    EXPECT_EQ(trace.trace.trace_id, before.trace_id);
    world.end_call(0, base::fail(base::Code::unavailable, "busy"));
    world.settle();
    world.pass(2s);
    EXPECT_NE(world.calls.held[0].call.trace.span_id, before.span_id);
    EXPECT_EQ(world.calls.held[0].call.trace.trace_id, before.trace_id);
}

TEST(RunSpans, AreBeneathTheCallersSpanAndHoldThoseOfChildren) {
    World world(3);
    world.definitions.add("name: child\nsteps: [{id: c, http: {url: \"http://nowhere/\"}}]");
    world.definitions.add("name: outer\nsteps: [{id: s, subflow: {workflow: child}}]");
    const std::string given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    std::optional<flow::RunId> run;
    world.engine->start({.workflow = "outer", .traceparent = given},
                        [&](base::Result<flow::RunId> started) { run = *started; });
    world.settle();
    world.crash(base::sim::SimDisk::Stop::power, true);
    world.settle();
    const flow::RunTrace outer = trace_of(world, *run);
    EXPECT_EQ(base::trace::to_hex(outer.trace.trace_id), given.substr(3, 32));
    EXPECT_EQ(base::trace::to_hex(named(outer.spans, "run", "")->parent), given.substr(36, 16));
    const flow::RunId child = world.calls.held[0].call.run;
    const flow::RunTrace inner = trace_of(world, child);
    EXPECT_EQ(inner.trace.trace_id, outer.trace.trace_id);
    EXPECT_EQ(named(inner.spans, "run", "")->parent, named(outer.spans, "step", "s")->id);
}

TEST(RunSpans, OfARunThatIsTriedAgainStandBesideTheOldOnes) {
    World world(4);
    world.definitions.add("name: w\nsteps: [{id: a, http: {url: \"http://nowhere/\"}, retry: 1}]");
    const flow::RunId run = *world.start("w", nullptr);
    world.end_call(0, base::fail(base::Code::invalid_argument, "no"));
    world.settle();
    expect_a_tree(trace_of(world, run), true);
    world.clock.advance(1s);
    world.engine->input(
        run,
        [](flow::Machine& machine, std::int64_t now) { return machine.retry("a", "kim", now); },
        {});
    world.settle();
    world.echo(0);
    const flow::RunTrace trace = trace_of(world, run);
    expect_a_tree(trace, true);
    EXPECT_EQ(named(trace.spans, "run", "")->status, "failed");
    EXPECT_EQ(named(trace.spans, "resumed", "")->status, "done");
}

/// Any history gives a tree whose ids are its own, the same ones from whichever place it is read.
TEST(RunSpans, OfAnyHistoryAreATree) {
    test::for_each_seed(60, [](base::Rng& rng) {
        World world(rng.next());
        world.definitions.add(kMixed);
        const flow::RunId run = *world.start("mixed", nullptr);
        for (int i = 0; i < 60; ++i) {
            world.clock.advance(std::chrono::milliseconds(rng.next() % 3'000));
            const std::uint64_t what = rng.next() % 10;
            const auto give = [&](flow::RunEngine::Input input) {
                world.engine->input(run, std::move(input), {});
            };
            if (what < 4 && !world.calls.held.empty()) {
                const std::size_t which = rng.next() % world.calls.held.size();
                if (rng.next() % 4 == 0) {
                    world.end_call(which, base::fail(base::Code::unavailable, "busy"));
                } else {
                    world.end_call(which, flow::StepOutput{1, 2, 0});
                }
            } else if (what == 4) {
                give([](flow::Machine& machine, std::int64_t now) {
                    return machine.answer("gate", json::object{{"decision", "approved"}}, now);
                });
            } else if (what == 5) {
                give([](flow::Machine& machine, std::int64_t now) {
                    return machine.pause("", "kim", now);
                });
            } else if (what == 6) {
                give([](flow::Machine& machine, std::int64_t now) {
                    return machine.resume("kim", now);
                });
            } else if (what == 7) {
                constexpr std::string_view kSteps[] = {"first", "each", "gate", "both"};
                give([step = kSteps[rng.next() % 4]](flow::Machine& machine, std::int64_t now) {
                    return machine.retry(step, "kim", now);
                });
            } else if (what == 8 && rng.next() % 5 == 0) {
                world.crash(base::sim::SimDisk::Stop::process, false);
            }
            world.settle();
            world.pass(0ms);
        }
        const flow::RunTrace trace = trace_of(world, run);
        expect_a_tree(trace, is_final(world.state(run).status));
        const flow::RunTrace again = trace_of(world, run);
        EXPECT_EQ(base::to_text(flow::to_json(again)), base::to_text(flow::to_json(trace)));
        std::uint64_t tokens = 0;
        for (const auto& [word, kind] : trace.totals.kinds) tokens += kind.tokens;
        EXPECT_EQ(tokens, world.state(run).tokens);
        // The state has the same without its history, also after a crash and over a snapshot.
        EXPECT_EQ(base::to_text(flow::to_json(world.state(run).totals)),
                  base::to_text(flow::to_json(trace.totals)));
    });
}

TEST(RunSpans, WhatIsLeftOutIsSaid) {
    World world(6);
    world.definitions.add(kMixed);
    const flow::RunId run = *world.start("mixed", nullptr);
    const auto trace = flow::read_trace(*world.log, world.definitions, run, 1);
    ASSERT_TRUE(trace.has_value());
    EXPECT_TRUE(trace->truncated);
    EXPECT_EQ(trace->spans.size(), 1u);
}

}  // namespace
