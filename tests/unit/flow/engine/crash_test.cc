// Random workflows on a disk that loses, tears and refuses, killed again and again: what was
// acknowledged ends as it would have without, and nothing of ours happens twice.

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "unit/flow/engine/random_workflow.h"

namespace {

using base::Rng;
using base::sim::SimDisk;
using flow::EventKind;
using flow_test::kChild;
using flow_test::Maker;
using flow_test::plain;
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
    explicit CrashedRuns(std::uint64_t seed) : rng_(seed), world_(seed) { add_definitions(world_); }

    void go() {
        std::vector<std::pair<flow::RunId, int>> acknowledged;
        for (int round = 0; round < 12; ++round) {
            if (rng_.below(3) == 0) world_.disk.fail_nth(1 + rng_.below(6));
            if (rng_.below(4) == 0) world_.disk.stop_after(1 + rng_.below(30));
            for (std::uint64_t acts = rng_.below(12); acts > 0; --acts) act(acknowledged);
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
        for (const auto& [run, n] : acknowledged) check(run, n);
    }

private:
    void add_definitions(World& world) {
        Rng same(rng_.below(1'000'000) + 1);
        world.definitions.add(Maker(same).make("random"));
        world.definitions.add(kChild);
        seed_of_definition_ = 0;
    }

    void act(std::vector<std::pair<flow::RunId, int>>& acknowledged) {
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
        if (!expected_.contains(n)) {
            World calm(1);
            calm.definitions = world_.definitions;
            const auto other = calm.start("random", {{"n", n}});
            ASSERT_TRUE(other.has_value());
            run_out(calm, 400);
            const flow::RunState& end = calm.state(*other);
            ASSERT_EQ(end.status, flow::RunStatus::completed);
            expected_[n] = plain(end);
        }
        EXPECT_EQ(plain(state), expected_[n]);
        std::multiset<std::string> finished;
        const auto history = world_.log->history(run, 0, 1'000'000);
        ASSERT_TRUE(history.has_value());
        EXPECT_EQ(history->size(), state.events);
        for (const flow::Event& event : *history) {
            if (event.kind == EventKind::step_finished) finished.insert(event.path);
        }
        for (const std::string& path : finished) EXPECT_EQ(finished.count(path), 1u) << path;
    }

    Rng rng_;
    World world_;
    std::map<int, std::string> expected_;
    int seed_of_definition_ = 0;
};

TEST(CrashedEngine, WhatWasAcknowledgedEndsAsWithoutFaults) {
    for (int seed = 1; seed <= runs(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        CrashedRuns(static_cast<std::uint64_t>(seed)).go();
        if (HasFailure()) return;
    }
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
