// What every log of runs promises, asked of each there is.

#include "flow/run_log.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/journal/journal.h"
#include "flow/log/journal_run_log.h"
#include "flow/log/postgres_run_log.h"
#include "support/database_server.h"
#include "support/seeds.h"

namespace {

using base::Code;
using base::Result;
using flow::Event;
using flow::EventKind;
using flow::RunChange;
using flow::RunFilter;
using flow::RunHead;
using flow::RunId;
using flow::RunLog;
using flow::RunStatus;
namespace json = base::json;

/// Opens a log where there was one before, or is none yet.
class Place {
public:
    virtual ~Place() = default;
    virtual RunLog& open() = 0;
    virtual void close() = 0;
    virtual void forget_index() {}
};

class JournalPlace final : public Place {
public:
    JournalPlace() : dir_(*base::TemporaryDir::create("/tmp", "dougong-run-log-")) {}
    ~JournalPlace() override { close(); }
    RunLog& open() override {
        journal_ = *base::journal::Journal::open(
            disk_, dir_.path() + "/journal",
            {.segment_bytes = 1u << 20, .record_bytes_max = 256u << 10});
        log_ = *flow::JournalRunLog::open(*journal_, dir_.path() + "/runs.db");
        return *log_;
    }
    void close() override {
        log_.reset();
        journal_.reset();
    }
    void forget_index() override {
        for (const char* end : {"", "-wal", "-shm"}) {
            std::remove((dir_.path() + "/runs.db" + end).c_str());
        }
    }

private:
    base::LinuxDisk disk_;
    base::TemporaryDir dir_;
    std::unique_ptr<base::journal::Journal> journal_;
    std::unique_ptr<flow::JournalRunLog> log_;
};

class PostgresPlace final : public Place {
public:
    PostgresPlace() : url_(test::PostgresServer::instance().fresh_url()) {}
    RunLog& open() override {
        auto opened = flow::PostgresRunLog::open({.url = url_});
        EXPECT_TRUE(opened.has_value()) << (opened ? "" : opened.error().message);
        log_ = *std::move(opened);
        return *log_;
    }
    void close() override { log_.reset(); }

private:
    const std::string url_;
    std::unique_ptr<flow::PostgresRunLog> log_;
};

class EveryRunLog : public testing::TestWithParam<std::string> {
protected:
    void SetUp() override {
        if (GetParam() == "postgresql") {
            DG_NEED_SERVER(test::PostgresServer::instance());
            place_ = std::make_unique<PostgresPlace>();
        } else {
            place_ = std::make_unique<JournalPlace>();
        }
        log_ = &place_->open();
    }
    /// Another place, with nothing in it.
    void reset() {
        place_->close();
        place_.reset();
        SetUp();
    }
    void reopen() {
        place_->close();
        log_ = &place_->open();
    }

