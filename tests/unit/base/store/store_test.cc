// What callers rely on, over every database.
#include "base/store/store.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <latch>
#include <thread>

#include "store_fixture.h"
#include "support/seeds.h"

namespace base::store {
namespace {

using test::count_rows;
using test::insert;
using test::make_table;

class AnyStore : public test::StoreTest {};

TEST_P(AnyStore, ParametersAndRowsKeepTheirValues) {
    auto store = open();
    DG_OK(store->write([&](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run(
            fmt::format("CREATE TABLE v (a BIGINT, b DOUBLE PRECISION, c TEXT, d {}, e TEXT)",
                        store->dialect().blob)));
        const std::string bytes("\0\xff'\\x", 5);
        // By number, not by place; one of them twice.
        DG_TRY(tx.run("INSERT INTO v(d, c, b, a, e) VALUES ($4, $3, $2, $1, $3)",
                      {std::int64_t{-9'000'000'000'000'000'001}, 0.1,
                       std::string_view("héllo '$1'"), Blob{bytes}}));
        DG_TRY(tx.run("INSERT INTO v(a, b, c, d) VALUES ($1, $2, $3, $4)",
                      {nullptr, nullptr, nullptr, nullptr}));
        return {};
    }));
    int rows = 0;
    DG_OK(store->read([&](Transaction& tx) {
        return tx.query("SELECT a, b, c, d, e FROM v ORDER BY a IS NULL", {}, [&](const Row& row) {
            if (rows++ == 0) {
                EXPECT_EQ(row.integer(0), -9'000'000'000'000'000'001);
                EXPECT_EQ(row.real(1), 0.1);
                EXPECT_EQ(row.text(2), "héllo '$1'");
                EXPECT_EQ(row.text(3), std::string_view("\0\xff'\\x", 5));
                EXPECT_EQ(row.text(4), row.text(2));
                EXPECT_FALSE(row.null(0));
            } else {
                for (int column = 0; column < 4; ++column) EXPECT_TRUE(row.null(column));
                EXPECT_EQ(row.integer(0), 0);
                EXPECT_EQ(row.text(2), "");
            }
            return true;
        });
    }));
    EXPECT_EQ(rows, 2);
}

TEST_P(AnyStore, AFailedWorkUndoesItselfAlone) {
    auto store = open();
    make_table(*store);
    constexpr int kThreads = 8, kEach = 40;
    std::atomic<int> good = 0;
    std::barrier start(kThreads);
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            start.arrive_and_wait();
            for (int i = 0; i < kEach; ++i) {
                const std::int64_t key = t * kEach + i;
                const Result<void> wrote = store->write([&](Transaction& tx) -> Result<void> {
                    DG_TRY(tx.run("INSERT INTO t(k, v) VALUES ($1, 1)", {key}));
                    DG_TRY(tx.run("INSERT INTO t(k, v) VALUES ($1, 2)", {key + 1'000}));
                    if (i % 3 == 0) return fail(Code::cancelled, "no");
                    // Its key exists already: the database refuses.
                    if (i % 3 == 1) DG_TRY(tx.run("INSERT INTO t(k, v) VALUES ($1, 3)", {key}));
                    return {};
                });
                const Code expected = i % 3 == 0 ? Code::cancelled : Code::already_exists;
                if (i % 3 == 2) {
                    ASSERT_TRUE(wrote) << wrote.error().message;
                    ++good;
                } else {
                    ASSERT_FALSE(wrote);
                    ASSERT_EQ(wrote.error().code, expected) << wrote.error().message;
                }
            }
        });
    }
    threads.clear();
    EXPECT_EQ(count_rows(*store), 2 * good);
}

TEST_P(AnyStore, AWorkThatHidesAFailureFails) {
    auto store = open();
    make_table(*store);
    const Result<void> hidden = store->write([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("INSERT INTO t(k, v) VALUES (1, 1)"));
        static_cast<void>(tx.run("INSERT INTO t(k, v) VALUES (1, 2)"));
        return {};
    });
    EXPECT_FALSE(hidden);
    EXPECT_EQ(count_rows(*store), 0);
    EXPECT_FALSE(store->write([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("INSERT INTO no_such_table(k) VALUES (1)"));
        return {};
    }));
    insert(*store, 5);
    EXPECT_EQ(count_rows(*store), 1);
}

TEST_P(AnyStore, ReadersSeeOneStateAndWhatReturned) {
    auto store = open();
    make_table(*store);
    insert(*store, 1);
    std::latch opened(1), written(1);
    std::jthread reader([&] {
        DG_OK(store->read([&](Transaction& tx) -> Result<void> {
            std::int64_t before = -1, after = -1;
            const auto count = [&](std::int64_t& to) {
                return tx.query("SELECT count(*) FROM t", {}, [&](const Row& row) {
                    to = row.integer(0);
                    return true;
                });
            };
            DG_TRY(count(before));
            opened.count_down();
            written.wait();
            DG_TRY(count(after));
            EXPECT_EQ(before, 1);
            EXPECT_EQ(after, 1);
            return {};
        }));
    });
    opened.wait();
    insert(*store, 2);
    EXPECT_EQ(count_rows(*store), 2);
    written.count_down();
}

