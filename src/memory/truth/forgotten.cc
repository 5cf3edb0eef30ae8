#include "memory/truth/forgotten.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace memory::truth {
namespace {

using base::Result;
using base::store::Row;
using base::store::Transaction;

Result<void> read_each(Transaction& tx, const std::string& sql,
                       std::initializer_list<base::store::Parameter> parameters,
                       std::string_view tenant_name, const Sealing& sealing,
                       const EachStored& each) {
    Result<void> done;
    DG_TRY(tx.query(sql, parameters, [&](const Row& columns) {
        auto stored = read_entry(columns, tenant_name, sealing);
        if (stored && stored->state == RowState::wiped) return true;  // its key was erased
        done = stored ? each(std::move(*stored)) : std::unexpected(std::move(stored).error());
        return done.has_value();
    }));
    return done;
}

}  // namespace

Result<std::int64_t> tenant_number(Transaction& tx, std::string_view name) {
    std::int64_t number = 0;
    DG_TRY(tx.query("SELECT tenant_id FROM tenant WHERE name = $1", {name}, [&](const Row& row) {
        number = row.integer(0);
        return true;
    }));
    return number;
}

Result<void> each_present(Transaction& tx, std::string_view tenant_name, std::int64_t tenant,
                          Sequence after, const Sealing& sealing, const EachStored& each) {
    static const std::string kSql =
        kSelectColumns + kFromEntry +
        " WHERE e.tenant_id = $1 AND e.sequence > $2 AND e.state <> 3 ORDER BY e.sequence";
    return read_each(tx, kSql, {tenant, after}, tenant_name, sealing, each);
}

Result<void> each_in_scope(Transaction& tx, std::string_view tenant_name, std::int64_t tenant,
                           const Scope& only, const Sealing& sealing, const EachStored& each) {
    static const std::string kSql =
        kSelectColumns + kFromEntry +
        " WHERE e.tenant_id = $1 AND e.state <> 3 AND (e.sources <> '' OR (($2 = '' OR e.user_name "
        "= $2) AND ($3 = '' OR e.agent = $3) AND ($4 = '' OR e.session = $4) AND ($5 = '' OR e.run "
        "= $5))) ORDER BY e.sequence";
    return read_each(tx, kSql, {tenant, only.user, only.agent, only.session, only.run}, tenant_name,
                     sealing, each);
}

Result<Sequence> last_sequence(Transaction& tx, std::int64_t tenant) {
    Sequence last = 0;
    DG_TRY(tx.query("SELECT COALESCE(max(sequence), 0) FROM entry WHERE tenant_id = $1", {tenant},
                    [&](const Row& row) {
                        last = row.integer(0);
                        return true;
                    }));
    return last;
}

Result<void> each_former(Transaction& tx, std::string_view tenant_name, std::int64_t tenant,
                         const Sealing& sealing, const EachStored& each) {
    static const std::string kSql =
        kSelectColumns +
        " FROM version e LEFT JOIN access a ON a.row_id = e.row_id AND a.tenant_id = e.tenant_id "
        "WHERE e.tenant_id = $1";
    return read_each(tx, kSql, {tenant}, tenant_name, sealing, each);
}

Result<void> each_sourced(Transaction& tx, std::string_view tenant_name, std::int64_t tenant,
                          const Sealing& sealing, const EachStored& each) {
    static const std::string kSql = kSelectColumns + kFromEntry +
                                    " WHERE e.tenant_id = $1 AND e.sources <> '' AND e.state <> 3 "
                                    "ORDER BY e.row_id";
    return read_each(tx, kSql, {tenant}, tenant_name, sealing, each);
}

Result<void> each_sealed(Transaction& tx, std::int64_t tenant, KeyId key, Sequence after,
                         const std::function<void(RowId, const MemoryId&)>& each) {
    return tx.query(
        "SELECT row_id, id FROM entry WHERE key_id = $1 AND key_id <> 0 AND tenant_id = $2 AND "
        "sequence > $3 AND state <> 3 ORDER BY row_id",
        {key, tenant, after}, [&](const Row& row) {
            each(row.integer(0), MemoryId(row.text(1)));
            return true;
        });
}

Result<void> each_text(Transaction& tx, const std::function<void(std::string_view)>& each) {
    const auto read = [&](const Row& row) {
        each(row.text(0));
        return true;
    };
    DG_TRY(tx.query("SELECT content FROM entry WHERE content <> ''", {}, read));
    return tx.query("SELECT content FROM version", {}, read);
}

