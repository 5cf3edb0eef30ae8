#include "memory/facts/fact_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json/json.h"

namespace memory::facts {
namespace {

using base::Result;
using base::store::Row;
using base::store::Transaction;

constexpr auto kTables = std::to_array<std::string_view>({
    "CREATE TABLE IF NOT EXISTS fact(tenant TEXT NOT NULL, id TEXT NOT NULL, subject TEXT NOT NULL,"
    " predicate TEXT NOT NULL, object TEXT NOT NULL, cardinality BIGINT NOT NULL,"
    " confidence DOUBLE PRECISION NOT NULL, valid_from BIGINT NOT NULL, valid_to BIGINT NOT NULL,"
    " recorded BIGINT NOT NULL, retracted BIGINT NOT NULL, is_end BIGINT NOT NULL,"
    " scope_user TEXT NOT NULL, scope_agent TEXT NOT NULL, scope_session TEXT NOT NULL,"
    " scope_run TEXT NOT NULL, PRIMARY KEY (tenant, id))",
    "CREATE TABLE IF NOT EXISTS fact_source(tenant TEXT NOT NULL, fact TEXT NOT NULL,"
    " place BIGINT NOT NULL, source TEXT NOT NULL, begin_at BIGINT NOT NULL, end_at BIGINT NOT "
    "NULL,"
    " page BIGINT NOT NULL, PRIMARY KEY (tenant, fact, place))",
    "CREATE INDEX IF NOT EXISTS fact_source_by_source ON fact_source(tenant, source, fact)",
    "CREATE TABLE IF NOT EXISTS fact_alias(tenant TEXT NOT NULL, alias TEXT NOT NULL,"
    " name TEXT NOT NULL, PRIMARY KEY (tenant, alias))",
    "CREATE TABLE IF NOT EXISTS fact_change(tenant TEXT PRIMARY KEY, last_at BIGINT NOT NULL)",
});

constexpr std::string_view kColumns =
    "f.id, f.subject, f.predicate, f.object, f.cardinality, f.confidence, f.valid_from, f.valid_to,"
    " f.recorded, f.retracted, f.is_end, f.scope_user, f.scope_agent, f.scope_session, f.scope_run,"
    " s.source, s.begin_at, s.end_at, s.page, z.key_id, z.sealed";
constexpr std::string_view kSealed =
    " LEFT JOIN fact_sealed z ON z.tenant = f.tenant AND z.id = f.id";
constexpr int kKeyColumn = 19;
constexpr int kSourceColumn = 15;

/// What sealed bytes are bound to.
std::string place_of(std::string_view tenant, std::string_view id) {
    return fmt::format("fact {} {}", tenant, id);
}

std::string said_of(const Assertion& said) {
    return base::to_text(base::json::array{said.subject, said.predicate, said.object});
}

/// False: its key was erased.
Result<bool> unseal(const Row& row, const truth::Sealing& sealing, Assertion& said) {
    const truth::KeyId key = row.integer(kKeyColumn);
    if (key == 0) return true;
    const auto text =
        DG_TRY(sealing.unseal(key, row.text(kKeyColumn + 1), place_of(said.scope.tenant, said.id)));
    if (!text) return false;
    const base::json::value parsed = DG_TRY(base::parse_json(*text));
    const base::json::array* parts = parsed.if_array();
    const auto is_text = [](const base::json::value& one) { return one.is_string(); };
    if (parts == nullptr || parts->size() != 3 || !std::ranges::all_of(*parts, is_text)) {
        return base::fail(base::Code::data_loss, "fact {} cannot be read", said.id);
    }
    said.subject = (*parts)[0].get_string();
    said.predicate = (*parts)[1].get_string();
    said.object = (*parts)[2].get_string();
    return true;
}

Assertion read_fact(const Row& row, std::string_view tenant) {
    Assertion said;
    said.id = row.text(0);
    said.subject = row.text(1);
    said.predicate = row.text(2);
    said.object = row.text(3);
    said.cardinality = row.integer(4) == 0 ? Cardinality::one : Cardinality::many;
    said.confidence = static_cast<float>(row.real(5));
    said.valid_from_unix_ms = row.integer(6);
    said.valid_to_unix_ms = row.integer(7);
    said.recorded_unix_ms = row.integer(8);
    said.retracted_unix_ms = row.integer(9);
    said.ends = row.integer(10) != 0;
    said.scope = {std::string(tenant), std::string(row.text(11)), std::string(row.text(12)),
                  std::string(row.text(13)), std::string(row.text(14))};
    return said;
}

/// Rows of facts joined with their sources, a fact's rows together.
Result<std::vector<Assertion>> read_facts(Transaction& tx, const std::string& sql,
                                          std::span<const base::store::Parameter> parameters,
                                          std::string_view tenant, const truth::Sealing& sealing) {
    std::vector<Assertion> out;
    Result<void> opened;
    std::string skipped;
    DG_TRY(tx.query(sql, parameters, [&](const Row& row) {
        if (row.text(0) == skipped) return true;
        if (out.empty() || out.back().id != row.text(0)) {
            out.push_back(read_fact(row, tenant));
            const auto open = unseal(row, sealing, out.back());
            if (!open) {
                opened = std::unexpected(open.error());
                return false;
            }
            if (!*open) {
                skipped = row.text(0);
                out.pop_back();
                return true;
            }
        }
        if (row.null(kSourceColumn)) return true;
        out.back().sources.push_back({std::string(row.text(kSourceColumn)),
                                      static_cast<std::uint64_t>(row.integer(kSourceColumn + 1)),
                                      static_cast<std::uint64_t>(row.integer(kSourceColumn + 2)),
                                      static_cast<std::uint32_t>(row.integer(kSourceColumn + 3))});
        return true;
    }));
    DG_TRY(opened);
    return out;
}

/// Whose facts they are: `tenant`, with what they say.
Result<void> insert_sealed(Transaction& tx, const Assertion& said, truth::KeyId key,
                           const truth::Sealing& sealing) {
    const std::string sealed =
        DG_TRY(sealing.seal(key, said_of(said), place_of(said.scope.tenant, said.id)));
    DG_TRY(tx.run("INSERT INTO fact_sealed(tenant, id, key_id, sealed) VALUES ($1, $2, $3, $4)",
                  {said.scope.tenant, said.id, key, base::store::Blob{sealed}}));
    return {};
}

std::int64_t number(bool value) {
    return value ? 1 : 0;
}

}  // namespace

Result<void> make_fact_tables(Transaction& tx, const base::store::Dialect& dialect) {
    for (const std::string_view sql : kTables) DG_TRY(tx.run(sql));
    DG_TRY(
        tx.run(fmt::format("CREATE TABLE IF NOT EXISTS fact_sealed(tenant TEXT NOT NULL, id TEXT "
                           "NOT NULL, key_id BIGINT NOT NULL, sealed {} NOT NULL, PRIMARY KEY "
                           "(tenant, id))",
                           dialect.blob)));
    return {};
}

Result<std::uint64_t> seal_facts(Transaction& tx, std::uint32_t count,
                                 const truth::Sealing& sealing) {
    std::vector<Assertion> plain;
    DG_TRY(
        tx.query("SELECT f.tenant, f.id, f.subject, f.predicate, f.object, f.scope_user, "
                 "f.scope_agent FROM fact f WHERE f.subject <> '' LIMIT $1",
                 {std::int64_t{count}}, [&](const Row& row) {
                     Assertion one;
                     one.scope.tenant = row.text(0);
                     one.id = row.text(1);
                     one.subject = row.text(2);
                     one.predicate = row.text(3);
                     one.object = row.text(4);
                     one.scope.user = row.text(5);
                     one.scope.agent = row.text(6);
                     plain.push_back(std::move(one));
                     return true;
                 }));
    for (const Assertion& one : plain) {
        DG_TRY(insert_sealed(tx, one, DG_TRY(sealing.key_for(one.scope)), sealing));
        DG_TRY(tx.run(
            "UPDATE fact SET subject = '', predicate = '', object = '' WHERE tenant = $1 AND "
            "id = $2",
            {one.scope.tenant, one.id}));
    }
    return plain.size();
}

Result<void> insert_fact(Transaction& tx, const Assertion& said, const truth::Sealing& sealing) {
    const truth::KeyId key = DG_TRY(sealing.key_for(said.scope));
    if (key != 0) DG_TRY(insert_sealed(tx, said, key, sealing));
    const auto plain = [&](const std::string& text) {
        return key == 0 ? std::string_view(text) : std::string_view();
    };
    DG_TRY(tx.run(
        "INSERT INTO fact(tenant, id, subject, predicate, object, cardinality, confidence,"
        " valid_from, valid_to, recorded, retracted, is_end, scope_user, scope_agent,"
        " scope_session, scope_run)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        {said.scope.tenant, said.id, plain(said.subject), plain(said.predicate), plain(said.object),
         number(said.cardinality == Cardinality::many), static_cast<double>(said.confidence),
         said.valid_from_unix_ms, said.valid_to_unix_ms, said.recorded_unix_ms,
         said.retracted_unix_ms, number(said.ends), said.scope.user, said.scope.agent,
         said.scope.session, said.scope.run}));
    std::int64_t place = 0;
    for (const SourceSpan& span : said.sources) {
        DG_TRY(
            tx.run("INSERT INTO fact_source(tenant, fact, place, source, begin_at, end_at, page)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7)",
                   {said.scope.tenant, said.id, place++, span.source,
                    static_cast<std::int64_t>(span.begin), static_cast<std::int64_t>(span.end),
                    static_cast<std::int64_t>(span.page)}));
    }
    return {};
}

