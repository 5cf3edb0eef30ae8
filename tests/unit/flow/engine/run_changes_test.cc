// Forks and quarantine in a whole engine, over crashes.

#include <gtest/gtest.h>

#include "flow/run/fork.h"
#include "unit/flow/engine/flow_world.h"

namespace {

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

void die(World& world) {
    world.crash(SimDisk::Stop::power, false);
    world.settle();
}

TEST(Quarantine, AStepThatKillsTheProcessIsHeldAcrossRestarts) {
    World world(21);
    world.definitions.add(kTwo);
    const auto run = world.start("two", {{"v", 1}});
    die(world);
    die(world);
    ASSERT_EQ(world.calls.held.size(), 1u) << "two deaths may be chance";
    die(world);
    EXPECT_TRUE(world.calls.held.empty());
    EXPECT_EQ(world.state(*run).status, RunStatus::paused);
    flow::RunFilter filter;
    filter.waiting = "quarantine";
    EXPECT_EQ(world.log->list(filter)->size(), 1u);
    die(world);
    EXPECT_TRUE(world.calls.held.empty()) << "and stays so";
    world.engine->input(
        *run, [](flow::Machine& m, std::int64_t now) { return m.retry("a", "ann", now); }, {});
    world.settle();
    ASSERT_EQ(world.calls.held.size(), 1u);
    world.echo(0);
    world.echo(0);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    EXPECT_TRUE(world.log->list(filter)->empty());
}

TEST(Quarantine, AnAnswerInBetweenBeginsTheCountAnew) {
    World world(22);
    world.definitions.add(kTwo);
    const auto run = world.start("two", {{"v", 1}});
    for (int round = 0; round < 3; ++round) {
        die(world);
        die(world);
        ASSERT_EQ(world.calls.held.size(), 1u);
        if (round < 2) world.end_call(0, base::fail(base::Code::unavailable, "again"));
        world.settle();
        world.pass(milliseconds(10'000));
    }
    ASSERT_EQ(world.calls.held.size(), 1u);
    world.echo(0);
    EXPECT_EQ(world.state(*run).status, RunStatus::running);
}

TEST(Quarantine, AProcessThatEndedByItselfIsNotCounted) {
    World world(23, {.after_crash = false});
    world.definitions.add(kTwo);
    world.start("two", {{"v", 1}});
    for (int i = 0; i < 6; ++i) die(world);
    EXPECT_EQ(world.calls.held.size(), 1u);
}

TEST(Fork, IsDurableAndOfItsOwn) {
    World world(24);
    world.definitions.add(kTwo);
    const auto run = world.start("two", {{"v", 1}});
    world.echo(0);
    world.echo(0);
    const auto history = world.log->history(*run, 0, 1'000);
    auto plan = flow::plan_fork(*run, world.state(*run).definition, *history, "b", {});
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    std::optional<flow::RunId> fork;
    flow::StartRequest request;
    request.workflow = "gone meanwhile";
    request.input = plan->input;
    request.fork = std::make_shared<const flow::ForkPlan>(*std::move(plan));
    world.engine->start(request, [&](const auto& made) { fork = *made; });
    world.settle();
    ASSERT_TRUE(fork.has_value());
    die(world);
    ASSERT_EQ(world.calls.held.size(), 1u);
    EXPECT_EQ(world.calls.held[0].call.path, "b");
    world.echo(0);
    EXPECT_EQ(base::to_text(world.state(*fork).output), R"({"v":2})");
    EXPECT_EQ(world.state(*fork).forked_from->run, *run);
    EXPECT_EQ(world.log->history(*run, 0, 1'000)->size(), history->size());
}

}  // namespace
