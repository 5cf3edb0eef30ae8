// What goes wrong with a server and with other processes at it.

#include "flow/log/postgres_run_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>

#include "base/sim/sim_clock.h"
#include "base/store/store.h"
#include "support/database_server.h"

namespace {

using base::Code;
using base::Result;
using flow::Event;
using flow::EventKind;
using flow::PostgresRunLog;
using flow::RunChange;
using flow::RunId;

test::PostgresServer& server() {
    return test::PostgresServer::instance();
}

class PostgresLog : public testing::Test {
protected:
    void SetUp() override {
        DG_NEED_SERVER(server());
        url_ = server().fresh_url();
    }
    std::unique_ptr<PostgresRunLog> open(flow::PostgresOptions options = {}) {
        options.url = url_;
        auto opened = PostgresRunLog::open(options);
        EXPECT_TRUE(opened.has_value()) << (opened ? "" : opened.error().message);
        return *std::move(opened);
    }
    static RunChange begin(std::uint64_t n, std::string key = "") {
        RunChange change{.created = true};
        change.head.id = {1'000, n};
        change.head.tenant = "a";
        change.head.workflow = "w";
        change.head.idempotency_key = std::move(key);
        change.events.push_back({.kind = EventKind::step_finished, .at_ms = 1, .path = "s"});
        return change;
    }
    static Result<void> put(PostgresRunLog& log, const RunChange& change) {
        Result<void> result;
        log.append({&change, 1}, [&](Result<void> written) { result = std::move(written); });
        log.flush();
        return result;
    }
    /// Breaks every connection that this schema's logs have.
    int break_connections() {
        auto other = base::store::Store::open(server().fresh_url(), {});
        int broken = 0;
        EXPECT_TRUE((*other)->read([&](base::store::Transaction& tx) {
            return tx.query(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                "application_name LIKE 'dougong_flow_%'",
                {}, [&](const base::store::Row& row) {
                    broken = static_cast<int>(row.integer(0));
                    return true;
                });
        }));
        return broken;
    }

    std::string url_;
};

/// Runs that go on event by event, each when the one before is known to be in, until told to end.
class Chains {
public:
    explicit Chains(PostgresRunLog& log) : log_(log) {}
    void begin(std::uint64_t runs) {
        for (std::uint64_t n = 0; n < runs; ++n) next(n, 0);
    }
    void wait_for(std::uint64_t events) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return written_ >= events; });
    }
    void end() {
        ending_ = true;
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return out_ == 0; });
    }
    std::map<std::uint64_t, std::uint64_t> lengths;  ///< events known to be in, by run

private:
    void next(std::uint64_t n, std::uint64_t at) {
        RunChange change{.created = at == 0, .first = at};
        change.head.id = {1'000, n};
        change.head.tenant = "a";
        change.events.push_back({.kind = EventKind::step_finished, .at_ms = 1, .number = at});
        {
            const std::lock_guard lock(mutex_);
            ++out_;
        }
        log_.append({&change, 1}, [this, n, at](const Result<void>& written) {
            if (written) {
                const std::lock_guard lock(mutex_);
                lengths[n] = at + 1;
                ++written_;
            }
            if (!ending_) next(n, written ? at + 1 : at);
            const std::lock_guard lock(mutex_);
            --out_;
            changed_.notify_all();
        });
    }
    PostgresRunLog& log_;
    std::atomic<bool> ending_ = false;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t written_ = 0, out_ = 0;
};

