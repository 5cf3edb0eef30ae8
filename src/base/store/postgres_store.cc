// One schema of a database, which several processes may have at once. One schema, not one for each
// part of the data: the server spreads load over its own files, and one lock keeps writers in line.
#include "base/store/postgres_store.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/store/group_commit.h"
#include "base/store/postgres_connection.h"
#include "base/store/postgres_location.h"
#include "base/store/readers.h"

namespace base::store {
namespace {

using Mode = PostgresConnection::Mode;

class PostgresStore final : public Store {
public:
    PostgresStore(const PostgresLocation& location, std::unique_ptr<PostgresConnection> writer,
                  const StoreOptions& options)
        : location_(location),
          writer_(std::move(writer), options),
          readers_(
              [location]() -> Result<std::unique_ptr<Connection>> {
                  return DG_TRY(PostgresConnection::open(location, Mode::read));
              },
              options.readers) {}

    Result<void> write(const Work& work) override { return writer_.write(work); }
    Result<void> read(const Work& work) override { return readers_.read(work); }
    const Dialect& dialect() const override {
        static constexpr Dialect kPostgres{"BYTEA", "BIGSERIAL PRIMARY KEY", ""};
        return kPostgres;
    }
    bool shared() const override { return true; }

    std::uint64_t bytes() const override {
        std::int64_t bytes = 0;
        const auto asked = readers_.read([&](Transaction& tx) {
            return tx.query(
                "SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind "
                "IN ('r', 'm')",
                {std::string_view(location_.schema)}, [&](const Row& row) {
                    bytes = row.integer(0);
                    return true;
                });
        });
        return asked ? static_cast<std::uint64_t>(bytes) : 0;
    }

    Result<void> check() override {
        return readers_.read([&](Transaction& tx) -> Result<void> {
            DG_TRY(check_settings(tx));
            for (const std::string& table : DG_TRY(tables(tx))) {
                // Reads every value, so that the server sees its checksums and lengths.
                DG_TRY(tx.query(fmt::format("SELECT sum(length(t::text)) FROM {} t", table), {},
                                [](const Row&) { return true; }));
            }
            return check_indexes(tx);
        });
    }

    Result<void> scrub() override {
        std::vector<std::string> names;
        DG_TRY(readers_.read([&](Transaction& tx) -> Result<void> {
            names = DG_TRY(tables(tx));
            return {};
        }));
        return writer_.between([&](Connection& connection) -> Result<void> {
            auto& writer = static_cast<PostgresConnection&>(connection);
            for (const std::string& table : names) {
                DG_TRY(writer.control(fmt::format("VACUUM FULL {}", table).c_str()));
            }
            return {};
        });
    }

private:
    Result<std::vector<std::string>> tables(Transaction& tx) const {
        std::vector<std::string> names;
        DG_TRY(
            tx.query("SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM "
                     "pg_tables WHERE schemaname = $1 ORDER BY tablename",
                     {std::string_view(location_.schema)}, [&](const Row& row) {
                         names.emplace_back(row.text(0));
                         return true;
                     }));
        return names;
    }

    Result<void> check_settings(Transaction& tx) const {
        std::string off;
        DG_TRY(
            tx.query("SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND "
                     "setting = 'off'",
                     {}, [&](const Row& row) {
                         off = row.text(0);
                         return false;
                     }));
        if (off.empty()) return {};
        return fail_on(location_.shown, Code::failed_precondition,
                       "{} runs with {} = off: a loss of power may take what was acknowledged; set "
                       "it to on",
                       location_.shown, off);
    }

    /// With the extension amcheck, where it was made and may be used.
    Result<void> check_indexes(Transaction& tx) const {
        bool there = false;
        DG_TRY(
            tx.query("SELECT COALESCE(bool_and(has_function_privilege(p.oid, 'EXECUTE')), "
                     "false) FROM pg_proc p WHERE p.proname = 'bt_index_check' AND "
                     "pg_function_is_visible(p.oid)",
                     {}, [&](const Row& row) {
                         there = row.integer(0) != 0;
                         return true;
                     }));
        if (!there) return {};
        return tx.query(
            "SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam WHERE n.nspname = "
            "$1 AND c.relkind = 'i' AND a.amname = 'btree'",
            {std::string_view(location_.schema)}, [](const Row&) { return true; });
    }

    const PostgresLocation location_;
    GroupCommit writer_;
    mutable Readers readers_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_postgres(std::string_view location,
                                             const StoreOptions& options) {
    const PostgresLocation parsed = DG_TRY(parse_postgres(location));
    auto writer = DG_TRY(PostgresConnection::open(parsed, Mode::write));
    return std::make_unique<PostgresStore>(parsed, std::move(writer), options);
}

}  // namespace base::store
