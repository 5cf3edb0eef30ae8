#pragma once
// A row as PostgreSQL sends it, in binary. Internal to base/store.

#include "base/store/store.h"

struct pg_result;

namespace base::store {

class PostgresRow final : public Row {
public:
    PostgresRow(const pg_result* result, int row) : result_(result), row_(row) {}
    bool null(int column) const override;
    std::int64_t integer(int column) const override;
    double real(int column) const override;
    std::string_view text(int column) const override;

private:
    const pg_result* result_;
    int row_;
};

}  // namespace base::store
