// Adding: what can be computed before is, so that the one who writes for many only writes.
#include <algorithm>

#include "memory/truth/entry_change.h"
#include "memory/truth/half.h"
#include "memory/truth/memory_id.h"
#include "memory/truth/shard.h"
#include "memory/truth/similar.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
using base::store::Row;

constexpr std::size_t kSourcesMax = 256;
constexpr std::int64_t kDayMs = 24ll * 3600 * 1000;

}  // namespace

struct Shard::Prepared {
    std::vector<std::int64_t> marks;  // plain
    std::string half;
    std::vector<float> embedding;  // as it will be read again
    UnixMs now = 0, created = 0;
};

Result<Written> Shard::exchange(std::string_view tenant_name, std::span<const MemoryId> gone,
                                std::span<const NewEntry> entries, std::string_view by,
                                std::string_view model, const Truth::Also& also) {
    std::vector<Prepared> prepared;
    const UnixMs at = now();
    for (const NewEntry& entry : entries) {
        if (entry.scope.tenant != tenant_name) {
            return fail_on("scope.tenant", Code::invalid_argument,
                           "a batch is of one tenant, this one has {} and {}", tenant_name,
                           entry.scope.tenant);
        }
        const UnixMs created = entry.created_unix_ms != 0 ? entry.created_unix_ms : at;
        std::string half = to_half(entry.embedding);
        std::vector<float> embedding = model.empty() ? std::vector<float>{} : from_half(half);
        prepared.push_back(
            {marks_of(entry.scope, entry.type, entry.content, entry.speaker, created),
             std::move(half), std::move(embedding), at, created});
    }
    DG_TRY(need_tail());
    Written written;
    std::int64_t tenant = 0, wanted = 0;
    std::uint64_t model_changes = 0;
    std::vector<RowId> made, undone;  // a group may have to run again
    const Result<void> wrote = store_->write([&](Tx& tx) -> Result<void> {
        undone.insert(undone.end(), made.begin(), made.end());
        made.clear();
        written = {};
        tenant = DG_TRY(tenant_number_or_new(tx, tenant_name));
        wanted = DG_TRY(want_model(tx, model));
        {
            std::lock_guard lock(mutex_);
            model_changes = model_changes_;
        }
        for (const MemoryId& id : gone) {
            auto removed = remove_one(tx, tenant_name, id, by);
            if (!removed && removed.error().code == Code::not_found) continue;
            written.changes.push_back(DG_TRY(std::move(removed)));
        }
        const auto count = static_cast<std::int64_t>(entries.size());
        Numbers numbers = DG_TRY(take_numbers(tx, count, count));
        for (std::size_t i = 0; i < entries.size(); ++i) {
            written.added.push_back(DG_TRY(add_one(tx, entries[i], prepared[i], tenant, wanted, by,
                                                   numbers, written.changes)));
            if (written.added.back().how == Added::How::added) {
                made.push_back(written.changes.back().row);
            }
        }
        if (also) DG_TRY(also(tx, written.added));
        return {};
    });
    for (const RowId row : undone) tail_.forget(row);
    for (const RowId row : made) {
        if (wrote)
            tail_.confirm(row);
        else
            tail_.forget(row);
    }
    DG_TRY(wrote);
    remember(tenant_name, tenant);
    remember_model(model, wanted, model_changes);
    return written;
}

