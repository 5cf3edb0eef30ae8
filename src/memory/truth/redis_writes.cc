// Writes of short-term entries: each one transaction, planned again when another came between.
#include <fmt/format.h>

#include <algorithm>

#include "memory/truth/entry_change.h"
#include "memory/truth/half.h"
#include "memory/truth/memory_id.h"
#include "memory/truth/redis_truth.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::redis::Command;
using base::redis::Session;

constexpr std::size_t kSourcesMax = 256;
constexpr std::int64_t kDayS = 24ll * 3600;

}  // namespace

Result<Written> RedisTruth::add(std::span<const NewEntry> entries, std::string_view by,
                                std::string_view model, const Also& also) {
    DG_CHECK(!also, "nothing is written together with short-term entries");
    if (entries.empty()) return Written{};
    const std::string& tenant = entries.front().scope.tenant;
    DG_TRY(know(tenant));
    Written written;
    DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
        written = {};
        std::map<std::string, Added> asked;  // idempotency keys of this batch
        for (const NewEntry& entry : entries) {
            written.added.push_back(
                DG_TRY(add_one(draft, keys, entry, by, model, asked, written.changes)));
        }
        return {};
    }));
    return written;
}

Result<Change> RedisTruth::update(std::string_view tenant, const MemoryId& id,
                                  const EntryPatch& patch, std::string_view by) {
    Change out;
    DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
        const StoredEntry before = DG_TRY(live(draft, tenant, id));
        StoredEntry stored = before;
        const std::uint32_t version = stored.entry.version;
        if (patch.expected_version && *patch.expected_version != version) {
            return fail(Code::failed_precondition,
                        "memory {} has version {} by now, not {}; read it again and repeat", id,
                        version, *patch.expected_version);
        }
        Entry& entry = stored.entry;
        apply(patch, entry, now());
        DG_TRY(check_entry(as_written(entry, patch.ttl_ms.value_or(0)),
                           {.content_bytes_max = content_bytes_max_}));
        if (entry.content != before.entry.content || entry.speaker != before.entry.speaker) {
            draft.unmark(mark_of(before.entry));
            draft.mark(mark_of(entry), stored.row);
            DG_TRY(forget_vectors(draft, keys, stored.row));
            draft.write({"SADD", keys("bare"), std::to_string(stored.row)});
        }
        draft.replace(before, stored, "updated", by, now());
        out = change_of(stored);
        return {};
    }));
    return out;
}

Result<Change> RedisTruth::remove(std::string_view tenant, const MemoryId& id,
                                  std::string_view by) {
    Change out;
    DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys&) -> Result<void> {
        const StoredEntry before = DG_TRY(live(draft, tenant, id));
        out = take_out(draft, before, RowState::removed, by);
        return {};
    }));
    return out;
}

Result<Change> RedisTruth::restore(std::string_view tenant, const MemoryId& id,
                                   std::uint32_t version, std::string_view by) {
    Change out;
    DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
        const StoredEntry present = DG_TRY(any(draft, tenant, id));
        std::optional<StoredEntry> found;
        if (present.entry.version == version) found = present;
        for (StoredEntry& old : DG_TRY(versions(draft, keys, tenant, present.row))) {
            if (old.entry.version == version) found = std::move(old);
        }
        if (!found) {
            return fail(Code::not_found,
                        "memory {} has no version {} any more: the last is {}; its history "
                        "lists those kept",
                        id, version, present.entry.version);
        }
        StoredEntry stored = std::move(*found);
        if (present.state == RowState::live) draft.unmark(mark_of(present.entry));
        stored.state = RowState::live;
        stored.entry.version = present.entry.version;
        if (expired(stored.entry, now())) stored.entry.expires_unix_ms = 0;
        draft.mark(mark_of(stored.entry), stored.row);
        if (stored.entry.content != present.entry.content ||
            stored.entry.speaker != present.entry.speaker) {
            DG_TRY(forget_vectors(draft, keys, stored.row));
        }
        draft.replace(present, stored, "restored", by, now());
        draft.write({"SADD", keys("bare"), std::to_string(stored.row)});
        out = change_of(stored);
        return {};
    }));
    return out;
}

Result<void> RedisTruth::change(std::string_view tenant, const Make& make) {
    const SessionKeys keys = keys_of(tenant);
    return redis_->transact(keys("meta"), [&](Session& session) -> Result<std::vector<Command>> {
        SessionDraft draft(session, keys, tenant);
        DG_TRY(draft.begin());
        DG_TRY(make(draft, keys));
        return draft.finish();
    });
}

Result<void> RedisTruth::know(const std::string& tenant) {
    {
        const std::lock_guard lock(mutex_);
        if (known_.contains(tenant)) return {};
    }
    DG_TRY(redis_->read([&](Session& session) -> Result<void> {
        DG_TRY(session.run({"SADD", redis_->prefix() + ":tenants", tenant}));
        return {};
    }));
    const std::lock_guard lock(mutex_);
    known_.insert(tenant);
    return {};
}

