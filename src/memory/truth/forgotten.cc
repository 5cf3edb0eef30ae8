#include "memory/truth/forgotten.h"

#include <algorithm>
#include <utility>

namespace memory::truth {
namespace {

using base::Result;
using base::store::Row;
using base::store::Transaction;

Result<void> read_each(Transaction& tx, const std::string& sql,
                       std::initializer_list<base::store::Parameter> parameters,
                       std::string_view tenant_name, const EachStored& each) {
    Result<void> done;
    DG_TRY(tx.query(sql, parameters, [&](const Row& columns) {
        auto stored = read_entry(columns, tenant_name);
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
                          Sequence after, const EachStored& each) {
    static const std::string kSql =
        kSelectColumns + kFromEntry +
        " WHERE e.tenant_id = $1 AND e.sequence > $2 AND e.state <> 3 ORDER BY e.sequence";
    return read_each(tx, kSql, {tenant, after}, tenant_name, each);
}

Result<void> each_former(Transaction& tx, std::string_view tenant_name, std::int64_t tenant,
                         const EachStored& each) {
    static const std::string kSql =
        kSelectColumns +
        " FROM version e LEFT JOIN access a ON a.row_id = e.row_id AND a.tenant_id = e.tenant_id "
        "WHERE e.tenant_id = $1";
    return read_each(tx, kSql, {tenant}, tenant_name, each);
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
                        Sequence sequence, std::span<const Gone> gone,
                        std::vector<Change>& changes) {
    std::vector<std::pair<std::int64_t, RowId>> marks;
    for (const Gone& one : gone) {
        DG_TRY(
            tx.run("UPDATE entry SET state = 3, sequence = $3, id = '', type = 0, user_name = '', "
                   "agent = '', session = '', run = '', content = '', speaker = '', media_kind = "
                   "0, media_uri = '', metadata = '', created = 0, recorded = 0, valid_from = 0, "
                   "valid_to = 0, expires = 0, importance = 0, pinned = 0, sources = '', version = "
                   "0, change = 'forgotten', changed_by = '' WHERE row_id = $1 AND tenant_id = $2",
                   {one.row, tenant, ++sequence}));
        for (const std::int64_t mark : one.marks) marks.emplace_back(mark, one.row);
        Change change{.row = one.row, .sequence = sequence, .gone = true};
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

Result<Erased> erase_beside(Transaction& tx, std::int64_t tenant, std::span<const RowId> rows) {
    Erased erased;
    const auto count = [](Result<std::int64_t> changed, std::uint64_t& to) -> Result<void> {
        to += static_cast<std::uint64_t>(DG_TRY(std::move(changed)));
        return {};
    };
    for (const RowId row : rows) {
        DG_TRY(
            count(tx.run("DELETE FROM version WHERE row_id = $1 AND tenant_id = $2", {row, tenant}),
                  erased.versions));
        DG_TRY(
            count(tx.run("DELETE FROM access WHERE row_id = $1 AND tenant_id = $2", {row, tenant}),
                  erased.access_counts));
        DG_TRY(count(tx.run("DELETE FROM embedding WHERE embedding_key >= $1 AND embedding_key < "
                            "$2 AND tenant_id = $3",
                            {embedding_key(row, 0), embedding_key(row + 1, 0), tenant}),
                     erased.embeddings));
        DG_TRY(
            tx.run("DELETE FROM unembedded WHERE row_id = $1 AND tenant_id = $2", {row, tenant}));
    }
    return erased;
}

Result<std::uint64_t> rows_left(Transaction& tx, std::int64_t tenant, std::span<const RowId> rows) {
    std::uint64_t left = 0;
    const auto count = [&](const Row&) {
        ++left;
        return true;
    };
    for (const RowId row : rows) {
        DG_TRY(
            tx.query("SELECT 1 FROM entry WHERE row_id = $1 AND (content <> '' OR speaker <> "
                     "'' OR metadata <> '' OR id <> '')",
                     {row}, count));
        DG_TRY(tx.query("SELECT 1 FROM version WHERE row_id = $1", {row}, count));
        DG_TRY(tx.query("SELECT 1 FROM access WHERE row_id = $1 AND tenant_id = $2", {row, tenant},
                        count));
        DG_TRY(tx.query("SELECT 1 FROM embedding WHERE embedding_key >= $1 AND embedding_key < $2",
                        {embedding_key(row, 0), embedding_key(row + 1, 0)}, count));
    }
    return left;
}

}  // namespace memory::truth
