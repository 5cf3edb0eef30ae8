// Keys of a shard, and what was written before it had any.
#include "memory/truth/shard.h"

namespace memory::truth {
namespace {

using base::Result;
using base::store::Row;

constexpr std::int64_t kRowsAtOnce = 200;  // of one transaction: others write in between

}  // namespace

Result<void> Shard::open_keys(const std::string& location) {
    bool is_sealed = false;
    DG_TRY(store_->read([&](Tx& tx) {
        return tx.query("SELECT 1 FROM entry WHERE key_id <> 0 LIMIT 1", {},
                        [&](const Row&) { return is_sealed = true; });
    }));
    const bool all = DG_TRY(meta("sealed")) == "all";
    if (all && !limits_.seals) DG_TRY(set_meta("sealed", ""));
    if (!limits_.seals && !is_sealed) return {};
    const std::string of_keys = store_->shared() ? location : location + ".keys";
    auto keys = DG_TRY(SubjectKeys::open(of_keys, limits_.key_file));
    sealing_ = std::make_unique<Sealing>(std::move(keys), limits_.seals, all && limits_.seals);
    return {};
}

Result<bool> Shard::seal_some() {
    if (!sealing_->seals() || sealing_->all()) return false;
    static const std::string kSql =
        kSelectColumns + ", t.name" + kFromEntry +
        " JOIN tenant t ON t.tenant_id = e.tenant_id WHERE e.row_id > $1 AND e.key_id = 0 AND "
        "e.state <> 3 ORDER BY e.row_id LIMIT $2";
    RowId last = sealed_to_;
    sealing_->begin_rewrite();
    const Result<void> sealed = store_->write([&](Tx& tx) -> Result<void> {
        std::vector<StoredEntry> rows;
        Result<void> read;
        DG_TRY(tx.query(kSql, {sealed_to_, kRowsAtOnce}, [&](const Row& row) {
            auto stored = read_entry(row, row.text(kColumns + 2), *sealing_);
            if (stored)
                rows.push_back(std::move(*stored));
            else
                read = std::unexpected(stored.error());
            return read.has_value();
        }));
        DG_TRY(read);
        last = rows.empty() ? sealed_to_ : rows.back().row;
        for (StoredEntry& stored : rows) DG_TRY(seal_row(tx, std::move(stored)));
        return {};
    });
    sealing_->end_rewrite();
    DG_TRY(sealed);
    if (std::exchange(sealed_to_, last) != last) return true;
    // Pages that held it in plain still do.
    DG_TRY(store_->scrub());
    DG_TRY(set_meta("sealed", "all"));
    sealing_->now_all();
    return false;
}

Result<void> Shard::seal_row(Tx& tx, StoredEntry&& stored) {
    const bool is_live = stored.state == RowState::live;
    if (is_live) DG_TRY(erase_marks(tx, stored));
    stored.key = DG_TRY(sealing_->key_for(stored.entry.scope));
    DG_TRY(update_entry(tx, stored, *sealing_));
    if (is_live) DG_TRY(write_marks(tx, stored.tenant, stored.row, DG_TRY(kept_marks(stored))));

    static const std::string kVersions =
        kSelectColumns +
        " FROM version e LEFT JOIN access a ON a.row_id = e.row_id AND a.tenant_id = e.tenant_id "
        "WHERE e.row_id = $1 AND e.tenant_id = $2 AND e.key_id = 0";
    std::vector<StoredEntry> versions;
    Result<void> read;
    DG_TRY(tx.query(kVersions, {stored.row, stored.tenant}, [&](const Row& row) {
        auto version = read_entry(row, stored.entry.scope.tenant, *sealing_);
        if (version)
            versions.push_back(std::move(*version));
        else
            read = std::unexpected(version.error());
        return read.has_value();
    }));
    DG_TRY(read);
    for (StoredEntry& version : versions) {
        version.key = stored.key;
        DG_TRY(update_version(tx, version, *sealing_));
    }

    std::vector<std::pair<std::int64_t, std::string>> vectors;
    DG_TRY(
        tx.query("SELECT embedding_key, vector FROM embedding WHERE embedding_key >= $1 AND "
                 "embedding_key < $2 AND tenant_id = $3 AND key_id = 0",
                 {embedding_key(stored.row, 0), embedding_key(stored.row + 1, 0), stored.tenant},
                 [&](const Row& row) {
                     vectors.emplace_back(row.integer(0), row.text(1));
                     return true;
                 }));
    for (const auto& [key, half] : vectors) {
        DG_TRY(write_vector(tx, key, stored.tenant, stored.key, half, *sealing_));
    }
    return {};
}

}  // namespace memory::truth
