#pragma once
// One suite for every database: the parameter names it.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/store/store.h"
#include "support/database_server.h"
#include "support/temp_dir.h"

/// Asserts a Result and shows its error.
#define DG_OK(expression)                                                      \
    do {                                                                       \
        const auto dg_ok_result = (expression);                                \
        ASSERT_TRUE(dg_ok_result.has_value()) << dg_ok_result.error().message; \
    } while (false)

namespace test {

inline std::vector<std::string> databases() {
    return {"sqlite", "postgresql"};
}

inline std::int64_t count_rows(base::store::Store& store, std::string_view table = "t") {
    std::int64_t rows = -1;
    const auto read = store.read([&](base::store::Transaction& tx) {
        return tx.query(fmt::format("SELECT count(*) FROM {}", table), {},
                        [&](const base::store::Row& row) {
                            rows = row.integer(0);
                            return true;
                        });
    });
    EXPECT_TRUE(read) << read.error().message;
    return rows;
}

inline std::map<std::int64_t, std::int64_t> rows_of(base::store::Store& store) {
    std::map<std::int64_t, std::int64_t> rows;
    const auto read = store.read([&](base::store::Transaction& tx) {
        return tx.query("SELECT k, v FROM t", {}, [&](const base::store::Row& row) {
            rows[row.integer(0)] = row.integer(1);
            return true;
        });
    });
    EXPECT_TRUE(read) << read.error().message;
    return rows;
}

inline void make_table(base::store::Store& store) {
    DG_OK(store.write([](base::store::Transaction& tx) -> base::Result<void> {
        DG_TRY(tx.run("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT)"));
        return {};
    }));
}

inline void insert(base::store::Store& store, std::int64_t key) {
    DG_OK(store.write([&](base::store::Transaction& tx) -> base::Result<void> {
        DG_TRY(tx.run("INSERT INTO t(k, v) VALUES ($1, 0)", {key}));
        return {};
    }));
}

class StoreTest : public ::testing::TestWithParam<std::string> {
protected:
    using Store = base::store::Store;
    void SetUp() override {
        if (GetParam() == "postgresql") DG_NEED_SERVER(PostgresServer::instance());
        next_location();
    }
    std::unique_ptr<Store> open(const base::store::StoreOptions& options = {}) {
        auto store = Store::open(location_, options);
        EXPECT_TRUE(store) << store.error().message;
        return std::move(*store);
    }
    std::unique_ptr<Store> open_fresh() {
        next_location();
        return open();
    }
    void next_location() {
        location_ = GetParam() == "sqlite" ? dir_.file(fmt::format("{}.db", ++number_))
                                           : PostgresServer::instance().fresh_url();
    }
    /// A round costs little here.
    bool quick() const { return GetParam() == "sqlite"; }

    TempDir dir_;
    std::string location_;
    int number_ = 0;
};

}  // namespace test