TEST_P(AnyStore, AReaderCannotWrite) {
    auto store = open();
    make_table(*store);
    EXPECT_FALSE(store->read([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("INSERT INTO t(k, v) VALUES (1, 1)"));
        return {};
    }));
    EXPECT_EQ(count_rows(*store), 0);
}

TEST_P(AnyStore, ReopensWithWhatWasWritten) {
    auto store = open();
    make_table(*store);
    for (int i = 0; i < 50; ++i) insert(*store, i);
    store.reset();
    store = open();
    EXPECT_EQ(count_rows(*store), 50);
    DG_OK(store->check());
    EXPECT_GT(store->bytes(), 0u);
}

TEST_P(AnyStore, MigratesOnceAndRefusesTheNewer) {
    auto store = open();
    const std::array<std::string, 2> old{"CREATE TABLE m (a BIGINT)",
                                         "INSERT INTO m(a) VALUES (1)"};
    const std::array<std::string, 3> grown{old[0], old[1], "INSERT INTO m(a) VALUES (2)"};
    const std::array<std::string, 4> wrong{grown[0], grown[1], grown[2],
                                           "INSERT INTO n VALUES (1)"};
    DG_OK(migrate(*store, old));
    DG_OK(migrate(*store, grown));
    DG_OK(migrate(*store, grown));
    EXPECT_EQ(count_rows(*store, "m"), 2);
    EXPECT_FALSE(migrate(*store, wrong));
    EXPECT_EQ(count_rows(*store, "schema_step"), 3);
    const Result<void> older = migrate(*store, old);
    ASSERT_FALSE(older);
    EXPECT_EQ(older.error().code, Code::failed_precondition);
}

TEST_P(AnyStore, TooManyWaitingAreRefused) {
    auto store = open({.waiting_max = 2});
    make_table(*store);
    std::latch inside(1), go_on(1);
    std::jthread first([&] {
        DG_OK(store->write([&](Transaction&) -> Result<void> {
            inside.count_down();
            go_on.wait();
            return {};
        }));
    });
    inside.wait();
    std::atomic<int> refused = 0, wrote = 0;
    {
        std::vector<std::jthread> more;
        for (int i = 0; i < 6; ++i) {
            more.emplace_back([&, i] {
                const Result<void> result = store->write([&](Transaction& tx) -> Result<void> {
                    DG_TRY(tx.run("INSERT INTO t(k, v) VALUES ($1, 1)", {std::int64_t{i}}));
                    return {};
                });
                if (result) {
                    ++wrote;
                } else {
                    EXPECT_EQ(result.error().code, Code::resource_exhausted);
                    if (++refused == 4) go_on.count_down();
                }
            });
        }
    }
    EXPECT_EQ(refused, 4);
    EXPECT_EQ(wrote, 2);
    EXPECT_EQ(count_rows(*store), 2);
}

TEST_P(AnyStore, RandomHistoriesEqualAMap) {
    test::for_each_seed(quick() ? 10 : 3, [&](Rng& rng) {
        auto store = open_fresh();
        make_table(*store);
        std::map<std::int64_t, std::int64_t> model;
        for (int step = 0; step < 50; ++step) {
            auto next = model;
            const bool fails = rng.below(4) == 0;
            const Result<void> wrote = store->write([&](Transaction& tx) -> Result<void> {
                next = model;
                for (std::uint64_t n = rng.below(6); n > 0; --n) {
                    const auto key = static_cast<std::int64_t>(rng.below(20));
                    const auto value = static_cast<std::int64_t>(rng.below(1'000));
                    if (rng.below(3) == 0) {
                        const auto gone = DG_TRY(tx.run("DELETE FROM t WHERE k = $1", {key}));
                        EXPECT_EQ(gone, static_cast<std::int64_t>(next.erase(key)));
                    } else {
                        DG_TRY(
                            tx.run("INSERT INTO t(k, v) VALUES ($1, $2) ON CONFLICT (k) DO "
                                   "UPDATE SET v = excluded.v",
                                   {key, value}));
                        next[key] = value;
                    }
                }
                if (fails) return fail(Code::cancelled, "no");
                return {};
            });
            ASSERT_EQ(wrote.has_value(), !fails);
            if (wrote) model = next;
            if (rng.below(10) == 0 && quick()) store.reset(), store = open();
            ASSERT_EQ(test::rows_of(*store), model);
        }
    });
}

INSTANTIATE_TEST_SUITE_P(Databases, AnyStore, ::testing::ValuesIn(test::databases()),
                         [](const auto& database) { return database.param; });

}  // namespace
}  // namespace base::store
