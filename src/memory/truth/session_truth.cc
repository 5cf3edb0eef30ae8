#include "memory/truth/session_truth.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/core/check.h"
#include "base/core/rng.h"
#include "memory/truth/entry_change.h"
#include "memory/truth/half.h"
#include "memory/truth/list_cursor.h"
#include "memory/truth/memory_id.h"
#include "memory/truth/session_codec.h"
#include "memory/truth/session_draft.h"
#include "memory/truth/similar.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::redis::Command;
using base::redis::Redis;
using base::redis::Reply;
using base::redis::Session;

constexpr std::uint32_t kConnections = 8;
constexpr std::size_t kSourcesMax = 256, kTouchedMax = 100'000;
constexpr std::int64_t kDayS = 24ll * 3600, kClaimMs = 60'000;
constexpr int kChangesAtOnce = 1'024, kSweepAtOnce = 1'000;

std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::unexpected<base::Error> no_such(std::string_view tenant, std::string_view id) {
    return fail(Code::not_found, "tenant {} has no memory {}", tenant, id);
}

class RedisTruth final : public SessionTruth {
public:
    RedisTruth(std::unique_ptr<Redis> redis, const StoreOptions& options, const base::Clock& clock)
        : redis_(std::move(redis)),
          content_bytes_max_(options.content_bytes_max),
          versions_keep_ms_(options.versions_keep_ms),
          clock_(clock),
          chance_(base::entropy64()),
          claimer_(std::to_string(chance_.next())) {}
    ~RedisTruth() override {
        static_cast<void>(flush_touches());
        if (claims_.empty()) return;
        // Those that are not embedded yet are others' to take; where this fails, in a minute.
        static_cast<void>(redis_->read([&](Session& session) -> Result<void> {
            Command give_up{"DEL"};
            for (const std::string& claim : claims_) {
                if (DG_TRY(session.run({"GET", claim})).text == claimer_) give_up.push_back(claim);
            }
            if (give_up.size() > 1) DG_TRY(session.run(give_up));
            return {};
        }));
    }

