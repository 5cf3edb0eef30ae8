// Random workflows on a disk that loses, tears and refuses, killed again and again: what was
// acknowledged ends as it would have without, and nothing of ours happens twice.

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "flow/run/fork.h"
#include "flow/run/replay.h"
#include "unit/flow/engine/random_workflow.h"

namespace {

using base::Rng;
using base::sim::SimDisk;
using flow::EventKind;
using flow_test::kChild;
using flow_test::Maker;
using flow_test::plain;
using flow_test::release;
using flow_test::run_out;
using flow_test::World;
namespace json = base::json;
using std::chrono::milliseconds;

constexpr std::string_view kListener =
    "name: listener\nsteps: [{id: all, while: {condition: 'true', max: 100000, steps: [{id: w, "
    "wait: {event: tick}}]}}]";

int runs() {
    const char* asked = std::getenv("DG_FAULT_RUNS");
    return asked != nullptr ? std::atoi(asked) : 60;
}

class CrashedRuns {
public:
    static inline int moved_checked = 0;

    explicit CrashedRuns(std::uint64_t seed) : rng_(seed), world_(seed) { add_definitions(world_); }

    void go() {
        std::vector<std::pair<flow::RunId, int>> acknowledged;
        for (int round = 0; round < 12; ++round) {
            if (rng_.below(3) == 0) world_.disk.fail_nth(1 + rng_.below(6));
            if (rng_.below(4) == 0) world_.disk.stop_after(1 + rng_.below(30));
            for (std::uint64_t acts = rng_.below(12); acts > 0; --acts) act(acknowledged);
            if (round == 4) deploy();
            if (world_.disk.stopped() || rng_.below(4) == 0) {
                world_.crash(rng_.below(2) == 0 ? SimDisk::Stop::power : SimDisk::Stop::process,
                             rng_.below(3) == 0);
                if (testing::Test::HasFatalFailure()) return;
                world_.settle();
            }
        }
        if (world_.disk.stopped()) {
            world_.crash(SimDisk::Stop::power, false);
        } else {
            world_.disk.stop_after(1'000'000'000);  // no restart mends what was lost
        }
        world_.settle();
        run_out(world_, 400);
        for (const auto& [run, n] : acknowledged) go_on(run);
        run_out(world_, 400);
        for (const auto& [run, n] : acknowledged) check(run, n);
    }

private:
    void add_definitions(World& world) {
        Rng same(rng_.below(1'000'000) + 1);
        text_ = Maker(same).make("random");
        world.definitions.add(text_);
        world.definitions.add(kChild);
    }

    /// Another version: a step more somewhere, another with a new name.
    void deploy() {
        json::object document = base::parse_json(text_)->as_object();
        json::array& steps = document.at("steps").as_array();
        renamed_ = steps[0].as_object().at("id").as_string();
        steps[0].as_object()["id"] = "renamed";
        steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(rng_.below(steps.size())),
                     json::object{{"id", "extra"}, {"set", {{"moved", true}}}});
        world_.definitions.add(base::to_text(document));
    }

    /// A run that a quarantine paused stays so when it moves, also without the step.
    void go_on(flow::RunId run) {
        if (world_.state(run).status != flow::RunStatus::paused) return;
        world_.engine->give(run, {flow::RunInput::Kind::resume, ""}, {});
        world_.settle();
    }

    /// To the other version, whatever it does now.
    void migrate(flow::RunId run) {
        flow::RunInput input;
        input.kind = flow::RunInput::Kind::migrate;
        input.payload = {{"version", 2}, {"rules", {{"renamed", {{renamed_, "renamed"}}}}}};
        if (rng_.below(4) == 0)
            input.payload.as_object()["rules"].as_object()["restart"] = {"renamed"};
        world_.engine->give(run, std::move(input), [this, run](const auto& taken) {
            if (taken) moved_.insert(run);
        });
        if (rng_.below(2) == 0) world_.settle();
    }

