// What only a server has: others that write, connections that break, passwords.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "base/store/store.h"
#include "store_fixture.h"

namespace base::store {
namespace {

using test::count_rows;
using test::insert;
using test::make_table;

class PostgresStore : public ::testing::Test {
protected:
    void SetUp() override { DG_NEED_SERVER(server()); }
    static test::PostgresServer& server() { return test::PostgresServer::instance(); }
    static std::unique_ptr<Store> open(const std::string& url) {
        auto store = Store::open(url, {});
        EXPECT_TRUE(store) << store.error().message;
        return std::move(*store);
    }
};

Result<void> add_one(Store& store) {
    return store.write([](Transaction& tx) -> Result<void> {
        std::int64_t value = -1;
        DG_TRY(tx.query("SELECT v FROM t WHERE k = 1", {}, [&](const Row& row) {
            value = row.integer(0);
            return true;
        }));
        DG_TRY(tx.run("UPDATE t SET v = $1 WHERE k = 1", {value + 1}));
        return {};
    });
}

TEST_F(PostgresStore, WorksOfSeveralProcessesRunOneAfterAnother) {
    const std::string url = server().fresh_url();
    auto store = open(url);
    make_table(*store);
    insert(*store, 1);
    constexpr int kProcesses = 3, kEach = 40;
    std::vector<pid_t> children;
    for (int p = 0; p < kProcesses; ++p) {
        children.push_back(::fork());
        if (children.back() != 0) continue;
        auto mine = Store::open(url, {});
        bool good = mine.has_value();
        for (int i = 0; i < kEach && good; ++i) good = add_one(**mine).has_value();
        ::_exit(good ? 0 : 1);
    }
    for (int i = 0; i < kEach; ++i) DG_OK(add_one(*store));
    for (const pid_t child : children) {
        int status = -1;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(test::rows_of(*store).at(1), (kProcesses + 1) * kEach);
}

TEST_F(PostgresStore, TwoThatOpenAtOnceMigrateOnce) {
    const std::string url = server().fresh_url();
    const std::array<std::string, 2> steps{"CREATE TABLE m (a BIGINT)",
                                           "INSERT INTO m(a) VALUES (1)"};
    {
        std::vector<std::jthread> openers;
        for (int i = 0; i < 6; ++i) {
            openers.emplace_back([&] {
                auto store = open(url);
                DG_OK(migrate(*store, "part", steps));
            });
        }
    }
    EXPECT_EQ(count_rows(*open(url), "m"), 1);
}

TEST_F(PostgresStore, AServerThatWentAndCameBackIsUsedAgain) {
    auto store = open(server().fresh_url());
    make_table(*store);
    for (int i = 0; i < 20; ++i) insert(*store, i);
    EXPECT_EQ(count_rows(*store), 20);
    server().kill();
    const auto away = store->write([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("INSERT INTO t(k, v) VALUES (100, 0)"));
        return {};
    });
    EXPECT_FALSE(away);
    if (!away) {
        EXPECT_EQ(away.error().code, Code::unavailable);
    }
    const auto unread = store->read([](Transaction&) { return Result<void>(); });
    EXPECT_FALSE(unread);
    if (!unread) {
        EXPECT_EQ(unread.error().code, Code::unavailable);
    }
    server().start();
    EXPECT_EQ(count_rows(*store), 20);
    insert(*store, 100);
    EXPECT_EQ(count_rows(*store), 21);
}

TEST_F(PostgresStore, ConnectionsThatBreakLoseNothingAndDoubleNothing) {
    const std::string url = server().fresh_url();
    auto store = open(url);
    make_table(*store);
    constexpr int kThreads = 4, kEach = 60;
    std::atomic<int> done = 0;
    std::set<std::int64_t> acknowledged;
    std::mutex mutex;
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach; ++i) {
                const std::int64_t key = t * kEach + i;
                const auto wrote = store->write([&](Transaction& tx) -> Result<void> {
                    DG_TRY(tx.run("INSERT INTO t(k, v) VALUES ($1, 0)", {key}));
                    return {};
                });
                // Its own key in its way would mean that it was written twice.
                if (!wrote) {
                    EXPECT_EQ(wrote.error().code, Code::unavailable);
                }
                std::lock_guard lock(mutex);
                if (wrote) acknowledged.insert(key);
                ++done;
                done.notify_all();
            }
        });
    }
    auto breaker = open(server().fresh_url());
    int broken = 0;
    for (int next = 10; next < kThreads * kEach - kThreads; next += 20) {
        for (int now = done; now < next; now = done) done.wait(now);
        DG_OK(breaker->read([&](Transaction& tx) {
            return tx.query(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                "application_name = 'dougong' AND pid <> pg_backend_pid()",
                {}, [&](const Row& row) {
                    broken += static_cast<int>(row.integer(0));
                    return true;
                });
        }));
    }
    threads.clear();
    EXPECT_GT(broken, 0);
    std::set<std::int64_t> kept;
    for (const auto& [key, value] : test::rows_of(*store)) kept.insert(key);
    // The server answered each time what became of a commit: nothing is in doubt.
    EXPECT_EQ(kept, acknowledged);
    EXPECT_GE(acknowledged.size(), static_cast<std::size_t>(kThreads * kEach / 2));
}