Result<Added> RedisTruth::add_one(SessionDraft& draft, const SessionKeys& keys,
                                  const NewEntry& entry, std::string_view by,
                                  std::string_view model, std::map<std::string, Added>& asked,
                                  std::vector<Change>& changes) {
    const std::string key = entry.idempotency_key.empty() ? "" : keys.key(entry.idempotency_key);
    if (!key.empty()) {
        if (const auto done = asked.find(key); done != asked.end()) {
            return Added{done->second.id, done->second.version, Added::How::repeated};
        }
        const std::string before = DG_TRY(draft.run({"GET", key})).text;
        if (const std::size_t space = before.find(' '); space != std::string::npos) {
            return Added{
                before.substr(0, space),
                static_cast<std::uint32_t>(number(std::string_view(before).substr(space + 1))),
                Added::How::repeated};
        }
    }
    const UnixMs at = now();
    const UnixMs created = entry.created_unix_ms != 0 ? entry.created_unix_ms : at;
    const std::int64_t mark =
        marks_of(entry.scope, entry.type, entry.content, entry.speaker, created)[0];
    Added added;
    if (auto same = DG_TRY(find_same(draft, entry, mark, at))) {
        added = merge(draft, std::move(*same), entry, by, changes);
    } else {
        StoredEntry stored = stored_of(entry, 0, by, at, created);
        stored.row = draft.new_row();
        {
            const std::lock_guard lock(mutex_);
            stored.entry.id = make_id(at, stored.row, chance_.next());
        }
        draft.put(stored);
        draft.mark(mark, stored.row);
        const std::string row = std::to_string(stored.row), half = to_half(entry.embedding);
        if (!model.empty() && half.empty()) draft.write({"SADD", keys("bare"), row});
        if (!model.empty() && !half.empty()) {
            draft.write({"HSET", keys.vectors(model), row, half});
        }
        changes.push_back(change_of(stored));
        if (!model.empty()) changes.back().embedding = from_half(half);
        added = {stored.entry.id, 1, Added::How::added};
    }
    if (!key.empty()) {
        draft.write({"SET", key, fmt::format("{} {}", added.id, added.version), "EX",
                     std::to_string(kDayS)});
        asked.emplace(key, added);
    }
    return added;
}

Result<std::optional<StoredEntry>> RedisTruth::find_same(SessionDraft& draft, const NewEntry& entry,
                                                         std::int64_t mark, UnixMs at) {
    if (entry.created_unix_ms == 0) return std::nullopt;
    const RowId row = DG_TRY(draft.marked(mark));
    if (row == 0) return std::nullopt;
    auto kept = DG_TRY(draft.load(row));
    const bool same = kept && kept->state == RowState::live && !expired(kept->entry, at) &&
                      says_the_same(kept->entry, entry) &&
                      kept->entry.sources.size() + entry.sources.size() <= kSourcesMax;
    if (!same) return std::nullopt;
    return kept;
}

Added RedisTruth::merge(SessionDraft& draft, StoredEntry kept, const NewEntry& entry,
                        std::string_view by, std::vector<Change>& changes) {
    const StoredEntry before = kept;
    Entry& into = kept.entry;
    for (const SourceSpan& source : entry.sources) {
        if (std::ranges::find(into.sources, source) == into.sources.end()) {
            into.sources.push_back(source);
        }
    }
    into.importance = std::max(into.importance, entry.importance);
    const UnixMs until = entry.ttl_ms != 0 ? now() + entry.ttl_ms : 0;
    if (into.expires_unix_ms != 0 && (until == 0 || until > into.expires_unix_ms)) {
        into.expires_unix_ms = until;
    }
    if (into.sources != before.entry.sources || into.importance != before.entry.importance) {
        draft.replace(before, kept, "merged", by, now());
    } else if (into.expires_unix_ms != before.entry.expires_unix_ms) {
        draft.put(kept);
    } else {
        return {into.id, into.version, Added::How::merged};
    }
    changes.push_back(change_of(kept));
    return {into.id, into.version, Added::How::merged};
}

Change RedisTruth::take_out(SessionDraft& draft, const StoredEntry& before, RowState state,
                            std::string_view by) {
    StoredEntry stored = before;
    draft.unmark(mark_of(before.entry));
    stored.state = state;
    draft.replace(before, stored, "removed", by, now());
    return change_of(stored);
}

Result<StoredEntry> RedisTruth::any(SessionDraft& draft, std::string_view tenant,
                                    const MemoryId& id) {
    const auto row = row_of(id);
    if (!row) return no_such(tenant, id);
    auto stored = DG_TRY(draft.load(*row));
    if (!stored || stored->entry.id != id) return no_such(tenant, id);
    return std::move(*stored);
}

Result<StoredEntry> RedisTruth::live(SessionDraft& draft, std::string_view tenant,
                                     const MemoryId& id) {
    StoredEntry stored = DG_TRY(any(draft, tenant, id));
    if (stored.state != RowState::live || expired(stored.entry, now())) {
        return no_such(tenant, id);
    }
    return stored;
}

}  // namespace memory::truth
