// Random workflows over three engines on one database, which are killed, stopped past their leases
// and begun anew: what was acknowledged ends as it would have without, and nothing happens twice.

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "unit/flow/engine/random_workflow.h"
#include "unit/flow/fleet/fleet_world.h"

namespace {

using base::Rng;
using flow::EventKind;
using flow_test::FleetWorld;
using flow_test::plain;
using flow_test::World;
namespace json = base::json;
using std::chrono::milliseconds;

constexpr std::size_t kNodes = 3;
constexpr std::string_view kListener =
    "name: listener\nsteps: [{id: all, while: {condition: 'true', max: 100000, steps: [{id: w, "
    "wait: {event: tick}}]}}]";
constexpr std::string_view kTeller =
    "name: teller\nsteps: [{id: a, call: {function: echo, arguments: {x: 1}}, retry: {attempts: "
    "50, "
    "backoff: 1s}}, {id: t, emit: {event: tick, payload: \"{{ run.id }}\"}}]";

int runs() {
    const char* asked = std::getenv("DG_FLEET_RUNS");
    return asked != nullptr ? std::atoi(asked) : 3;
}

class CrashedFleet {
public:
    explicit CrashedFleet(std::uint64_t seed) : rng_(seed), world_(seed, kNodes) {
        Rng same(rng_.below(1'000'000) + 1);
        world_.definitions.add(flow_test::Maker(same).make("random"));
        world_.definitions.add(flow_test::kChild);
        world_.definitions.add(kListener);
        world_.definitions.add(kTeller);
    }

    void go() {
        const auto listener = world_.start(0, "listener");
        ASSERT_TRUE(listener.has_value());
        for (int round = 0; round < 10; ++round) {
            fault();
            for (std::uint64_t acts = 2 + rng_.below(6); acts > 0; --acts) act();
            if (testing::Test::HasFatalFailure()) return;
        }
        for (std::size_t i = 0; i < kNodes; ++i) {
            if (world_.nodes[i] == nullptr) world_.boot(i);
            world_.nodes[i]->stopped = false;
        }
        world_.pass_lease();
        run_out();
        for (const auto& [run, n] : started_) check(run, n);
        check_heard(*listener);
    }

private:
    std::size_t running() {
        for (;;) {
            const std::size_t i = rng_.below(kNodes);
            if (world_.nodes[i] != nullptr && !world_.nodes[i]->stopped) return i;
        }
    }
    std::size_t count_running() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            world_.nodes, [](const auto& node) { return node != nullptr && !node->stopped; }));
    }

    void fault() {
        const std::size_t i = rng_.below(kNodes);
        auto& node = world_.nodes[i];
        if (node == nullptr) {
            world_.boot(i);
        } else if (node->stopped) {
            node->stopped = false;
        } else if (count_running() < 2) {
            return;
        } else if (rng_.below(2) == 0) {
            node->stopped = true;
        } else {
            world_.kill(i);
        }
        world_.settle();
    }

    void act() {
        const std::size_t node = running();
        switch (rng_.below(6)) {
            case 0: {
                const int n = static_cast<int>(rng_.below(11));
                if (const auto run = world_.start(node, "random", {{"n", n}})) {
                    started_.emplace_back(*run, n);
                }
                break;
            }
            case 1:
                if (const auto run = world_.start(node, "teller")) told_.insert(to_text(*run));
                break;
            case 2:
                world_.pass(milliseconds(rng_.below(8'000)));
                break;
            default:
                end_some_call();
        }
    }

    /// Also of a process that is stopped: it hears of it when it goes on.
    void end_some_call() {
        const std::size_t i = rng_.below(kNodes);
        if (world_.nodes[i] == nullptr || world_.held(i) == 0) return;
        const std::size_t which = rng_.below(world_.held(i));
        if (rng_.below(8) != 0) return world_.echo(i, which);
        auto& calls = world_.nodes[i]->calls.held;
        const auto held = std::move(calls[which]);
        calls.erase(calls.begin() + static_cast<std::ptrdiff_t>(which));
        held.done(base::fail(base::Code::unavailable, "try again"));
        world_.settle();
    }

    void run_out() {
        for (int i = 0; i < 300; ++i) {
            for (std::size_t node = 0; node < kNodes; ++node) {
                while (world_.held(node) != 0) world_.echo(node, rng_.below(world_.held(node)));
            }
            world_.pass(milliseconds(3'000));
            std::size_t open = 0;
            ASSERT_TRUE(world_.nodes[0]->log->open_runs([&](const auto&) { ++open; }));
            if (open == 1) return;  // who listens
        }
    }

    void check(flow::RunId run, int n) {
        const flow::RunState& state = world_.state(run);
        ASSERT_EQ(state.status, flow::RunStatus::completed)
            << to_text(run) << " " << (state.error ? state.error->message : "");
        if (!expected_.contains(n)) {
            World calm(1);
            calm.definitions = world_.definitions;
            const auto other = calm.start("random", {{"n", n}});
            ASSERT_TRUE(other.has_value());
            flow_test::run_out(calm, 400);
            expected_[n] = plain(calm.state(*other));
        }
        EXPECT_EQ(plain(state), expected_[n]);
        std::multiset<std::string> finished;
        const auto history = world_.nodes[0]->whole->history(run, 0, 1'000'000);
        ASSERT_TRUE(history.has_value());
        EXPECT_EQ(history->size(), state.events);
        for (const flow::Event& event : *history) {
            if (event.kind == EventKind::step_finished) finished.insert(event.path);
        }
        for (const std::string& path : finished) EXPECT_EQ(finished.count(path), 1u) << path;
    }

    /// Every event of a teller, and none twice.
    void check_heard(flow::RunId listener) {
        std::multiset<std::string> heard;
        const auto history = world_.nodes[0]->whole->history(listener, 0, 1'000'000);
        ASSERT_TRUE(history.has_value());
        for (const flow::Event& event : *history) {
            if (event.kind == EventKind::signal_received && event.value.is_string()) {
                heard.insert(std::string(event.value.as_string()));
            }
        }
        for (const std::string& run : told_) EXPECT_EQ(heard.count(run), 1u) << run;
    }

    Rng rng_;
    FleetWorld world_;
    std::vector<std::pair<flow::RunId, int>> started_;
    std::set<std::string> told_;
    std::map<int, std::string> expected_;
};

TEST(CrashedFleet, WhatWasAcknowledgedEndsOnceAsWithoutFaults) {
    DG_NEED_SERVER(test::PostgresServer::instance());
    for (int seed = 1; seed <= runs(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        CrashedFleet(static_cast<std::uint64_t>(seed)).go();
        if (testing::Test::HasFailure()) return;
    }
}

}  // namespace