    static RunHead head(std::uint64_t n) {
        RunHead out;
        out.id = {1'000 + n, n};
        out.tenant = "a";
        out.workflow = "w";
        out.hash = "h";
        out.version = 3;
        out.started_ms = static_cast<std::int64_t>(1'000 * n);
        return out;
    }
    static Event event(int n) {
        return {.kind = EventKind::step_finished,
                .at_ms = n,
                .path = "s",
                .value = json::value{{"n", n}}};
    }
    /// Waits until it is durable.
    Result<void> put(std::vector<RunChange> changes) {
        Result<void> result;
        log_->append(changes, [&](Result<void> written) { result = std::move(written); });
        log_->flush();
        return result;
    }
    RunChange begin(const RunHead& head, int events = 1) {
        RunChange change{.head = head, .created = true};
        for (int i = 0; i < events; ++i) change.events.push_back(event(i));
        return change;
    }
    std::vector<std::uint64_t> found(RunFilter filter) {
        if (filter.tenant.empty()) filter.tenant = "a";
        std::vector<std::uint64_t> out;
        const auto listed = log_->list(filter);
        EXPECT_TRUE(listed.has_value()) << (listed ? "" : listed.error().message);
        flow::RunCounts counts;
        for (const RunHead& one : *listed) {
            out.push_back(one.id.low);
            ++counts.by_status[static_cast<std::size_t>(one.status)];
            if (!one.waiting.empty()) ++counts.waiting;
        }
        if (!filter.after && filter.limit > out.size()) {
            const auto counted = log_->count(filter);
            EXPECT_TRUE(counted.has_value()) << (counted ? "" : counted.error().message);
            EXPECT_EQ(counted->by_status, counts.by_status);
            EXPECT_EQ(counted->waiting, counts.waiting);
        }
        return out;
    }

    std::unique_ptr<Place> place_;
    RunLog* log_ = nullptr;
};

using Numbers = std::vector<std::uint64_t>;

TEST_P(EveryRunLog, WhatWasAppendedIsLoadedAlsoAfterItWasOpenedAgain) {
    RunHead one = head(1);
    one.idempotency_key = "k";
    one.labels = {{"team", "x"}};
    one.parent = RunId{7, 8};
    one.waiting = {"signal:paid", "event/news"};
    one.calls_out = true;
    one.due_ms = 99;
    ASSERT_TRUE(put({begin(one, 3)}));
    one.status = RunStatus::paused;
    one.error = "for a \"while\"\nand 100 %";
    one.waiting = {"human:gate"};
    ASSERT_TRUE(put({{.head = one, .first = 3, .events = {event(3), event(4)}}}));
    for (int round = 0; round < 2; ++round) {
        const auto stored = log_->load(one.id);
        ASSERT_TRUE(stored.has_value()) << stored.error().message;
        ASSERT_EQ(stored->events.size(), 5u);
        for (int i = 0; i < 5; ++i) {
            EXPECT_EQ(stored->events[static_cast<std::size_t>(i)], event(i));
        }
        const auto loaded = log_->load_head(one.id);
        ASSERT_TRUE(loaded.has_value());
        for (const RunHead& read : {stored->head, *loaded}) {
            EXPECT_EQ(read.tenant, "a");
            EXPECT_EQ(read.workflow, "w");
            EXPECT_EQ(read.version, 3u);
            EXPECT_EQ(read.parent, one.parent);
            EXPECT_EQ(base::to_text(read.labels), R"({"team":"x"})");
            EXPECT_EQ(read.idempotency_key, "k");
        }
        EXPECT_EQ(stored->head.status, RunStatus::paused);
        EXPECT_EQ(stored->head.error, one.error);
        EXPECT_EQ(stored->head.waiting, one.waiting);
        reopen();
    }
}

TEST_P(EveryRunLog, ASnapshotStandsForWhatWasBeforeIt) {
    const RunHead one = head(1);
    ASSERT_TRUE(put({begin(one, 4)}));
    ASSERT_TRUE(put(
        {{.head = one, .first = 4, .events = {event(4)}, .snapshot = R"({"state": "all five"})"}}));
    ASSERT_TRUE(put({{.head = one, .first = 5, .events = {event(5)}}}));
    const auto stored = log_->load(one.id);
    ASSERT_TRUE(stored.has_value());
    EXPECT_EQ(stored->snapshot, R"({"state": "all five"})");
    ASSERT_EQ(stored->events.size(), 1u);
    EXPECT_EQ(stored->events[0], event(5));
    const auto all = log_->history(one.id, 0, 100);
    ASSERT_EQ(all->size(), 6u) << "history forgets nothing";
    const auto some = log_->history(one.id, 2, 3);
    ASSERT_EQ(some->size(), 3u);
    EXPECT_EQ(some->front(), event(2));
    EXPECT_TRUE(log_->history(one.id, 6, 10)->empty());
}

TEST_P(EveryRunLog, ManyChangesAreOneAndDonesComeInOrder) {
    ASSERT_TRUE(put({begin(head(1)), begin(head(2)), begin(head(3))}));
    std::vector<int> order;
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t run = 1 + static_cast<std::uint64_t>(i) % 3;
        const RunChange change{.head = head(run),
                               .first = 1 + static_cast<std::uint64_t>(i) / 3,
                               .events = {event(i)}};
        log_->append({&change, 1}, [&order, i](Result<void> written) {
            if (written) order.push_back(i);
        });
    }
    log_->flush();
    ASSERT_EQ(order.size(), 200u);
    EXPECT_TRUE(std::ranges::is_sorted(order));
    EXPECT_EQ(log_->history({1'001, 1}, 0, 1'000)->size(), 68u);
}

TEST_P(EveryRunLog, AKeyNamesOneRunOfItsTenant) {
    RunHead one = head(1), two = head(2);
    one.idempotency_key = two.idempotency_key = "order-7";
    two.tenant = "b";
    ASSERT_TRUE(put({begin(one)}));
    ASSERT_TRUE(put({begin(two)}));
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(*log_->by_key("a", "order-7"), one.id);
        EXPECT_EQ(*log_->by_key("b", "order-7"), two.id);
        EXPECT_EQ(*log_->by_key("a", "order-8"), std::nullopt);
        EXPECT_EQ(*log_->by_key("a", ""), std::nullopt);
        reopen();
    }
}

TEST_P(EveryRunLog, ListsGiveWhatFiltersSayTheNewestFirst) {
    RunHead one = head(1), two = head(2), three = head(3), other = head(4);
    one.labels = {{"team", "x"}};
    one.waiting = {"human:gate", "signal:paid"};
    two.workflow = "v";
    two.status = RunStatus::failed;
    two.error = "No Such Row";
    three.parent = one.id;
    three.labels = {{"team", "y"}};
    other.tenant = "b";
    ASSERT_TRUE(put({begin(one), begin(two), begin(three), begin(other)}));
    EXPECT_EQ(found({}), (Numbers{3, 2, 1}));
    EXPECT_EQ(found({.tenant = "b"}), (Numbers{4}));
    EXPECT_EQ(found({.workflow = "v"}), (Numbers{2}));
    EXPECT_EQ(found({.status = "open"}), (Numbers{3, 1}));
    EXPECT_EQ(found({.status = "failed"}), (Numbers{2}));
    EXPECT_EQ(found({.label_name = "team", .label_value = "x"}), (Numbers{1}));
    EXPECT_EQ(found({.label_name = "tea\"m", .label_value = "x"}), Numbers{});
    EXPECT_EQ(found({.waiting = "human"}), (Numbers{1}));
    EXPECT_EQ(found({.waiting = "signal:paid"}), (Numbers{1}));
    EXPECT_EQ(found({.waiting = "paid"}), Numbers{}) << "from the beginning of what it waits for";
    EXPECT_EQ(found({.parent = one.id}), (Numbers{3}));
    EXPECT_EQ(found({.started_from_ms = 2'000}), (Numbers{3, 2}));
    EXPECT_EQ(found({.started_to_ms = 2'000}), (Numbers{1}));
    EXPECT_EQ(found({.text = "such"}), (Numbers{2}));
    EXPECT_EQ(found({.limit = 2}), (Numbers{3, 2}));
    EXPECT_EQ(found({.after = two.id, .limit = 2}), (Numbers{1}));
    const auto wrong = log_->list({.tenant = "a", .status = "lost"});
    ASSERT_FALSE(wrong.has_value());
    EXPECT_EQ(wrong.error().code, Code::invalid_argument);
}

TEST_P(EveryRunLog, OpenRunsAreThoseThatAreNotOver) {
    RunHead one = head(1), two = head(2);
    ASSERT_TRUE(put({begin(one), begin(two)}));
    one.status = RunStatus::completed;
    ASSERT_TRUE(put({{.head = one, .first = 1, .events = {event(1)}}}));
    const auto open = [&] {
        Numbers out;
        EXPECT_TRUE(log_->open_runs([&](const RunHead& each) { out.push_back(each.id.low); }));
        return out;
    };
    EXPECT_EQ(open(), (Numbers{2}));
    one.status = RunStatus::running;
    ASSERT_TRUE(put({{.head = one, .first = 2, .events = {event(2)}}})) << "it goes on";
    EXPECT_EQ(open(), (Numbers{1, 2}));
}

TEST_P(EveryRunLog, AnyPageOfALongHistoryIsReadAlsoFromAnIndexThatWasMadeAgain) {
    test::for_each_seed(3, [&](base::Rng& rng) {
        const RunHead long_one = head(rng.next() % 1'000'000), other = head(1'000'000);
        int written = 0, others = 0;
        const auto append = [&](const RunHead& of, int& so_far) {
            RunChange change{.head = of, .created = so_far == 0};
            change.first = static_cast<std::uint64_t>(so_far);
            const int count = 1 + static_cast<int>(rng.next() % (rng.next() % 8 == 0 ? 600 : 5));
            for (int i = 0; i < count; ++i) change.events.push_back(event(so_far++));
            log_->append({&change, 1}, [](Result<void> result) { ASSERT_TRUE(result); });
        };
        const auto check = [&] {
            EXPECT_EQ(*log_->length(long_one.id), static_cast<std::uint64_t>(written));
            for (int i = 0; i < 40; ++i) {
                const std::uint64_t skip = rng.next() % static_cast<std::uint64_t>(written + 300);
                const auto limit = static_cast<std::uint32_t>(1 + rng.next() % 300);
                const auto page = log_->history(long_one.id, skip, limit);
                ASSERT_TRUE(page.has_value()) << page.error().message;
                std::vector<Event> expected;
                for (std::uint64_t at = skip; at < skip + limit; ++at) {
                    if (at < static_cast<std::uint64_t>(written)) {
                        expected.push_back(event(static_cast<int>(at)));
                    }
                }
                ASSERT_EQ(*page, expected) << skip << " " << limit << " of " << written;
            }
        };
        while (written < 2'500) {
            append(long_one, written);
            if (rng.next() % 3 == 0) append(other, others);
        }
        log_->flush();
        check();
        reopen();
        check();
        place_->close();
        place_->forget_index();
        log_ = &place_->open();
        check();
        reset();
    });
}

TEST_P(EveryRunLog, HeadsSayWhatRunsUsedAndWhereTheyComeFrom) {
    RunHead one = head(1);
    one.forked_from = RunId{5, 6};
    one.events = 1;
    ASSERT_TRUE(put({begin(one)}));
    EXPECT_EQ(log_->list({.tenant = "a"})->at(0).totals, std::nullopt) << "nobody counted";
    one.totals = flow::ShortTotals{3, 4, 500, 0.25, 600, 700};
    one.events = 3;
    ASSERT_TRUE(put({{.head = one, .first = 1, .events = {event(1), event(2)}}}));
    for (int round = 0; round < 3; ++round) {
        const auto listed = log_->list({.tenant = "a"});
        ASSERT_EQ(listed->size(), 1u);
        for (const RunHead& each : {listed->at(0), log_->load(one.id)->head}) {
            EXPECT_EQ(each.totals, one.totals);
            EXPECT_EQ(each.events, 3u);
            EXPECT_EQ(each.forked_from, one.forked_from);
        }
        place_->close();
        if (round == 1) place_->forget_index();
        log_ = &place_->open();
    }
}

TEST_P(EveryRunLog, WhatIsNotThereIsNotFound) {
    EXPECT_EQ(log_->length({1, 2}).error().code, Code::not_found);
    EXPECT_EQ(log_->load({1, 2}).error().code, Code::not_found);
    EXPECT_EQ(log_->load_head({1, 2}).error().code, Code::not_found);
    EXPECT_EQ(log_->history({1, 2}, 0, 10).error().code, Code::not_found);
}

class RunIndexFile : public testing::Test {
protected:
    RunIndexFile() : dir_(*base::TemporaryDir::create("/tmp", "dougong-run-index-")) {}
    base::TemporaryDir dir_;
};

TEST_F(RunIndexFile, APageIsFoundFromTheMarkBehindIt) {
    auto index = *flow::RunIndex::open(dir_.path() + "/runs.db");
    const RunId run{1, 2}, other{1, 3};
    const flow::PageMark marks[] = {{run, 250, 1'000}, {run, 510, 2'000}, {other, 300, 3'000}};
    ASSERT_TRUE(index->apply({}, marks, 3'000));
    EXPECT_EQ(*index->mark_from(run, 0), 1'000u);
    EXPECT_EQ(*index->mark_from(run, 250), 1'000u);
    EXPECT_EQ(*index->mark_from(run, 251), 2'000u);
    EXPECT_EQ(*index->mark_from(run, 511), 0u);
    EXPECT_EQ(*index->mark_from(other, 0), 3'000u);
}

TEST_F(RunIndexFile, ShortRunsHaveNoMarksAndLongOnesOneInEachStretch) {
    EXPECT_FALSE(flow::has_mark(0, 256));
    EXPECT_TRUE(flow::has_mark(0, 257));
    EXPECT_TRUE(flow::has_mark(256, 1));
    EXPECT_FALSE(flow::has_mark(257, 255));
    EXPECT_TRUE(flow::has_mark(257, 256));
    EXPECT_FALSE(flow::has_mark(512, 0));
}

TEST_F(RunIndexFile, OneOfAnOlderVersionIsMadeAgainFromTheJournal) {
    base::LinuxDisk disk;
    RunHead head;
    head.id = {1, 2};
    head.tenant = "a";
    head.workflow = "w";
    head.hash = "h";
    const auto open = [&] {
        return *base::journal::Journal::open(disk, dir_.path() + "/journal", {});
    };
    const std::string file = dir_.path() + "/runs.db";
    {
        auto journal = open();
        auto log = *flow::JournalRunLog::open(*journal, file);
        RunChange change{.head = head, .created = true};
        for (int i = 0; i < 600; ++i) change.events.push_back({.kind = EventKind::step_skipped});
        log->append({&change, 1}, [](const Result<void>& done) { EXPECT_TRUE(done); });
        log->flush();
    }
    {  // as the version before left it: the same place in the journal, neither column nor marks
        auto store = *base::store::Store::open(file, {});
        const auto undone = store->write([](base::store::Transaction& tx) -> Result<void> {
            DG_TRY(tx.run("DROP TABLE marks"));
            for (const char* index : {"runs_failed", "runs_cancelled", "runs_tenant"}) {
                DG_TRY(tx.run(std::string("DROP INDEX ") + index));
            }
            DG_TRY(tx.run("ALTER TABLE runs DROP COLUMN totals"));
            DG_TRY(tx.run("DELETE FROM schema_step WHERE part = 'flow_runs' AND step > 5"));
            return {};
        });
        ASSERT_TRUE(undone.has_value()) << undone.error().message;
    }
    {
        auto journal = open();
        auto log = flow::JournalRunLog::open(*journal, file);
        ASSERT_TRUE(log.has_value()) << log.error().message;
        EXPECT_EQ((*log)->list({.tenant = "a"})->at(0).events, 600u);
        EXPECT_EQ((*log)->history(head.id, 100, 10)->size(), 10u);
    }
    auto index = *flow::RunIndex::open(file);
    EXPECT_NE(*index->mark_from(head.id, 0), 0u);
}

INSTANTIATE_TEST_SUITE_P(Logs, EveryRunLog, testing::Values("journal", "postgresql"),
                         [](const auto& each) { return each.param; });

}  // namespace
