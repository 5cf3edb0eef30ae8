// Runs move to another version on a live engine, at any moment and under any rules.

#include <gtest/gtest.h>

#include "flow/run/replay.h"
#include "unit/flow/engine/random_workflow.h"

namespace {

using flow::RunInput;
using flow::RunStatus;
using flow_test::kChild;
using flow_test::Maker;
using flow_test::run_out;
using flow_test::World;
namespace json = base::json;

base::Result<void> migrate(World& world, flow::RunId run, std::uint32_t version,
                           const json::value& rules = json::object()) {
    RunInput input;
    input.kind = RunInput::Kind::migrate;
    input.payload = {{"version", version}, {"rules", rules}};
    std::optional<base::Result<void>> out;
    world.engine->give(run, std::move(input), [&](base::Result<void> taken) { out = taken; });
    world.settle();
    return out.value_or(base::fail(base::Code::internal, "no answer"));
}

TEST(MigratedRun, ItsHeadTellsTheVersionAlsoAfterARestart) {
    World world(1);
    world.definitions.add("name: w\nsteps: [{id: a, call: {function: f}}]");
    const auto run = world.start("w", json::object());
    world.definitions.add(
        "name: w\nsteps: [{id: a, call: {function: f}}, {id: b, call: {function: g}}]");
    const auto seen = world.engine->migration(*run, 0, {});
    ASSERT_TRUE(seen.has_value());
    EXPECT_EQ(seen->from, 1u);
    EXPECT_EQ(seen->to, 2u);
    EXPECT_TRUE(flow::may_move(seen->findings));
    EXPECT_EQ(world.log->load_head(*run)->version, 1u) << "that was only looked at";
    ASSERT_TRUE(migrate(world, *run, 2).has_value());
    EXPECT_EQ(world.log->load_head(*run)->version, 2u);
    for (const bool forget_index : {false, true}) {
        world.crash(base::sim::SimDisk::Stop::power, forget_index);
        world.settle();
        EXPECT_EQ(world.log->load_head(*run)->version, 2u);
        EXPECT_EQ(world.state(*run).definition->version, 2u);
    }
    run_out(world, 10);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
    ASSERT_NE(world.calls.begun.find(to_text(*run) + "/b"), world.calls.begun.end());
    EXPECT_FALSE(migrate(world, *run, 1).has_value()) << "it is over";
}

TEST(MigratedRun, AFailedOneIsCountedOnce) {
    World world(1);
    world.definitions.add("name: w\nsteps: [{id: a, call: {function: f}}]");
    const auto run = world.start("w", json::object());
    world.end_call(0, base::fail(base::Code::not_found, "no"));
    world.settle();
    ASSERT_EQ(world.engine->stats().failed, 1u);
    world.definitions.add("name: w\nsteps: [{id: a, call: {function: g}}]");
    ASSERT_TRUE(migrate(world, *run, 2).has_value());
    EXPECT_EQ(world.engine->stats().failed, 1u);
    EXPECT_EQ(world.engine->stats().runs_open, 0u);
    world.crash(base::sim::SimDisk::Stop::power, false);
    world.settle();
    EXPECT_EQ(world.state(*run).status, RunStatus::failed);
    world.engine->give(*run, {RunInput::Kind::retry, "a"}, {});
    world.settle();
    run_out(world, 10);
    EXPECT_EQ(world.state(*run).status, RunStatus::completed);
}

/// Whatever the two versions are and wherever the run is: it is refused with a reason, or goes on
/// and ends, and the record decided again is the record.
TEST(MigratedRun, EndsWhateverTheVersionsAre) {
    int moved = 0, refused = 0;
    for (std::uint64_t seed = 1; seed <= 120; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World world(seed);
        base::Rng rng(seed);
        world.definitions.add(kChild);
        for (int version = 0; version < 3; ++version) {
            base::Rng own(seed * 10 + rng.below(3));  // now and then the same
            world.definitions.add(Maker(own).make("random"));
        }
        const auto run = world.start("random", {{"n", rng.below(11)}}, "", 1);
        ASSERT_TRUE(run.has_value());
        for (int acts = 0; acts < 12; ++acts) {
            if (rng.below(3) == 0) {
                json::value rules = json::object();
                if (rng.below(2) == 0) rules.as_object()["removed"] = "skip";
                const auto version = static_cast<std::uint32_t>(1 + rng.below(3));
                const auto from = world.state(*run).definition;
                const auto to = *world.definitions.find("", "random", version);
                const auto name = [&](const flow::Definition& of) {
                    return of.body->steps[rng.below(of.body->steps.size())].id;
                };
                json::array restart, kept;  // mostly what it takes, so that many move
                const flow::ScopeState& root = world.state(*run).root;
                for (std::size_t i = 0; i < root.steps.size(); ++i) {
                    const flow::StepStatus status = root.steps[i].status;
                    if (status == flow::StepStatus::pending || rng.below(8) == 0) continue;
                    (is_settled(status) ? kept : restart).emplace_back(root.block->steps[i].id);
                }
                rules.as_object()["restart"] = std::move(restart);
                rules.as_object()["kept"] = std::move(kept);
                if (rng.below(8) == 0) rules.as_object()["renamed"] = {{name(*from), name(*to)}};
                const auto result = migrate(world, *run, version, rules);
                ++(result ? moved : refused);
                if (rng.below(4) == 0) {
                    world.crash(base::sim::SimDisk::Stop::process, rng.below(2) == 0);
                    world.settle();
                }
            } else if (rng.below(3) != 0 && !world.calls.held.empty()) {
                world.echo(rng.below(world.calls.held.size()));
            } else {
                world.pass(std::chrono::milliseconds(rng.below(8'000)));
            }
        }
        run_out(world, 400);
        if (world.state(*run).status == flow::RunStatus::paused) {
            // By a quarantine whose step is gone, or not to be retried, since it moved.
            world.engine->give(*run, {RunInput::Kind::resume, ""}, {});
            world.settle();
            run_out(world, 400);
        }
        const flow::RunState& state = world.state(*run);
        ASSERT_TRUE(is_final(state.status)) << status_name(state.status);
        const auto history = world.log->history(*run, 0, 1'000'000);
        ASSERT_TRUE(history.has_value());
        EXPECT_EQ(history->size(), state.events);
        const auto again = flow::replay(*run, state.definition, true, *history);
        ASSERT_TRUE(again.has_value()) << again.error().message;
        ASSERT_FALSE(again->difference.has_value())
            << again->difference->what << " at " << again->difference->place;
    }
    EXPECT_GT(moved, 40);
    EXPECT_GT(refused, 40);
}

}  // namespace