Result<std::int64_t> set_retracted(Transaction& tx, std::string_view tenant, const FactId& id,
                                   UnixMs at) {
    return tx.run("UPDATE fact SET retracted = $3 WHERE tenant = $1 AND id = $2 AND retracted = 0",
                  {tenant, id, at});
}

Result<void> drop_source(Transaction& tx, std::string_view tenant, const FactId& id,
                         std::string_view source) {
    DG_TRY(tx.run("DELETE FROM fact_source WHERE tenant = $1 AND fact = $2 AND source = $3",
                  {tenant, id, source}));
    return {};
}

Result<void> erase_fact(Transaction& tx, std::string_view tenant, const FactId& id) {
    DG_TRY(tx.run("DELETE FROM fact_source WHERE tenant = $1 AND fact = $2", {tenant, id}));
    DG_TRY(tx.run("DELETE FROM fact_sealed WHERE tenant = $1 AND id = $2", {tenant, id}));
    DG_TRY(tx.run("DELETE FROM fact WHERE tenant = $1 AND id = $2", {tenant, id}));
    return {};
}

Result<void> erase_alias(Transaction& tx, std::string_view tenant, std::string_view alias) {
    DG_TRY(tx.run("DELETE FROM fact_alias WHERE tenant = $1 AND alias = $2", {tenant, alias}));
    return {};
}

