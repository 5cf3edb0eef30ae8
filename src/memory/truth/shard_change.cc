// Changing, removing and bringing back one entry.
#include "memory/truth/entry_change.h"
#include "memory/truth/shard.h"
#include "memory/truth/similar.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::store::Row;

}  // namespace

Result<void> Shard::replace(Tx& tx, StoredEntry& stored, std::string_view change,
                            std::string_view by, const Numbers& numbers) {
    const UnixMs at = now();
    DG_TRY(tx.run(kCopyVersion, {stored.row, stored.tenant, at}));
    ++stored.entry.version;
    stored.entry.recorded_unix_ms = at;
    stored.sequence = numbers.sequence;
    stored.change = change;
    stored.by = by;
    DG_TRY(update_entry(tx, stored, *sealing_));
    return {};
}

Result<Change> Shard::change_of(Tx& tx, const StoredEntry& stored) {
    Change change{.row = stored.row, .sequence = stored.sequence, .entry = stored.entry};
    const std::int64_t model = DG_TRY(wanted_model(tx));
    if (model != 0) {
        change.embedding = DG_TRY(embedding_of(tx, stored.tenant, stored.row, model));
    }
    return change;
}

Result<Change> Shard::update(std::string_view tenant, const MemoryId& id, const EntryPatch& patch,
                             std::string_view by) {
    Change change;
    DG_TRY(store_->write([&](Tx& tx) -> Result<void> {
        StoredEntry stored = DG_TRY(load_live(tx, tenant, id));
        const std::uint32_t version = stored.entry.version;
        if (patch.expected_version && *patch.expected_version != version) {
            return fail(Code::failed_precondition,
                        "memory {} has version {} by now, not {}; read it again and repeat", id,
                        version, *patch.expected_version);
        }
        const StoredEntry before = stored;
        Entry& entry = stored.entry;
        apply(patch, entry, now());
        DG_TRY(check_entry(as_written(entry, patch.ttl_ms.value_or(0)),
                           {.content_bytes_max = limits_.content_bytes_max}));
        Numbers numbers = DG_TRY(take_numbers(tx, 0, 1));
        ++numbers.sequence;
        const bool reads_otherwise =
            entry.content != before.entry.content || entry.speaker != before.entry.speaker;
        if (reads_otherwise || entry.type != before.entry.type) {
            DG_TRY(erase_marks(tx, before));
            DG_TRY(write_marks(tx, stored.tenant, stored.row, DG_TRY(kept_marks(stored))));
        }
        if (reads_otherwise) {
            DG_TRY(forget_embeddings(tx, stored.tenant, stored.row));
            DG_TRY(want_embedding(tx, stored.tenant, stored.row));
        }
        DG_TRY(replace(tx, stored, "updated", by, numbers));
        change = DG_TRY(change_of(tx, stored));
        return {};
    }));
    return change;
}

Result<Change> Shard::remove_one(Tx& tx, std::string_view tenant, const MemoryId& id,
                                 std::string_view by) {
    StoredEntry stored = DG_TRY(load_live(tx, tenant, id));
    DG_TRY(erase_marks(tx, stored));
    DG_TRY(tx.run("DELETE FROM unembedded WHERE row_id = $1 AND tenant_id = $2",
                  {stored.row, stored.tenant}));
    stored.state = RowState::removed;
    Numbers numbers = DG_TRY(take_numbers(tx, 0, 1));
    ++numbers.sequence;
    DG_TRY(replace(tx, stored, "removed", by, numbers));
    return Change{.row = stored.row,
                  .sequence = stored.sequence,
                  .gone = true,
                  .entry = std::move(stored.entry)};
}

Result<Change> Shard::remove(std::string_view tenant, const MemoryId& id, std::string_view by) {
    Change change;
    DG_TRY(store_->write([&](Tx& tx) -> Result<void> {
        change = DG_TRY(remove_one(tx, tenant, id, by));
        return {};
    }));
    return change;
}

Result<Change> Shard::restore(std::string_view tenant, const MemoryId& id, std::uint32_t version,
                              std::string_view by) {
    static const std::string kSql =
        kSelectColumns +
        " FROM version e LEFT JOIN access a ON a.row_id = e.row_id AND a.tenant_id = e.tenant_id "
        "WHERE e.row_id = $1 AND e.tenant_id = $2 AND e.version = $3";
    Change change;
    DG_TRY(store_->write([&](Tx& tx) -> Result<void> {
        const StoredEntry present = DG_TRY(load_any(tx, tenant, id));
        std::optional<Result<StoredEntry>> found;
        if (present.entry.version == version) found = present;
        DG_TRY(tx.query(kSql, {present.row, present.tenant, std::int64_t{version}},
                        [&](const Row& row) {
                            found = read_entry(row, tenant, *sealing_);
                            return true;
                        }));
        if (!found) {
            return fail(Code::not_found,
                        "memory {} has no version {} any more: the last is {}; its history lists "
                        "those kept",
                        id, version, present.entry.version);
        }
        StoredEntry stored = DG_TRY(std::move(*found));
        if (present.state == RowState::live) DG_TRY(erase_marks(tx, present));
        Entry& entry = stored.entry;
        stored.state = RowState::live;
        entry.version = present.entry.version;
        stored.key = present.key;
        // Who brings it back wants it to stay.
        if (expired(entry, now())) entry.expires_unix_ms = 0;
        Numbers numbers = DG_TRY(take_numbers(tx, 0, 1));
        ++numbers.sequence;
        DG_TRY(write_marks(tx, stored.tenant, stored.row, DG_TRY(kept_marks(stored))));
        if (entry.content != present.entry.content || entry.speaker != present.entry.speaker) {
            DG_TRY(forget_embeddings(tx, stored.tenant, stored.row));
        }
        DG_TRY(replace(tx, stored, "restored", by, numbers));
        change = DG_TRY(change_of(tx, stored));
        if (change.embedding.empty()) DG_TRY(want_embedding(tx, stored.tenant, stored.row));
        return {};
    }));
    return change;
}

}  // namespace memory::truth
