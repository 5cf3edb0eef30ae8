#include "memory/facts/reading_rows.h"

#include <array>

namespace memory::facts {

using base::Result;
using base::store::Row;
using base::store::Transaction;

namespace {
constexpr auto kTables = std::to_array<std::string_view>({
    "CREATE TABLE IF NOT EXISTS fact_progress(tenant TEXT NOT NULL PRIMARY KEY,"
    " reader TEXT NOT NULL, upto BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS fact_reading(tenant TEXT NOT NULL, entry_row BIGINT NOT NULL,"
    " version BIGINT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (tenant, entry_row))",
});
}  // namespace

Result<void> make_reading_tables(Transaction& tx) {
    for (const std::string_view sql : kTables) DG_TRY(tx.run(sql));
    return {};
}

Result<Progress> load_progress(Transaction& tx, std::string_view tenant) {
    Progress progress;
    DG_TRY(tx.query("SELECT reader, upto FROM fact_progress WHERE tenant = $1", {tenant},
                    [&](const Row& row) {
                        progress = {std::string(row.text(0)), row.integer(1)};
                        return false;
                    }));
    return progress;
}

Result<void> save_progress(Transaction& tx, std::string_view tenant, const Progress& progress) {
    DG_TRY(
        tx.run("INSERT INTO fact_progress(tenant, reader, upto) VALUES ($1, $2, $3)"
               " ON CONFLICT (tenant) DO UPDATE SET reader = excluded.reader,"
               " upto = excluded.upto",
               {tenant, progress.reader, progress.upto}));
    return {};
}

Result<std::optional<KeptReading>> load_reading(Transaction& tx, std::string_view tenant,
                                                std::int64_t row) {
    std::optional<KeptReading> kept;
    DG_TRY(tx.query(
        "SELECT version, source FROM fact_reading WHERE tenant = $1 AND entry_row = $2",
        {tenant, row}, [&](const Row& columns) {
            kept = {static_cast<std::uint32_t>(columns.integer(0)), std::string(columns.text(1))};
            return false;
        }));
    return kept;
}

Result<void> save_reading(Transaction& tx, std::string_view tenant, std::int64_t row,
                          const KeptReading& reading) {
    DG_TRY(
        tx.run("INSERT INTO fact_reading(tenant, entry_row, version, source)"
               " VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, entry_row)"
               " DO UPDATE SET version = excluded.version, source = excluded.source",
               {tenant, row, std::int64_t{reading.version}, reading.source}));
    return {};
}

Result<void> drop_reading(Transaction& tx, std::string_view tenant, std::int64_t row) {
    DG_TRY(tx.run("DELETE FROM fact_reading WHERE tenant = $1 AND entry_row = $2", {tenant, row}));
    return {};
}

Result<void> reset_versions(Transaction& tx, std::string_view tenant) {
    DG_TRY(tx.run("UPDATE fact_reading SET version = 0 WHERE tenant = $1", {tenant}));
    return {};
}

}  // namespace memory::facts