Result<void> set_alias(Transaction& tx, std::string_view tenant, std::string_view alias,
                       std::string_view name) {
    DG_TRY(tx.run("DELETE FROM fact_alias WHERE tenant = $1 AND alias = $2", {tenant, alias}));
    DG_TRY(tx.run("INSERT INTO fact_alias(tenant, alias, name) VALUES ($1, $2, $3)",
                  {tenant, alias, name}));
    return {};
}

Result<std::vector<Assertion>> load_facts(Transaction& tx, std::string_view tenant,
                                          const truth::Sealing& sealing, std::string_view after) {
    const base::store::Parameter parameters[] = {tenant, after};
    return read_facts(tx,
                      "SELECT " + std::string(kColumns) +
                          " FROM fact f LEFT JOIN fact_source s ON s.tenant = f.tenant"
                          " AND s.fact = f.id" +
                          std::string(kSealed) +
                          " WHERE f.tenant = $1 AND f.id > $2 ORDER BY f.id, s.place",
                      parameters, tenant, sealing);
}

Result<std::vector<Assertion>> load_facts_of(Transaction& tx, std::string_view tenant,
                                             std::string_view source,
                                             const truth::Sealing& sealing) {
    const base::store::Parameter parameters[] = {tenant, source};
    return read_facts(
        tx,
        "SELECT " + std::string(kColumns) +
            " FROM fact f JOIN fact_source s ON s.tenant = f.tenant AND s.fact = f.id" +
            std::string(kSealed) +
            " WHERE f.tenant = $1 AND f.id IN (SELECT fact FROM fact_source"
            " WHERE tenant = $1 AND source = $2) ORDER BY f.id, s.place",
        parameters, tenant, sealing);
}

Result<void> load_aliases(Transaction& tx, std::string_view tenant,
                          const std::function<void(std::string_view, std::string_view)>& each) {
    return tx.query("SELECT alias, name FROM fact_alias WHERE tenant = $1", {tenant},
                    [&](const Row& row) {
                        each(row.text(0), row.text(1));
                        return true;
                    });
}

Result<UnixMs> last_fact_change(Transaction& tx, std::string_view tenant) {
    UnixMs last = 0;
    DG_TRY(tx.query("SELECT last_at FROM fact_change WHERE tenant = $1", {tenant},
                    [&](const Row& row) {
                        last = row.integer(0);
                        return true;
                    }));
    return last;
}

Result<UnixMs> take_fact_change(Transaction& tx, std::string_view tenant, UnixMs at_least) {
    UnixMs taken = 0;
    DG_TRY(
        tx.query("INSERT INTO fact_change(tenant, last_at) VALUES ($1, $2) ON CONFLICT (tenant) "
                 "DO UPDATE SET last_at = CASE WHEN fact_change.last_at >= excluded.last_at "
                 "THEN fact_change.last_at + 1 ELSE excluded.last_at END RETURNING last_at",
                 {tenant, at_least}, [&](const Row& row) {
                     taken = row.integer(0);
                     return true;
                 }));
    return taken;
}

Result<FactId> last_fact_id(Transaction& tx) {
    FactId id;
    DG_TRY(tx.query("SELECT max(id) FROM fact", {}, [&](const Row& row) {
        id = row.text(0);
        return false;
    }));
    return id;
}

}  // namespace memory::facts