    Result<Written> add(std::span<const NewEntry> entries, std::string_view by,
                        std::string_view model, const Also& also) override {
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

    Result<Change> update(std::string_view tenant, const MemoryId& id, const EntryPatch& patch,
                          std::string_view by) override {
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

    Result<Change> remove(std::string_view tenant, const MemoryId& id,
                          std::string_view by) override {
        Change out;
        DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys&) -> Result<void> {
            const StoredEntry before = DG_TRY(live(draft, tenant, id));
            out = take_out(draft, before, RowState::removed, by);
            return {};
        }));
        return out;
    }

    Result<Change> restore(std::string_view tenant, const MemoryId& id, std::uint32_t version,
                           std::string_view by) override {
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

    Result<Entry> get(std::string_view tenant, const MemoryId& id) override {
        const auto row = row_of(id);
        std::optional<Entry> found;
        if (row) {
            DG_TRY(each_row(tenant, {&*row, 1},
                            [&](RowId, Entry&& entry) { found = std::move(entry); }));
        }
        if (!found || found->id != id) return no_such(tenant, id);
        return std::move(*found);
    }

    Result<void> each_row(std::string_view tenant, std::span<const RowId> rows,
                          const std::function<void(RowId, Entry&&)>& each) override {
        if (rows.empty()) return {};
        std::vector<StoredEntry> entries;
        DG_TRY(redis_->read([&](Session& session) -> Result<void> {
            entries = DG_TRY(load_rows(session, keys_of(tenant), tenant, rows));
            return {};
        }));
        for (StoredEntry& stored : entries) {
            if (stored.state == RowState::live && !expired(stored.entry, now())) {
                each(stored.row, std::move(stored.entry));
            }
        }
        return {};
    }

    Result<std::vector<EntryVersion>> history(std::string_view tenant,
                                              const MemoryId& id) override {
        std::vector<EntryVersion> out;
        DG_TRY(redis_->read([&](Session& session) -> Result<void> {
            const SessionKeys keys = keys_of(tenant);
            SessionDraft draft(session, keys, tenant);
            StoredEntry present = DG_TRY(any(draft, tenant, id));
            const RowId row = present.row;
            const auto keep = [&](StoredEntry&& stored) {
                const UnixMs recorded = stored.entry.recorded_unix_ms;
                out.push_back({std::move(stored.entry), std::move(stored.change),
                               std::move(stored.by), recorded});
            };
            keep(std::move(present));
            auto kept = DG_TRY(versions(draft, keys, tenant, row));
            for (auto old = kept.rbegin(); old != kept.rend(); ++old) keep(std::move(*old));
            return {};
        }));
        return out;
    }

    Result<Page> list(const Filter& filter, Order order, std::uint32_t limit,
                      std::string_view cursor) override {
        const Cursor after = DG_TRY(parse_cursor(cursor, order));
        const bool up = order == Order::created_ascending;
        std::vector<std::pair<Cursor, Entry>> found;
        const std::string_view tenant = filter.scope.tenant;
        DG_TRY(redis_->read([&](Session& session) -> Result<void> {
            const SessionKeys keys = keys_of(tenant);
            std::vector<RowId> rows;
            for (const Reply& row : DG_TRY(session.run({"HKEYS", keys("entries")})).list) {
                rows.push_back(number(row.text));
            }
            for (StoredEntry& stored : DG_TRY(load_rows(session, keys, tenant, rows))) {
                if (stored.state != RowState::live || !matches(filter, stored.entry, now())) {
                    continue;
                }
                const Cursor at{stored.entry.created_unix_ms, stored.row};
                if (up ? after_other(at, after) : after_other(after, at)) {
                    found.emplace_back(at, std::move(stored.entry));
                }
            }
            return {};
        }));
        std::ranges::sort(found, [&](const auto& a, const auto& b) {
            return up ? after_other(b.first, a.first) : after_other(a.first, b.first);
        });
        Page page;
        for (std::size_t i = 0; i < found.size() && i < limit; ++i) {
            page.entries.push_back(std::move(found[i].second));
        }
        if (found.size() > limit) page.next = cursor_text(found[limit - 1].first, order);
        return page;
    }

    Result<void> changes(std::string_view tenant, Sequence after, std::string_view model,
                         const std::function<bool(Change&&)>& each) override {
        std::vector<Change> some;
        do {
            some.clear();
            DG_TRY(redis_->read([&](Session& session) {
                return read_changes(session, tenant, after, model, some);
            }));
            for (Change& one : some) {
                after = one.sequence;
                if (!each(std::move(one))) return {};
            }
        } while (!some.empty());
        return {};
    }

    bool shared() const override { return true; }
    Result<Sequence> last_change(std::string_view tenant) override {
        Sequence last = 0;
        DG_TRY(redis_->read([&](Session& session) -> Result<void> {
            last = number(DG_TRY(session.run({"HGET", keys_of(tenant)("meta"), "sequence"})).text);
            return {};
        }));
        return last;
    }

    void touch(std::string_view tenant, std::span<const MemoryId> ids, UnixMs at) override {
        const std::lock_guard lock(mutex_);
        auto& touched = touched_[std::string(tenant)];
        for (const MemoryId& id : ids) {
            if (touched.size() >= kTouchedMax && !touched.contains(id)) continue;
            auto& one = touched[id];
            ++one.first;
            one.second = std::max(one.second, at);
        }
    }

    Result<void> flush_touches() override {
        decltype(touched_) taken;
        {
            const std::lock_guard lock(mutex_);
            taken.swap(touched_);
        }
        // What cannot be counted now is not: these are soon over.
        for (const auto& [tenant, ids] : taken) {
            DG_TRY(redis_->read([&](Session& session) { return count(session, tenant, ids); }));
        }
        return {};
    }

    Result<std::vector<Unembedded>> unembedded(std::string_view model,
                                               std::uint32_t limit) override {
        std::vector<Unembedded> out;
        {
            const std::lock_guard lock(mutex_);
            claims_.clear();
        }
        for (const std::string& tenant : DG_TRY(tenants())) {
            if (out.size() >= limit) break;
            DG_TRY(want(tenant, model));
            DG_TRY(redis_->read(
                [&](Session& session) { return take_bare(session, tenant, limit, out); }));
        }
        return out;
    }

    Result<std::uint64_t> embeddings_pending() override {
        std::uint64_t pending = 0;
        for (const std::string& tenant : DG_TRY(tenants())) {
            DG_TRY(redis_->read([&](Session& session) -> Result<void> {
                const auto count = DG_TRY(session.run({"SCARD", keys_of(tenant)("bare")}));
                pending += static_cast<std::uint64_t>(count.integer);
                return {};
            }));
        }
        return pending;
    }

    Result<std::vector<Change>> set_embeddings(std::string_view model,
                                               std::span<const Unembedded> rows,
                                               std::span<const float> vectors,
                                               std::uint32_t dims) override {
        std::vector<Change> out;
        std::map<std::string_view, std::vector<std::size_t>> by_tenant;
        for (std::size_t i = 0; i < rows.size(); ++i) by_tenant[rows[i].tenant].push_back(i);
        for (const auto& [tenant, places] : by_tenant) {
            std::vector<Change> made;
            DG_TRY(
                change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
                    made.clear();
                    for (const std::size_t i : places) {
                        auto stored = DG_TRY(draft.load(rows[i].row));
                        if (!stored || stored->state != RowState::live ||
                            stored->entry.version != rows[i].version) {
                            continue;
                        }
                        const std::string row = std::to_string(stored->row);
                        const std::string half = to_half(vectors.subspan(i * dims, dims));
                        draft.put(*stored);
                        draft.write({"HSET", keys.vectors(model), row, half});
                        draft.write({"SREM", keys("bare"), row});
                        draft.write({"DEL", keys("claim:" + row)});
                        made.push_back(change_of(*stored));
                        made.back().embedding = from_half(half);
                    }
                    return {};
                }));
            std::ranges::move(made, std::back_inserter(out));
        }
        return out;
    }

    Result<std::vector<Change>> sweep(UnixMs at) override {
        std::vector<Change> out;
        for (const std::string& tenant : DG_TRY(tenants())) {
            std::vector<Change> over;
            DG_TRY(
                change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
                    over.clear();
                    for (const RowId row : DG_TRY(due(draft, keys("expires"), at))) {
                        const auto stored = DG_TRY(draft.load(row));
                        if (!stored || stored->state != RowState::live) continue;
                        over.push_back(take_out(draft, *stored, RowState::expired, "expiry"));
                    }
                    return wipe(draft, keys, at - versions_keep_ms_);
                }));
            std::ranges::move(over, std::back_inserter(out));
        }
        return out;
    }

    Result<void> each_state(std::string_view tenant, const EachState& each) override {
        std::vector<StoredEntry> present, former;
        DG_TRY(redis_->read([&](Session& session) -> Result<void> {
            present.clear();
            former.clear();
            const SessionKeys keys = keys_of(tenant);
            std::vector<RowId> rows;
            for (const Reply& row : DG_TRY(session.run({"HKEYS", keys("entries")})).list) {
                rows.push_back(number(row.text));
            }
            present = DG_TRY(load_rows(session, keys, tenant, rows));
            std::vector<Command> ask;
            for (const RowId row : rows) ask.push_back({"LRANGE", keys.versions(row), "0", "-1"});
            for (const Reply& kept : DG_TRY(session.run_all(ask))) {
                for (const Reply& text : kept.list) {
                    former.push_back(DG_TRY(from_stored(text.text, tenant)));
                }
            }
            return {};
        }));
        for (StoredEntry& stored : present) {
            if (stored.state != RowState::wiped) DG_TRY(each(std::move(stored), false));
        }
        for (StoredEntry& stored : former) DG_TRY(each(std::move(stored), true));
        return {};
    }

    Result<Erased> erase(std::string_view tenant, std::span<const RowId> rows) override {
        const std::set<RowId> of(rows.begin(), rows.end());
        {
            const std::lock_guard lock(mutex_);
            if (const auto at = touched_.find(std::string(tenant)); at != touched_.end()) {
                std::erase_if(at->second, [&](const auto& one) {
                    return of.contains(row_of(one.first).value_or(0));
                });
            }
        }
        DG_TRY(forget_requests(tenant, of));
        Erased erased;
        DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
            erased = {};
            for (const RowId row : rows) DG_TRY(erase_one(draft, keys, row, erased));
            return {};
        }));
        return erased;
    }

    Result<std::uint64_t> rows_left(std::string_view tenant, std::span<const RowId> rows) override {
        std::uint64_t left = 0;
        DG_TRY(redis_->read([&](Session& session) -> Result<void> {
            left = 0;
            const SessionKeys keys = keys_of(tenant);
            for (const StoredEntry& stored : DG_TRY(load_rows(session, keys, tenant, rows))) {
                left += stored.state == RowState::wiped ? 0 : 1;
            }
            std::vector<Command> ask;
            for (const RowId row : rows) {
                const std::string name = std::to_string(row);
                ask.push_back({"EXISTS", keys.versions(row)});
                ask.push_back({"HEXISTS", keys("touched"), name});
                ask.push_back({"SISMEMBER", keys("bare"), name});
                for (const Reply& model : DG_TRY(session.run({"SMEMBERS", keys("models")})).list) {
                    ask.push_back({"HEXISTS", keys.vectors(model.text), name});
                }
            }
            for (const Reply& found : DG_TRY(session.run_all(ask))) {
                left += static_cast<std::uint64_t>(found.integer);
            }
            return {};
        }));
        return left;
    }

    // What other parts write in one transaction with entries is never short-term.
    Result<Written> exchange(std::string_view, std::span<const MemoryId>, std::span<const NewEntry>,
                             std::string_view, std::string_view, const Also&) override {
        DG_CHECK(false, "short-term entries are changed one by one");
        std::abort();
    }
    Result<Sequence> take_sequences(base::store::Transaction&, std::string_view,
                                    std::int64_t) override {
        DG_CHECK(false, "short-term entries are in no store");
        std::abort();
    }
    void doubt_marks(std::string_view, std::span<const RowId>) override {}
    const Sealing& sealing_of(std::string_view) override { return Sealing::none(); }
    const Sealing& sealing_in(const base::store::Store&) override { return Sealing::none(); }
    std::vector<std::string> files_of(std::string_view) override { return {}; }
    base::store::Store& store_of(std::string_view) override {
        DG_CHECK(false, "short-term entries are in no store");
        std::abort();
    }
    Result<void> each_store(const std::function<Result<void>(base::store::Store&)>&) override {
        return {};
    }
    Result<std::vector<std::string>> tenants() override {
        std::vector<std::string> names;
        DG_TRY(redis_->read([&](Session& session) -> Result<void> {
            names.clear();
            const auto members = DG_TRY(session.run({"SMEMBERS", redis_->prefix() + ":tenants"}));
            for (const Reply& name : members.list) names.push_back(name.text);
            return {};
        }));
        std::ranges::sort(names);
        return names;
    }
    Result<StoreStats> stats(std::string_view) override {
        StoreStats stats;
        for (const std::string& tenant : DG_TRY(tenants())) {
            ++stats.tenants;
            DG_TRY(redis_->read([&](Session& session) -> Result<void> {
                const SessionKeys keys = keys_of(tenant);
                const auto counts = DG_TRY(session.run_all({{"HLEN", keys("entries")},
                                                            {"ZCARD", keys("gone")},
                                                            {"SCARD", keys("bare")},
                                                            {"HGET", keys("meta"), "versions"}}));
                const auto gone = static_cast<std::uint64_t>(counts[1].integer);
                stats.entries += static_cast<std::uint64_t>(counts[0].integer) - gone;
                stats.removed += gone;
                stats.embeddings_pending += static_cast<std::uint64_t>(counts[2].integer);
                stats.versions += static_cast<std::uint64_t>(number(counts[3].text));
                return {};
            }));
        }
        return stats;
    }
    Result<void> check() override {
        return redis_->read([](Session&) { return Result<void>(); });
    }

