// What is read of short-term entries: by row, by time, by their last change.
#include <fmt/format.h>

#include <algorithm>

#include "memory/truth/half.h"
#include "memory/truth/memory_id.h"
#include "memory/truth/redis_truth.h"

namespace memory::truth {
namespace {

using base::Result;
using base::redis::Command;
using base::redis::Reply;
using base::redis::Session;

constexpr int kChangesAtOnce = 1'024;

}  // namespace

Result<Entry> RedisTruth::get(std::string_view tenant, const MemoryId& id) {
    const auto row = row_of(id);
    std::optional<Entry> found;
    if (row) {
        DG_TRY(
            each_row(tenant, {&*row, 1}, [&](RowId, Entry&& entry) { found = std::move(entry); }));
    }
    if (!found || found->id != id) return no_such(tenant, id);
    return std::move(*found);
}

Result<void> RedisTruth::each_row(std::string_view tenant, std::span<const RowId> rows,
                                  const std::function<void(RowId, Entry&&)>& each) {
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

Result<std::vector<EntryVersion>> RedisTruth::history(std::string_view tenant, const MemoryId& id) {
    std::vector<EntryVersion> out;
    DG_TRY(redis_->read([&](Session& session) -> Result<void> {
        const SessionKeys keys = keys_of(tenant);
        SessionDraft draft(session, keys, tenant);
        StoredEntry present = DG_TRY(any(draft, tenant, id));
        const RowId row = present.row;
        const auto keep = [&](StoredEntry&& stored) {
            const UnixMs recorded = stored.entry.recorded_unix_ms;
            out.push_back({std::move(stored.entry), std::move(stored.change), std::move(stored.by),
                           recorded});
        };
        keep(std::move(present));
        auto kept = DG_TRY(versions(draft, keys, tenant, row));
        for (auto old = kept.rbegin(); old != kept.rend(); ++old) keep(std::move(*old));
        return {};
    }));
    return out;
}

Result<Page> RedisTruth::list(const Filter& filter, Order order, std::uint32_t limit,
                              std::string_view cursor) {
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

Result<void> RedisTruth::changes(std::string_view tenant, Sequence after, std::string_view model,
                                 const std::function<bool(Change&&)>& each) {
    std::vector<Change> some;
    do {
        some.clear();
        DG_TRY(redis_->read(
            [&](Session& session) { return read_changes(session, tenant, after, model, some); }));
        for (Change& one : some) {
            after = one.sequence;
            if (!each(std::move(one))) return {};
        }
    } while (!some.empty());
    return {};
}

Result<Sequence> RedisTruth::last_change(std::string_view tenant) {
    Sequence last = 0;
    DG_TRY(redis_->read([&](Session& session) -> Result<void> {
        last = number(DG_TRY(session.run({"HGET", keys_of(tenant)("meta"), "sequence"})).text);
        return {};
    }));
    return last;
}

Result<void> RedisTruth::each_state(std::string_view tenant, const EachState& each) {
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

Result<std::vector<std::string>> RedisTruth::tenants() {
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

Result<StoreStats> RedisTruth::stats(std::string_view) {
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

Result<std::vector<StoredEntry>> RedisTruth::versions(SessionDraft& draft, const SessionKeys& keys,
                                                      std::string_view tenant, RowId row) {
    std::vector<StoredEntry> out;
    const auto kept = DG_TRY(draft.run({"LRANGE", keys.versions(row), "0", "-1"}));
    for (const Reply& text : kept.list) out.push_back(DG_TRY(from_stored(text.text, tenant)));
    return out;
}

Result<std::vector<StoredEntry>> RedisTruth::load_rows(Session& session, const SessionKeys& keys,
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

Result<void> RedisTruth::read_changes(Session& session, std::string_view tenant, Sequence after,
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

}  // namespace memory::truth
