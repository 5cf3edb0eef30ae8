#pragma once
// Several workflow engines on one PostgreSQL and one clock that is set, driven step by step: for
// tests that stop them, kill them and look at what is left.

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>

#include "flow/blobs/spilling_run_log.h"
#include "flow/log/postgres_run_log.h"
#include "support/database_server.h"
#include "unit/flow/engine/flow_world.h"

namespace flow_test {

constexpr std::chrono::milliseconds kLease{10'000};

/// One process, as far as the others can tell.
class Node {
public:
    Node(const std::string& url, Definitions& definitions, base::sim::SimClock& clock,
         std::uint64_t seed)
        : definitions_(definitions) {
        open(url, clock);
        if (log == nullptr) return;
        blobs = std::make_unique<flow::PostgresBlobStore>(
            log->pool(), clock, flow::PostgresBlobStore::Options{.piece_bytes = 100});
        whole = std::make_unique<flow::SpillingRunLog>(*log, *blobs,
                                                       flow::SpillOptions{.value_bytes = 200});
        engine = std::make_unique<flow::RunEngine>(
            *whole, definitions_, calls, clock, seed, flow::EngineOptions{},
            [this](std::function<void()> task) { tasks.push_back(std::move(task)); });
        EXPECT_TRUE(engine->recover());
    }
    ~Node() {
        tasks.clear();
        calls.held.clear();
        log->abandon();
        engine.reset();
    }
    void open(const std::string& url, base::sim::SimClock& clock) {
        auto opened =
            flow::PostgresRunLog::open({.url = url,
                                        .own_url = "node",
                                        .lease = kLease,
                                        .claim_max = 2,  // so that few runs are shared, too
                                        .clock = &clock,
                                        .threaded = false});
        EXPECT_TRUE(opened.has_value()) << (opened ? "" : opened.error().message);
        if (opened) log = *std::move(opened);
    }
    /// True: something happened.
    bool turn() {
        bool moved = !tasks.empty();
        for (std::size_t count = tasks.size(); count > 0; --count) {
            const auto task = std::move(tasks.front());
            tasks.pop_front();
            task();
        }
        log->flush();
        return moved || !tasks.empty();
    }

    std::deque<std::function<void()>> tasks;
    HeldCalls calls;
    std::unique_ptr<flow::PostgresRunLog> log;
    std::unique_ptr<flow::PostgresBlobStore> blobs;
    std::unique_ptr<flow::SpillingRunLog> whole;  ///< the log as the engine has it
    std::unique_ptr<flow::RunEngine> engine;
    bool stopped = false;  ///< it gets no time, as after SIGSTOP

private:
    Definitions& definitions_;
};

class FleetWorld {
public:
    FleetWorld(std::uint64_t seed, std::size_t count)
        : rng(seed), url_(test::PostgresServer::instance().fresh_url()) {
        for (std::size_t i = 0; i < count; ++i) boot(i);
    }
    void boot(std::size_t i) {
        if (nodes.size() <= i) nodes.resize(i + 1);
        nodes[i].reset();
        nodes[i] = std::make_unique<Node>(url_, definitions, clock, rng.next());
    }
    /// kill -9: what was not written is gone.
    void kill(std::size_t i) { nodes[i].reset(); }

    /// It ends in order.
    void end(std::size_t i) {
        nodes[i]->log->leave();
        nodes[i].reset();
    }

    /// Until nothing more happens by itself.
    void settle() {
        for (int quiet = 0, rounds = 0; quiet < 2; ++rounds) {
            ASSERT_LT(rounds, 10'000) << "it never comes to rest";
            bool moved = false;
            for (const auto& node : nodes) {
                if (node == nullptr || node->stopped) continue;
                while (node->turn()) moved = true;
                const auto looked = node->log->look();
                ASSERT_TRUE(looked.has_value()) << looked.error().message;
                while (node->turn()) moved = true;
            }
            quiet = moved ? 0 : quiet + 1;
        }
    }
    void pass(std::chrono::milliseconds time) {
        clock.advance(time);
        for (const auto& node : nodes) {
            if (node != nullptr && !node->stopped) node->engine->tick();
        }
        settle();
    }
    /// Past every lease of those that do not run; the others renew theirs on the way.
    void pass_lease() {
        for (int i = 0; i < 4; ++i) pass(kLease / 3);
    }

    std::optional<flow::RunId> start(std::size_t node, std::string_view workflow,
                                     json::value input = json::object(), std::string key = "") {
        std::optional<flow::RunId> out;
        nodes[node]->engine->start({.workflow = std::string(workflow),
                                    .input = std::move(input),
                                    .idempotency_key = std::move(key)},
                                   [&](base::Result<flow::RunId> run) {
                                       if (run) out = *run;
                                   });
        settle();
        return out;
    }
    base::Result<void> give(std::size_t node, flow::RunId run, flow::RunInput input) {
        std::optional<base::Result<void>> out;
        nodes[node]->engine->give(run, std::move(input),
                                  [&](base::Result<void> result) { out = std::move(result); });
        settle();
        if (!out) return base::fail(base::Code::deadline_exceeded, "no answer came");
        return *out;
    }
    /// Ends a call that a node has out with its own request.
    void echo(std::size_t node, std::size_t which) {
        HeldCalls& calls = nodes[node]->calls;
        HeldCalls::Held held = std::move(calls.held[which]);
        calls.held.erase(calls.held.begin() + static_cast<std::ptrdiff_t>(which));
        held.done(flow::StepOutput{held.call.request, 1, 0});
        if (!nodes[node]->stopped) settle();
    }
    std::size_t held(std::size_t node) { return nodes[node]->calls.held.size(); }
    /// As any node that runs sees it.
    const flow::RunState& state(flow::RunId run) {
        for (const auto& node : nodes) {
            if (node == nullptr || node->stopped) continue;
            const auto found = node->engine->state(run);
            EXPECT_TRUE(found.has_value()) << (found ? "" : found.error().message);
            return **found;
        }
        ADD_FAILURE() << "no node runs";
        std::abort();
    }

    base::sim::SimClock clock;
    base::Rng rng;
    Definitions definitions;
    std::vector<std::unique_ptr<Node>> nodes;

private:
    const std::string url_;
};

}  // namespace flow_test