Result<Added> Shard::add_one(Tx& tx, const NewEntry& entry, const Prepared& prepared,
                             std::int64_t tenant, std::int64_t model, std::string_view by,
                             Numbers& numbers, std::vector<Change>& changes) {
    const std::string_view key = entry.idempotency_key;
    if (!key.empty()) {
        Added before;
        DG_TRY(tx.query(
            "SELECT id, version FROM idempotency WHERE tenant_id = $1 AND request_key = "
            "$2 AND written > $3",
            {tenant, key, prepared.now - kDayMs}, [&](const Row& row) {
                before = {std::string(row.text(0)), static_cast<std::uint32_t>(row.integer(1)),
                          Added::How::repeated};
                return true;
            }));
        if (!before.id.empty()) return before;
    }
    Added added;
    const KeyId with = DG_TRY(sealing_->key_for(entry.scope));
    const auto marks = DG_TRY(sealing_->marks(with, prepared.marks));
    if (auto same = DG_TRY(find_same(tx, entry, prepared, marks, tenant))) {
        added = DG_TRY(merge(tx, std::move(*same), entry, by, numbers, changes));
    } else {
        StoredEntry stored = stored_of(entry, tenant, by, prepared.now, prepared.created);
        stored.key = with;
        stored.row = ++numbers.row;
        stored.sequence = ++numbers.sequence;
        {
            std::lock_guard lock(mutex_);
            stored.entry.id = make_id(numbers.id_time, stored.row, chance_.next());
        }
        DG_TRY(insert_entry(tx, stored, *sealing_));
        if (alone_) {
            tail_.add(tenant, stored.row, marks);
        } else {
            DG_TRY(write_marks(tx, tenant, stored.row, marks));
        }
        if (model != 0 && entry.embedding.empty()) {
            DG_TRY(want_embedding(tx, tenant, stored.row));
        } else if (model != 0) {
            DG_TRY(write_vector(tx, embedding_key(stored.row, model), tenant, with, prepared.half,
                                *sealing_));
        }
        added = {stored.entry.id, 1, Added::How::added};
        // As it will be read again, so that an index built now equals one built later.
        changes.push_back({.row = stored.row,
                           .sequence = stored.sequence,
                           .entry = std::move(stored.entry),
                           .embedding = prepared.embedding});
    }
    if (!key.empty()) {
        DG_TRY(tx.run(
            "INSERT INTO idempotency(tenant_id, request_key, written, id, version) VALUES "
            "($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, request_key) DO UPDATE SET "
            "written = excluded.written, id = excluded.id, version = excluded.version",
            {tenant, key, prepared.now, std::string_view(added.id), std::int64_t{added.version}}));
    }
    return added;
}

Result<std::optional<StoredEntry>> Shard::find_same(Tx& tx, const NewEntry& entry,
                                                    const Prepared& prepared,
                                                    std::span<const std::int64_t> marks,
                                                    std::int64_t tenant) {
    if (is_event(entry.type) && entry.created_unix_ms == 0) return std::nullopt;
    std::vector<RowId> rows = DG_TRY(candidates(tx, tenant, marks));
    if (sealing_->mixed()) {  // those that are kept in the other way
        const KeyId other = sealing_->seals() ? 0 : DG_TRY(sealing_->keys()->known(entry.scope));
        const bool is_other = sealing_->seals() || other != 0;
        if (is_other) {
            const auto others = DG_TRY(sealing_->marks(other, prepared.marks));
            for (const RowId row : DG_TRY(candidates(tx, tenant, others))) rows.push_back(row);
        }
    }
    for (const RowId row : rows) {
        auto kept = DG_TRY(load(tx, entry.scope.tenant, tenant, row));
        if (kept && kept->state == RowState::live && !expired(kept->entry, prepared.now) &&
            says_the_same(kept->entry, entry) &&
            kept->entry.sources.size() + entry.sources.size() <= kSourcesMax) {
            return kept;
        }
    }
    return std::nullopt;
}

Result<Added> Shard::merge(Tx& tx, StoredEntry kept, const NewEntry& entry, std::string_view by,
                           Numbers& numbers, std::vector<Change>& changes) {
    Entry& into = kept.entry;
    const Entry before = into;
    for (const SourceSpan& source : entry.sources) {
        if (std::find(into.sources.begin(), into.sources.end(), source) == into.sources.end()) {
            into.sources.push_back(source);
        }
    }
    into.importance = std::max(into.importance, entry.importance);
    const bool changed = into.sources != before.sources || into.importance != before.importance;
    const UnixMs until = entry.ttl_ms != 0 ? now() + entry.ttl_ms : 0;
    // What is said again lives on.
    if (into.expires_unix_ms != 0 && (until == 0 || until > into.expires_unix_ms)) {
        into.expires_unix_ms = until;
    }
    ++numbers.sequence;
    if (changed) {
        DG_TRY(replace(tx, kept, "merged", by, numbers));
    } else if (into.expires_unix_ms != before.expires_unix_ms) {
        // No version: it says nothing new.
        kept.sequence = numbers.sequence;
        DG_TRY(update_entry(tx, kept, *sealing_));
    } else {
        return Added{into.id, into.version, Added::How::merged};
    }
    const Added added{into.id, into.version, Added::How::merged};
    changes.push_back(DG_TRY(change_of(tx, kept)));
    return added;
}

}  // namespace memory::truth