Result<void> blank_rows(Transaction& tx, std::string_view tenant_name, std::int64_t tenant,
                        Sequence sequence, const RowSet& rows, std::span<const Gone> gone,
                        std::vector<Change>& changes) {
    DG_TRY(tx.run(
        fmt::format("UPDATE entry SET state = 3, sequence = $2 + n.place, id = '', type = 0, "
                    "user_name = '', agent = '', session = '', run = '', content = '', "
                    "speaker = '', media_kind = 0, media_uri = '', metadata = '', created = "
                    "0, recorded = 0, valid_from = 0, valid_to = 0, expires = 0, importance "
                    "= 0, pinned = 0, sources = '', version = 0, change = 'forgotten', "
                    "changed_by = '', key_id = 0, sealed = NULL FROM (SELECT row_id, row_number() "
                    "OVER (ORDER BY "
                    "row_id) AS place FROM ({}) s) n WHERE entry.row_id = n.row_id AND "
                    "entry.tenant_id = $3",
                    rows.select),
        {rows.key, sequence, tenant}));
    std::vector<std::pair<std::int64_t, RowId>> marks;
    for (const Gone& one : gone) {
        for (const std::int64_t mark : one.marks) marks.emplace_back(mark, one.row);
        Change change{.row = one.row, .sequence = ++sequence, .gone = true};
        change.entry.scope.tenant = tenant_name;
        changes.push_back(std::move(change));
    }
    std::ranges::sort(marks);  // as they lie on the disk
    for (const auto& [mark, row] : marks) {
        DG_TRY(tx.run("DELETE FROM mark WHERE tenant_id = $1 AND mark = $2 AND row_id = $3",
                      {tenant, mark, row}));
    }
    return {};
}

Result<Erased> erase_beside(Transaction& tx, std::int64_t tenant, const RowSet& rows, RowId first,
                            RowId last) {
    const std::string of =
        fmt::format("FROM ({}) s WHERE row_id >= $2 AND row_id <= $3", rows.select);
    const auto erase = [&](std::string_view table) -> Result<std::uint64_t> {
        return static_cast<std::uint64_t>(DG_TRY(tx.run(
            fmt::format("DELETE FROM {} WHERE row_id IN (SELECT row_id {}) AND tenant_id = $4",
                        table, of),
            {rows.key, first, last, tenant})));
    };
    Erased erased;
    erased.versions = DG_TRY(erase("version"));
    erased.access_counts = DG_TRY(erase("access"));
    erased.embeddings = static_cast<std::uint64_t>(
        DG_TRY(tx.run(fmt::format("DELETE FROM embedding WHERE embedding_key IN (SELECT s.row_id * "
                                  "{} + m.model_id FROM model m, (SELECT row_id {}) s) AND "
                                  "tenant_id = $4",
                                  kModelsMax, of),
                      {rows.key, first, last, tenant})));
    DG_TRY(erase("unembedded"));
    return erased;
}

Result<std::uint64_t> erase_marks_of(Transaction& tx, std::int64_t tenant, const RowSet& rows,
                                     std::int64_t first, std::int64_t last) {
    return static_cast<std::uint64_t>(
        DG_TRY(tx.run(fmt::format("DELETE FROM mark WHERE tenant_id = $2 AND mark >= $3 AND mark "
                                  "<= $4 AND row_id IN ({})",
                                  rows.select),
                      {rows.key, tenant, first, last})));
}

Result<std::uint64_t> rows_left(Transaction& tx, std::int64_t tenant, const RowSet& rows) {
    std::uint64_t left = 0;
    const auto count = [&](std::string_view from_where) {
        return tx.query(
            fmt::format("SELECT count(*) FROM ({}) s CROSS JOIN {} AND o.tenant_id = $2",
                        rows.select, from_where),
            {rows.key, tenant}, [&](const Row& row) {
                left += static_cast<std::uint64_t>(row.integer(0));
                return true;
            });
    };
    DG_TRY(
        count("entry o WHERE o.row_id = s.row_id AND (o.content <> '' OR o.speaker <> '' OR "
              "o.metadata <> '' OR o.id <> '' OR o.sealed IS NOT NULL)"));
    DG_TRY(count("version o WHERE o.row_id = s.row_id"));
    DG_TRY(count("access o WHERE o.row_id = s.row_id"));
    DG_TRY(
        count(fmt::format("model m CROSS JOIN embedding o WHERE o.embedding_key = s.row_id * {} "
                          "+ m.model_id",
                          kModelsMax)));
    return left;
}

}  // namespace memory::truth
