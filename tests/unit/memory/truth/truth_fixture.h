#pragma once
// A truth over each database, reopened at will; a clock that the test moves.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "memory/truth/truth.h"
#include "support/database_server.h"
#include "support/temp_dir.h"

/// Asserts a Result and shows its error.
#define DG_OK(expression)                                                      \
    do {                                                                       \
        const auto dg_ok_result = (expression);                                \
        ASSERT_TRUE(dg_ok_result.has_value()) << dg_ok_result.error().message; \
    } while (false)

namespace test {

class WallClock final : public base::Clock {
public:
    base::Instant now() const override { return base::Instant{ms * 1'000'000}; }
    std::int64_t unix_ns() const override { return ms * 1'000'000; }
    std::int64_t ms = 1'700'000'000'000;
};

/// The value, or a failed test and the end of it.
template <class T>
T need(base::Result<T> result) {
    EXPECT_TRUE(result.has_value()) << result.error().message;
    if (!result) std::abort();
    return std::move(*result);
}

class TruthTest : public ::testing::TestWithParam<std::string> {
protected:
    void SetUp() override {
        if (GetParam() == "postgresql") DG_NEED_SERVER(PostgresServer::instance());
        next_location();
    }
    std::unique_ptr<memory::truth::Truth> open() {
        return need(memory::truth::Truth::open({.location = location_, .shards = 2}, clock_));
    }
    std::unique_ptr<memory::truth::Truth> open_fresh() {
        next_location();
        return open();
    }
    void next_location() {
        location_ = GetParam() == "sqlite" ? dir_.file(std::to_string(++number_))
                                           : PostgresServer::instance().fresh_url();
    }

    TempDir dir_;
    WallClock clock_;
    std::string location_;
    int number_ = 0;
};

inline memory::NewEntry note(std::string content, std::string tenant = "t") {
    memory::NewEntry entry;
    entry.scope.tenant = std::move(tenant);
    entry.content = std::move(content);
    return entry;
}

inline memory::Added add(memory::truth::Truth& truth, const memory::NewEntry& entry,
                         std::string_view model = "") {
    return need(truth.add({&entry, 1}, "tester", model)).added[0];
}

inline std::vector<memory::Entry> all(memory::truth::Truth& truth, const std::string& tenant) {
    return need(truth.list({.scope = {.tenant = tenant}, .labels = {}},
                           memory::Order::created_ascending, 100'000, ""))
        .entries;
}

inline base::Result<std::vector<memory::Entry>> get_rows(
    memory::truth::Truth& truth, std::string_view tenant,
    std::span<const memory::truth::RowId> rows) {
    std::vector<memory::Entry> entries;
    auto read = truth.each_row(tenant, rows, [&](memory::truth::RowId, memory::Entry&& entry) {
        entries.push_back(std::move(entry));
    });
    if (!read) return std::unexpected(read.error());
    return entries;
}

}  // namespace test
