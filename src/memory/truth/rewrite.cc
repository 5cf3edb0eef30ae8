#include "memory/truth/rewrite.h"

#include "memory/truth/memory_id.h"
#include "memory/truth/similar.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::store::Row;
using base::store::Transaction;

/// None: no such entry.
Result<std::optional<StoredEntry>> load(Transaction& tx, const Rewrite& how, const MemoryId& id) {
    static const std::string kSql =
        kSelectColumns + kFromEntry + " WHERE e.row_id = $1 AND e.tenant_id = $2 AND e.id = $3";
    std::optional<Result<StoredEntry>> found;
    DG_TRY(tx.query(kSql, {row_of(id).value_or(0), how.tenant, std::string_view(id)},
                    [&](const Row& row) {
                        found = read_entry(row, how.tenant_name, how.sealing);
                        return true;
                    }));
    if (!found) return std::nullopt;
    return DG_TRY(std::move(*found));
}

/// As they are kept beside it.
Result<std::vector<std::int64_t>> marks(const Rewrite& how, const StoredEntry& stored) {
    const Entry& entry = stored.entry;
    return how.sealing.marks(stored.key, marks_of(entry.scope, entry.type, entry.content,
                                                  entry.speaker, entry.created_unix_ms));
}

/// Keeps the state before as a version.
Result<void> write(Transaction& tx, const Rewrite& how, StoredEntry& stored,
                   std::string_view change, Sequence sequence) {
    DG_TRY(tx.run(kCopyVersion, {stored.row, stored.tenant, how.now}));
    ++stored.entry.version;
    stored.entry.recorded_unix_ms = how.now;
    stored.sequence = sequence;
    stored.change = change;
    stored.by = how.by;
    return update_entry(tx, stored, how.sealing);
}

}  // namespace

Result<Change> remove_entry(Transaction& tx, const Rewrite& how, const MemoryId& id,
                            std::uint32_t version, Sequence sequence) {
    auto stored = DG_TRY(load(tx, how, id));
    if (stored && stored->entry.version == version) {
        auto change = DG_TRY(remove_any(tx, how, id, sequence));
        if (change) return std::move(*change);
    }
    return fail(Code::failed_precondition,
                "memory {} was changed meanwhile; nothing was done, ask again", id);
}

Result<std::optional<Change>> remove_any(Transaction& tx, const Rewrite& how, const MemoryId& id,
                                         Sequence sequence) {
    auto stored = DG_TRY(load(tx, how, id));
    if (!stored || stored->state != RowState::live) return std::nullopt;
    for (const std::int64_t mark : DG_TRY(marks(how, *stored))) {
        DG_TRY(tx.run("DELETE FROM mark WHERE tenant_id = $1 AND mark = $2 AND row_id = $3",
                      {stored->tenant, mark, stored->row}));
    }
    DG_TRY(tx.run("DELETE FROM unembedded WHERE row_id = $1 AND tenant_id = $2",
                  {stored->row, stored->tenant}));
    stored->state = RowState::removed;
    DG_TRY(write(tx, how, *stored, how.change, sequence));
    return Change{
        .row = stored->row, .sequence = sequence, .gone = true, .entry = std::move(stored->entry)};
}

Result<std::optional<Change>> revive_entry(Transaction& tx, const Rewrite& how, const MemoryId& id,
                                           Sequence sequence) {
    auto stored = DG_TRY(load(tx, how, id));
    if (!stored || stored->state != RowState::removed || stored->change != how.change) {
        return std::nullopt;
    }
    for (const std::int64_t mark : DG_TRY(marks(how, *stored))) {
        DG_TRY(
            tx.run("INSERT INTO mark(tenant_id, mark, row_id) VALUES ($1, $2, $3) ON CONFLICT "
                   "(tenant_id, mark, row_id) DO NOTHING",
                   {stored->tenant, mark, stored->row}));
    }
    // Its vector is made again: what another model has done meanwhile is not known here.
    DG_TRY(
        tx.run("INSERT INTO unembedded(row_id, tenant_id) VALUES ($1, $2) ON CONFLICT (row_id) DO "
               "NOTHING",
               {stored->row, stored->tenant}));
    stored->state = RowState::live;
    if (expired(stored->entry, how.now)) stored->entry.expires_unix_ms = 0;
    DG_TRY(write(tx, how, *stored, "restored", sequence));
    return Change{.row = stored->row, .sequence = sequence, .entry = std::move(stored->entry)};
}

Result<bool> is_live(Transaction& tx, std::string_view tenant_name, RowId row,
                     std::uint32_t version) {
    bool live = false;
    DG_TRY(
        tx.query("SELECT 1 FROM entry e JOIN tenant t ON t.tenant_id = e.tenant_id WHERE e.row_id "
                 "= $1 AND t.name = $2 AND e.state = 0 AND e.version = $3",
                 {row, tenant_name, std::int64_t{version}}, [&](const Row&) {
                     live = true;
                     return false;
                 }));
    return live;
}

}  // namespace memory::truth