TEST_F(PostgresLog, NothingIsGuessedWhenConnectionsBreakWhileCommitsAreOut) {
    auto log = open();
    Chains chains(*log);
    chains.begin(20);
    int broken = 0;
    for (int round = 1; round <= 12; ++round) {
        chains.wait_for(static_cast<std::uint64_t>(round) * 150);
        broken += break_connections();
    }
    server().kill();  // and once everything
    server().start();
    chains.wait_for(12 * 150 + 100);
    chains.end();
    EXPECT_GT(broken, 0);
    for (const auto& [n, length] : chains.lengths) {
        const auto history = log->history({1'000, n}, 0, 1'000'000);
        ASSERT_TRUE(history.has_value()) << history.error().message;
        // What was said to be in is, and what was said not to be is not.
        ASSERT_EQ(history->size(), length) << n;
        for (std::uint64_t at = 0; at < length; ++at) EXPECT_EQ((*history)[at].number, at);
    }
}

TEST_F(PostgresLog, AKeyThatAnotherProcessHadFirstHurtsNobodyElseInTheGroup) {
    auto one = open({.threaded = false}), two = open({.threaded = false});
    ASSERT_TRUE(put(*one, begin(1, "k")));
    std::vector<Result<void>> results;
    for (const auto& change : {begin(2), begin(3, "k"), begin(4)}) {
        two->append({&change, 1},
                    [&](Result<void> result) { results.push_back(std::move(result)); });
    }
    RunChange more = begin(3, "k");
    more.created = false;
    more.first = 1;
    two->append({&more, 1}, [&](Result<void> result) { results.push_back(std::move(result)); });
    two->flush();
    ASSERT_EQ(results.size(), 4u);
    EXPECT_TRUE(results[0].has_value());
    EXPECT_EQ(results[1].error().code, Code::already_exists);
    EXPECT_TRUE(results[2].has_value());
    EXPECT_FALSE(results[3].has_value()) << "it builds on what did not happen";
    EXPECT_EQ(two->load({1'000, 3}).error().code, Code::not_found);
}

TEST_F(PostgresLog, ARunThatEndedAndGoesOnElsewhereIsNotWrittenToHere) {
    auto one = open({.threaded = false}), two = open({.threaded = false});
    ASSERT_TRUE(put(*one, begin(1)));
    ASSERT_TRUE(put(*one, begin(2)));
    RunChange end = begin(1);
    end.created = false;
    end.first = 1;
    end.head.status = flow::RunStatus::failed;
    ASSERT_TRUE(put(*one, end));
    ASSERT_TRUE(two->own({1'000, 1})->has_value());
    std::vector<Result<void>> results;
    for (std::uint64_t n : {1, 2}) {
        RunChange late = begin(n);
        late.created = false;
        late.first = n == 1 ? 2 : 1;
        one->append({&late, 1}, [&](Result<void> result) { results.push_back(std::move(result)); });
    }
    one->flush();
    ASSERT_EQ(results.size(), 2u);
    ASSERT_FALSE(results[0].has_value());
    EXPECT_EQ(results[0].error().code, Code::failed_precondition);
    EXPECT_TRUE(results[1].has_value()) << "another run in the same group";
    EXPECT_EQ(two->history({1'000, 1}, 0, 10)->size(), 2u);
}

struct Told {
    std::vector<flow::Claimed> claimed;
    std::vector<flow::Arrival> arrived;
    int lost = 0;
    flow::Fleet::Events events() {
        return {.claimed =
                    [this](std::vector<flow::Claimed> runs) {
                        claimed.insert(claimed.end(), runs.begin(), runs.end());
                    },
                .arrived =
                    [this](std::vector<flow::Arrival> all) {
                        arrived.insert(arrived.end(), all.begin(), all.end());
                    },
                .moved = [](RunId, std::vector<Event>, std::uint64_t) {},
                .lost = [this] { ++lost; }};
    }
};

TEST_F(PostgresLog, WhoSleptPastItsLeaseWritesNothingAndOthersHaveItsRuns) {
    base::sim::SimClock clock;
    const flow::PostgresOptions options{
        .lease = std::chrono::seconds(10), .clock = &clock, .threaded = false};
    auto one = open(options), two = open(options);
    Told first, second;
    one->join(first.events(), true);
    two->join(second.events(), true);
    for (std::uint64_t n = 0; n < 600; ++n) ASSERT_TRUE(put(*one, begin(n)));
    clock.advance(std::chrono::seconds(9));
    ASSERT_TRUE(two->look());
    EXPECT_TRUE(second.claimed.empty()) << "the lease holds";
    clock.advance(std::chrono::seconds(2));
    ASSERT_TRUE(two->look()) << "its own was renewed two seconds ago";
    EXPECT_EQ(second.claimed.size(), 256u) << "some at a time: others may want some, too";
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(two->look());
    EXPECT_EQ(second.claimed.size(), 600u);
    EXPECT_TRUE(std::ranges::all_of(second.claimed, &flow::Claimed::crashed));
    const Result<void> late = put(*one, begin(700));
    ASSERT_FALSE(late.has_value());
    EXPECT_EQ(late.error().code, Code::unavailable);
    EXPECT_EQ(first.lost, 1);
    EXPECT_EQ(one->load({1'000, 700}).error().code, Code::not_found);
    EXPECT_FALSE(put(*one, begin(701)).has_value()) << "not before it has joined anew";
    ASSERT_TRUE(one->rejoin());
    ASSERT_TRUE(put(*one, begin(702)));
    const auto workers = two->workers();
    ASSERT_TRUE(workers.has_value());
    ASSERT_EQ(workers->size(), 2u) << "the row that slept is no worker any more";
    EXPECT_EQ((*workers)[0].runs, 600u);
    EXPECT_TRUE((*workers)[0].self);
    EXPECT_EQ((*workers)[1].runs, 1u);
}

TEST_F(PostgresLog, WhatWasDecidedUnderALostLeaseIsNotWrittenUnderTheNext) {
    base::sim::SimClock clock;
    auto log = open({.lease = std::chrono::seconds(10), .clock = &clock, .threaded = false});
    Told told;
    log->join(told.events(), true);
    const RunChange change = begin(1);
    Result<void> written;
    log->append({&change, 1}, [&](Result<void> result) { written = std::move(result); });
    clock.advance(std::chrono::seconds(11));
    ASSERT_TRUE(log->look());
    ASSERT_TRUE(log->rejoin());
    log->flush();
    EXPECT_FALSE(written.has_value());
    EXPECT_EQ(log->load({1'000, 1}).error().code, Code::not_found);
}

TEST_F(PostgresLog, AnInboxGivesEachInputUntilItsEffectIsWritten) {
    base::sim::SimClock clock;
    const flow::PostgresOptions options{
        .lease = std::chrono::seconds(10), .clock = &clock, .threaded = false};
    auto one = open(options), two = open(options);
    Told first, second;
    one->join(first.events(), true);
    two->join(second.events(), true);
    ASSERT_TRUE(put(*one, begin(1)));
    ASSERT_FALSE(two->own({1'000, 1})->has_value()) << "it is the other's";
    std::optional<Result<void>> answered;
    two->ask({.run = {1'000, 1},
              .checked = true,
              .input = {flow::RunInput::Kind::signal, "paid", {{"n", 1}}}},
             [&](Result<void> result) { answered = std::move(result); });
    two->flush();
    ASSERT_TRUE(one->look());
    ASSERT_TRUE(one->look());
    ASSERT_EQ(first.arrived.size(), 1u) << "once, while the engine has it";
    EXPECT_EQ(first.arrived[0].input.name, "paid");
    EXPECT_FALSE(answered.has_value());
    const flow::Settled settled{first.arrived[0].number, first.arrived[0].asker,
                                first.arrived[0].token, base::Error{Code::not_found, "no", "x"}};
    one->commit({.changes = {}, .settled = {&settled, 1}}, [](const auto&) {});
    one->flush();
    ASSERT_TRUE(one->look());
    EXPECT_EQ(first.arrived.size(), 1u);
    ASSERT_TRUE(two->look());
    ASSERT_TRUE(answered.has_value());
    EXPECT_EQ(answered->error(), (base::Error{Code::not_found, "no", "x"}));
}

TEST_F(PostgresLog, AServerThatIsAwayIsSaidWithoutThePassword) {
    const auto away = PostgresRunLog::open({.url = "postgresql://a:geheim@%2Fnowhere/d"});
    ASSERT_FALSE(away.has_value());
    EXPECT_EQ(away.error().code, Code::unavailable);
    EXPECT_EQ(away.error().message.find("geheim"), std::string::npos);
}

}  // namespace