TEST_F(PostgresStore, RefusalsAreSaidWithoutThePassword) {
    const auto refused = [](const std::string& url) {
        const auto opened = Store::open(url, {});
        if (opened) return Code::internal;
        EXPECT_EQ(opened.error().message.find("geheim"), std::string::npos)
            << opened.error().message;
        EXPECT_EQ(opened.error().subject.find("geheim"), std::string::npos);
        return opened.error().code;
    };
    EXPECT_EQ(refused(server().url("s", "geheim-2")), Code::failed_precondition);
    std::string no_database = server().url("s");
    no_database.replace(no_database.find("/postgres?"), 10, "/nothing?");
    EXPECT_EQ(refused(no_database), Code::failed_precondition);
    EXPECT_EQ(refused("postgresql://a:geheim@%2Fnowhere/d"), Code::unavailable);
    for (const char* bad :
         {"postgresql://a:geheim@h/d?schema=", "postgresql://a:geheim@h/d?schema=Up",
          "postgresql://a:geheim@h/d?schema=pg_x", "postgresql://a:geheim@h/d?schema=a;drop",
          "postgresql://a:geheim@h/d?no_such_word=1", "postgresql://a:geheim@[::1",
          "postgresql://a:ge/geheim@h/d", "postgresql://a:b@geheim@h/d",
          "postgresql://a:geheim%zz@h/d"}) {
        EXPECT_EQ(refused(bad), Code::invalid_argument) << bad;
    }
}

TEST_F(PostgresStore, TheSchemaIsTheOneThatTheUrlNames) {
    std::string url = server().fresh_url();
    auto store = open(url + "&application_name=other&connect_timeout=5");
    make_table(*store);
    EXPECT_EQ(count_rows(*open(url)), 0);
    const auto elsewhere = open(server().fresh_url());
    EXPECT_FALSE(elsewhere->read([](Transaction& tx) {
        return tx.query("SELECT k FROM t", {}, [](const Row&) { return true; });
    }));
}

TEST_F(PostgresStore, WhatAServerCannotKeepIsTheCallersToChange) {
    auto store = open(server().fresh_url());
    DG_OK(store->write([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("CREATE TABLE x (a TEXT)"));
        return {};
    }));
    const auto wrote = store->write([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("INSERT INTO x(a) VALUES ($1)", {std::string_view("a\0b", 3)}));
        return {};
    });
    ASSERT_FALSE(wrote);
    EXPECT_EQ(wrote.error().code, Code::invalid_argument);
    EXPECT_EQ(count_rows(*store, "x"), 0);
}

std::size_t files_with(const std::string& folder, std::string_view canary) {
    std::size_t found = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
        if (!file.is_regular_file()) continue;
        found += test::read_text(file.path().string()).find(canary) != std::string::npos;
    }
    return found;
}

TEST_F(PostgresStore, ScrubLeavesNoByteInTables) {
    auto store = open(server().fresh_url());
    DG_OK(store->write([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("CREATE TABLE x (k BIGINT PRIMARY KEY, a TEXT)"));
        DG_TRY(tx.run("CREATE INDEX x_a ON x(a)"));
        for (std::int64_t i = 0; i < 50; ++i) {
            DG_TRY(tx.run("INSERT INTO x(k, a) VALUES ($1, 'canary-one-bird')", {i}));
        }
        DG_TRY(tx.run("INSERT INTO x(k, a) VALUES (99, 'kept-one-fish')"));
        return {};
    }));
    DG_OK(store->write([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("DELETE FROM x WHERE k < 99"));
        return {};
    }));
    DG_OK(store->scrub());
    server().kill();  // what it has in memory goes to the disk when it recovers
    server().start();
    EXPECT_EQ(count_rows(*store, "x"), 1);
    const std::string base = server().folder() + "/data/base";
    EXPECT_EQ(files_with(base, "canary-one-bird"), 0u);
    EXPECT_GT(files_with(base, "kept-one-fish"), 0u);
}

TEST_F(PostgresStore, DamageIsFoundByTheCheck) {
    auto store = open(server().fresh_url());
    make_table(*store);
    insert(*store, 1);
    DG_OK(store->check());
    std::string file;
    DG_OK(store->read([&](Transaction& tx) {
        return tx.query("SELECT pg_relation_filepath('t')", {}, [&](const Row& row) {
            file = row.text(0);
            return true;
        });
    }));
    server().kill();
    server().start();  // and writes everything to its files
    EXPECT_EQ(count_rows(*store), 1);
    server().kill();
    {
        std::fstream damage(server().folder() + "/data/" + file,
                            std::ios::binary | std::ios::in | std::ios::out);
        ASSERT_TRUE(damage.good());
        damage << std::string(64, 'x');
    }
    server().start();
    const auto checked = store->check();
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::data_loss) << checked.error().message;
}

}  // namespace
}  // namespace base::store