    void act(std::vector<std::pair<flow::RunId, int>>& acknowledged) {
        if (!renamed_.empty() && !acknowledged.empty() && rng_.below(4) == 0) {
            migrate(acknowledged[rng_.below(acknowledged.size())].first);
            return;
        }
        switch (rng_.below(4)) {
            case 0: {
                const int n = static_cast<int>(rng_.below(11));
                if (const auto run = world_.start("random", {{"n", n}})) {
                    acknowledged.emplace_back(*run, n);
                }
                break;
            }
            case 1:
                world_.pass(milliseconds(rng_.below(8'000)));
                break;
            default:
                if (world_.calls.held.empty()) break;
                if (const std::size_t which = rng_.below(world_.calls.held.size());
                    rng_.below(8) == 0) {
                    world_.end_call(which, base::fail(base::Code::unavailable, "try again"));
                    world_.settle();
                } else {
                    world_.echo(which);
                }
        }
    }

    /// As the same workflow gives without any fault, and each of its steps once.
    void check(flow::RunId run, int n) {
        const flow::RunState& state = world_.state(run);
        ASSERT_EQ(state.status, flow::RunStatus::completed)
            << to_text(run) << " " << (state.error ? state.error->message : "");
        const std::uint32_t version = state.definition->version;
        EXPECT_TRUE(version == 2 || !moved_.contains(run)) << to_text(run);
        std::string& expected = expected_[{version, n}];
        if (expected.empty()) {
            World calm(1);
            calm.definitions = world_.definitions;
            const auto other = calm.start("random", {{"n", n}}, "", version);
            ASSERT_TRUE(other.has_value());
            run_out(calm, 400);
            const flow::RunState& end = calm.state(*other);
            ASSERT_EQ(end.status, flow::RunStatus::completed);
            expected = plain(end);
        }
        EXPECT_EQ(plain(state), expected) << "version " << version;
        std::multiset<std::string> finished;
        const auto history = world_.log->history(run, 0, 1'000'000);
        ASSERT_TRUE(history.has_value());
        EXPECT_EQ(history->size(), state.events);
        for (const flow::Event& event : *history) {
            if (event.kind == EventKind::step_finished) finished.insert(event.path);
        }
        for (const std::string& path : finished) EXPECT_EQ(finished.count(path), 1u) << path;
        EXPECT_FALSE(finished.contains("renamed") && finished.contains(renamed_));
        const auto again = flow::replay(run, state.definition, true, *history);
        ASSERT_TRUE(again.has_value()) << again.error().message;
        EXPECT_FALSE(again->difference.has_value())
            << again->difference->what << " at " << again->difference->place;
        const bool whole = flow::foldable(*history).size() == history->size();
        if (!whole) ++moved_checked;
        if (whole && !forked_) fork(run, expected, *history);
    }

    /// A fork at any step ends as the run did, and calls nothing again that it took over.
    void fork(flow::RunId run, const std::string& expected,
              const std::vector<flow::Event>& history) {
        forked_ = true;
        std::vector<std::string> begun;
        for (const flow::Event& event : history) {
            if (event.kind == EventKind::step_finished) begun.push_back(event.path);
        }
        if (begun.empty()) return;
        const std::string step = begun[rng_.below(begun.size())];
        auto plan = flow::plan_fork(run, world_.state(run).definition, history, step, {});
        ASSERT_TRUE(plan.has_value()) << step << ": " << plan.error().message;
        flow::StartRequest request;
        request.input = plan->input;
        request.fork = std::make_shared<const flow::ForkPlan>(*std::move(plan));
        std::optional<flow::RunId> made;
        for (int tries = 0; tries < 8 && !made; ++tries) {  // a fault may still be to come
            world_.engine->start(request, [&](const auto& started) {
                if (started) made = *started;
            });
            world_.settle();
        }
        ASSERT_TRUE(made.has_value());
        world_.crash(SimDisk::Stop::power, rng_.below(2) == 0);
        world_.settle();
        run_out(world_, 400);
        const flow::RunState& end = world_.state(*made);
        ASSERT_EQ(end.status, flow::RunStatus::completed)
            << step << " " << (end.error ? end.error->message : end.reason);
        EXPECT_EQ(plain(end, to_text(run)), expected) << step;
        const auto own = world_.log->history(*made, 0, 1'000'000);
        const auto again = flow::replay(*made, end.definition, true, *own);
        ASSERT_TRUE(again.has_value()) << again.error().message;
        EXPECT_FALSE(again->difference.has_value())
            << step << ": " << again->difference->what << " at " << again->difference->place;
    }

    Rng rng_;
    World world_;
    std::string text_, renamed_;
    std::set<flow::RunId> moved_;  ///< it was said that they did
    std::map<std::pair<std::uint32_t, int>, std::string> expected_;
    bool forked_ = false;
};

TEST(CrashedEngine, WhatWasAcknowledgedEndsAsWithoutFaults) {
    for (int seed = 1; seed <= runs(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        CrashedRuns(static_cast<std::uint64_t>(seed)).go();
        if (HasFailure()) return;
    }
    EXPECT_GT(CrashedRuns::moved_checked, runs() / 4) << "hardly a run has moved";
}

/// Every event that a finished step emitted has reached the listener exactly once.
TEST(CrashedEngine, EventsArriveOnce) {
    for (int seed = 1; seed <= runs() / 4 + 1; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        World world(static_cast<std::uint64_t>(seed));
        world.definitions.add(kListener);
        world.definitions.add(
            "name: teller\nsteps: [{id: a, call: {function: echo, arguments: {x: 1}}, "
            "retry: {attempts: 50, backoff: 1s}}, {id: t, emit: {event: tick, "
            "payload: \"{{ run.id }}\"}}]");
        const auto listener = world.start("listener", json::object());
        ASSERT_TRUE(listener.has_value());
        std::set<std::string> told;
        for (int round = 0; round < 30; ++round) {
            if (world.rng.below(3) == 0) world.disk.stop_after(1 + world.rng.below(12));
            if (const auto run = world.start("teller", json::object())) told.insert(to_text(*run));
            if (!world.calls.held.empty()) world.echo(world.rng.below(world.calls.held.size()));
            if (!world.disk.stopped()) continue;
            world.crash(world.rng.below(2) == 0 ? SimDisk::Stop::power : SimDisk::Stop::process,
                        world.rng.below(2) == 0);
            world.settle();
        }
        world.crash(SimDisk::Stop::power, false);
        world.settle();
        for (int i = 0; i < 60 && world.engine->stats().runs_open > 1; ++i) {
            while (!world.calls.held.empty()) world.echo(0);
            world.pass(milliseconds(2'000));
            release(world);
        }
        std::multiset<std::string> heard;
        const auto history = world.log->history(*listener, 0, 1'000'000);
        for (const flow::Event& event : *history) {
            if (event.kind == EventKind::signal_received) {
                heard.insert(std::string(event.value.as_string()));
            }
        }
        for (const std::string& run : told) EXPECT_EQ(heard.count(run), 1u) << run;
        for (const std::string& run : heard) EXPECT_EQ(heard.count(run), 1u) << run;
        if (HasFailure()) return;
    }
}

}  // namespace