private:
    using Make = std::function<Result<void>(SessionDraft&, const SessionKeys&)>;

    UnixMs now() const { return clock_.unix_ns() / 1'000'000; }
    SessionKeys keys_of(std::string_view tenant) const {
        return SessionKeys(redis_->prefix(), tenant);
    }
    static bool after_other(const Cursor& a, const Cursor& b) {
        return std::pair(a.created, a.row) > std::pair(b.created, b.row);
    }
    static std::int64_t mark_of(const Entry& entry) {
        return marks_of(entry.scope, entry.type, entry.content, entry.speaker,
                        entry.created_unix_ms)[0];
    }
    static Change change_of(const StoredEntry& stored) {
        return {.row = stored.row,
                .sequence = stored.sequence,
                .gone = stored.state != RowState::live,
                .entry = stored.entry};
    }

    /// One transaction; `make` runs again when another of the tenant came between.
    Result<void> change(std::string_view tenant, const Make& make) {
        const SessionKeys keys = keys_of(tenant);
        return redis_->transact(keys("meta"),
                                [&](Session& session) -> Result<std::vector<Command>> {
                                    SessionDraft draft(session, keys, tenant);
                                    DG_TRY(draft.begin());
                                    DG_TRY(make(draft, keys));
                                    return draft.finish();
                                });
    }

    /// The tenant is in the list before its first entry is.
    Result<void> know(const std::string& tenant) {
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

    Result<Added> add_one(SessionDraft& draft, const SessionKeys& keys, const NewEntry& entry,
                          std::string_view by, std::string_view model,
                          std::map<std::string, Added>& asked, std::vector<Change>& changes) {
        const std::string key =
            entry.idempotency_key.empty() ? "" : keys.key(entry.idempotency_key);
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

    static Result<std::optional<StoredEntry>> find_same(SessionDraft& draft, const NewEntry& entry,
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

    Added merge(SessionDraft& draft, StoredEntry kept, const NewEntry& entry, std::string_view by,
                std::vector<Change>& changes) {
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

    /// Requests that these rows answered: what a caller named them is the caller's own words.
    Result<void> forget_requests(std::string_view tenant, const std::set<RowId>& rows) {
        std::string pattern;
        for (const char c : keys_of(tenant).key("")) {
            if (std::string_view("*?[]\\").contains(c)) pattern += '\\';
            pattern += c;
        }
        return redis_->read([&](Session& session) -> Result<void> {
            std::string cursor = "0";
            do {
                const auto page =
                    DG_TRY(session.run({"SCAN", cursor, "MATCH", pattern + "*", "COUNT", "1000"}));
                cursor = page.list.at(0).text;
                Command forget{"DEL"};
                for (const Reply& key : page.list.at(1).list) {
                    const std::string answer = DG_TRY(session.run({"GET", key.text})).text;
                    const auto row = row_of(answer.substr(0, answer.find(' ')));
                    if (row && rows.contains(*row)) forget.push_back(key.text);
                }
                if (forget.size() > 1) DG_TRY(session.run(forget));
            } while (cursor != "0");
            return {};
        });
    }

    Result<void> erase_one(SessionDraft& draft, const SessionKeys& keys, RowId row,
                           Erased& erased) {
        const auto before = DG_TRY(draft.load(row));
        if (!before || before->state == RowState::wiped) return {};
        if (before->state == RowState::live) draft.unmark(mark_of(before->entry));
        const std::string name = std::to_string(row);
        const auto kept = DG_TRY(draft.run({"LLEN", keys.versions(row)})).integer;
        draft.write({"HINCRBY", keys("meta"), "versions", std::to_string(-kept)});
        draft.write({"DEL", keys.versions(row), keys("claim:" + name)});
        erased.versions += static_cast<std::uint64_t>(kept);
        erased.access_counts += static_cast<std::uint64_t>(
            DG_TRY(draft.run({"HEXISTS", keys("touched"), name})).integer);
        for (const char* hash : {"touched", "touched_at"}) draft.write({"HDEL", keys(hash), name});
        for (const Reply& model : DG_TRY(draft.run({"SMEMBERS", keys("models")})).list) {
            erased.embeddings += static_cast<std::uint64_t>(
                DG_TRY(draft.run({"HEXISTS", keys.vectors(model.text), name})).integer);
        }
        DG_TRY(forget_vectors(draft, keys, row));
        StoredEntry blank;
        blank.row = row;
        blank.state = RowState::wiped;
        blank.change = "forgotten";
        blank.entry.recorded_unix_ms = now();  // when its number may go, too
        draft.put(blank);
        return {};
    }

    Change take_out(SessionDraft& draft, const StoredEntry& before, RowState state,
                    std::string_view by) {
        StoredEntry stored = before;
        draft.unmark(mark_of(before.entry));
        stored.state = state;
        draft.replace(before, stored, "removed", by, now());
        return change_of(stored);
    }

    static Result<StoredEntry> any(SessionDraft& draft, std::string_view tenant,
                                   const MemoryId& id) {
        const auto row = row_of(id);
        if (!row) return no_such(tenant, id);
        auto stored = DG_TRY(draft.load(*row));
        if (!stored || stored->entry.id != id) return no_such(tenant, id);
        return std::move(*stored);
    }
    Result<StoredEntry> live(SessionDraft& draft, std::string_view tenant, const MemoryId& id) {
        StoredEntry stored = DG_TRY(any(draft, tenant, id));
        if (stored.state != RowState::live || expired(stored.entry, now())) {
            return no_such(tenant, id);
        }
        return stored;
    }

    static Result<std::vector<StoredEntry>> versions(SessionDraft& draft, const SessionKeys& keys,
                                                     std::string_view tenant, RowId row) {
        std::vector<StoredEntry> out;
        const auto kept = DG_TRY(draft.run({"LRANGE", keys.versions(row), "0", "-1"}));
        for (const Reply& text : kept.list) out.push_back(DG_TRY(from_stored(text.text, tenant)));
        return out;
    }

    /// Those that are there, removed ones too, in the order of `rows`, with their accesses.
    static Result<std::vector<StoredEntry>> load_rows(Session& session, const SessionKeys& keys,
                                                      std::string_view tenant,
                                                      std::span<const RowId> rows) {
        std::vector<StoredEntry> out;
        if (rows.empty()) return out;
        Command entries{"HMGET", keys("entries")}, touched{"HMGET", keys("touched")},
            touched_at{"HMGET", keys("touched_at")};
        for (const RowId row : rows) {
            for (Command* command : {&entries, &touched, &touched_at}) {
                command->push_back(std::to_string(row));
            }
        }
        const auto replies = DG_TRY(session.run_all({entries, touched, touched_at}));
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (replies[0].list.at(i).nil) continue;
            out.push_back(DG_TRY(from_stored(replies[0].list[i].text, tenant)));
            Entry& entry = out.back().entry;
            entry.access_count = static_cast<std::uint64_t>(number(replies[1].list.at(i).text));
            entry.accessed_unix_ms = number(replies[2].list.at(i).text);
        }
        return out;
    }

    Result<void> read_changes(Session& session, std::string_view tenant, Sequence after,
                              std::string_view model, std::vector<Change>& out) {
        const SessionKeys keys = keys_of(tenant);
        const auto order =
            DG_TRY(session.run({"ZRANGEBYSCORE", keys("order"), fmt::format("({}", after), "+inf",
                                "WITHSCORES", "LIMIT", "0", std::to_string(kChangesAtOnce)}));
        std::vector<RowId> rows;
        std::map<RowId, Sequence> numbers;
        Command vectors{"HMGET", keys.vectors(model)};
        for (std::size_t i = 0; i + 1 < order.list.size(); i += 2) {
            rows.push_back(number(order.list[i].text));
            numbers[rows.back()] = number(order.list[i + 1].text);
            vectors.push_back(order.list[i].text);
        }
        if (rows.empty()) return {};
        std::map<RowId, std::vector<float>> embeddings;
        if (!model.empty()) {
            const auto halves = DG_TRY(session.run(vectors));
            for (std::size_t i = 0; i < rows.size(); ++i) {
                embeddings[rows[i]] = from_half(halves.list.at(i).text);
            }
        }
        for (StoredEntry& stored : DG_TRY(load_rows(session, keys, tenant, rows))) {
            Change one = change_of(stored);
            // One that changed since is told again with its new number: what lies between is not
            // skipped.
            one.sequence = numbers.at(stored.row);
            one.gone = one.gone || expired(stored.entry, now());
            if (!one.gone) one.embedding = std::move(embeddings[stored.row]);
            out.push_back(std::move(one));
        }
        return {};
    }

    Result<void> count(Session& session, const std::string& tenant,
                       const std::map<MemoryId, std::pair<std::uint64_t, UnixMs>>& ids) {
        const SessionKeys keys = keys_of(tenant);
        for (const auto& [id, touched] : ids) {
            const auto row = row_of(id);
            if (!row) continue;
            SessionDraft draft(session, keys, tenant);
            if (!live(draft, tenant, id)) continue;
            const std::string name = std::to_string(*row);
            const auto last = DG_TRY(session.run({"HGET", keys("touched_at"), name}));
            DG_TRY(
                session.run_all({{"HINCRBY", keys("touched"), name, std::to_string(touched.first)},
                                 {"HSET", keys("touched_at"), name,
                                  std::to_string(std::max(number(last.text), touched.second))}}));
        }
        return {};
    }

    /// From now on vectors of `model` are wanted: those that have none of it wait for one.
    Result<void> want(const std::string& tenant, std::string_view model) {
        {
            const std::lock_guard lock(mutex_);
            if (wanted_[tenant] == model) return {};
        }
        DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
            const auto wanted = DG_TRY(draft.run({"HGET", keys("meta"), "model"}));
            if (wanted.text == model) return {};
            draft.write({"HSET", keys("meta"), "model", std::string(model)});
            draft.write({"SADD", keys("models"), std::string(model)});
            for (const Reply& row : DG_TRY(draft.run({"HKEYS", keys("entries")})).list) {
                const auto stored = DG_TRY(draft.load(number(row.text)));
                const auto has = DG_TRY(draft.run({"HEXISTS", keys.vectors(model), row.text}));
                if (stored && stored->state == RowState::live && has.integer == 0) {
                    draft.write({"SADD", keys("bare"), row.text});
                }
            }
            return {};
        }));
        const std::lock_guard lock(mutex_);
        wanted_[tenant] = model;
        return {};
    }

    Result<void> take_bare(Session& session, const std::string& tenant, std::uint32_t limit,
                           std::vector<Unembedded>& out) {
        const SessionKeys keys = keys_of(tenant);
        const auto bare = DG_TRY(session.run({"SMEMBERS", keys("bare")}));
        for (const Reply& row : bare.list) {
            if (out.size() >= limit) return {};
            const std::string claim = keys("claim:" + row.text);
            const auto taken =
                DG_TRY(session.run({"SET", claim, claimer_, "NX", "PX", std::to_string(kClaimMs)}));
            if (taken.nil && DG_TRY(session.run({"GET", claim})).text != claimer_) continue;
            {
                const std::lock_guard lock(mutex_);
                claims_.insert(claim);
            }
            SessionDraft draft(session, keys, tenant);
            const auto stored = DG_TRY(draft.load(number(row.text)));
            if (!stored || stored->state != RowState::live) continue;
            const Entry& entry = stored->entry;
            out.push_back({.tenant = tenant,
                           .row = stored->row,
                           .version = entry.version,
                           .text = entry.speaker.empty() ? entry.content
                                                         : entry.speaker + ": " + entry.content});
        }
        return {};
    }

    static Result<void> forget_vectors(SessionDraft& draft, const SessionKeys& keys, RowId row) {
        for (const Reply& model : DG_TRY(draft.run({"SMEMBERS", keys("models")})).list) {
            draft.write({"HDEL", keys.vectors(model.text), std::to_string(row)});
        }
        return {};
    }

    static Result<std::vector<RowId>> due(SessionDraft& draft, const std::string& key, UnixMs at) {
        std::vector<RowId> rows;
        const auto found = DG_TRY(draft.run({"ZRANGEBYSCORE", key, "-inf", std::to_string(at),
                                             "LIMIT", "0", std::to_string(kSweepAtOnce)}));
        for (const Reply& row : found.list) rows.push_back(number(row.text));
        return rows;
    }

    /// An index that slept so long still drops what is gone: nothing is there to show.
    static Result<void> wipe(SessionDraft& draft, const SessionKeys& keys, UnixMs before) {
        for (const RowId row : DG_TRY(due(draft, keys("gone"), before))) {
            const std::string name = std::to_string(row);
            const auto kept = DG_TRY(draft.run({"LLEN", keys.versions(row)}));
            draft.write({"HINCRBY", keys("meta"), "versions", std::to_string(-kept.integer)});
            draft.write({"DEL", keys.versions(row)});
            for (const char* hash : {"entries", "touched", "touched_at"}) {
                draft.write({"HDEL", keys(hash), name});
            }
            for (const char* set : {"order", "gone", "expires"}) {
                draft.write({"ZREM", keys(set), name});
            }
            DG_TRY(forget_vectors(draft, keys, row));
        }
        return {};
    }

    const std::unique_ptr<Redis> redis_;
    const std::size_t content_bytes_max_;
    const std::int64_t versions_keep_ms_;
    const base::Clock& clock_;
    std::mutex mutex_;  // guards what follows
    base::Rng chance_;  // of ids
    const std::string claimer_;
    std::set<std::string> claims_;               ///< of the batch taken last
    std::set<std::string> known_;                ///< tenants in the list
    std::map<std::string, std::string> wanted_;  ///< model of each tenant
    std::map<std::string, std::map<MemoryId, std::pair<std::uint64_t, UnixMs>>> touched_;
};

}  // namespace

Result<std::unique_ptr<SessionTruth>> open_session_truth(const StoreOptions& options,
                                                         const base::Clock& clock) {
    auto redis = DG_TRY(Redis::open(options.sessions, kConnections));
    return std::make_unique<RedisTruth>(std::move(redis), options, clock);
}

}  // namespace memory::truth
