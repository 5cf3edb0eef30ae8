// Short-term entries that are over, counted or forgotten.
#include <algorithm>
#include <iterator>

#include "memory/truth/memory_id.h"
#include "memory/truth/redis_truth.h"

namespace memory::truth {
namespace {

using base::Result;
using base::redis::Command;
using base::redis::Reply;
using base::redis::Session;

constexpr std::size_t kTouchedMax = 100'000;
constexpr int kSweepAtOnce = 1'000;

}  // namespace

void RedisTruth::touch(std::string_view tenant, std::span<const MemoryId> ids, UnixMs at) {
    const std::lock_guard lock(mutex_);
    auto& touched = touched_[std::string(tenant)];
    for (const MemoryId& id : ids) {
        if (touched.size() >= kTouchedMax && !touched.contains(id)) continue;
        auto& one = touched[id];
        ++one.first;
        one.second = std::max(one.second, at);
    }
}

Result<void> RedisTruth::flush_touches() {
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

Result<std::vector<Change>> RedisTruth::sweep(UnixMs at) {
    std::vector<Change> out;
    for (const std::string& tenant : DG_TRY(tenants())) {
        std::vector<Change> over;
        DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
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

Result<Erased> RedisTruth::erase(std::string_view tenant, std::span<const RowId> rows) {
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

Result<std::uint64_t> RedisTruth::rows_left(std::string_view tenant, std::span<const RowId> rows) {
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

Result<void> RedisTruth::forget_requests(std::string_view tenant, const std::set<RowId>& rows) {
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

Result<void> RedisTruth::erase_one(SessionDraft& draft, const SessionKeys& keys, RowId row,
                                   Erased& erased) {
    const auto before = DG_TRY(draft.load(row));
    if (!before || before->state == RowState::wiped) return {};
    if (before->state == RowState::live) draft.unmark(mark_of(before->entry));
    const std::string name = std::to_string(row);
    const auto kept = DG_TRY(draft.run({"LLEN", keys.versions(row)})).integer;
    draft.write({"HINCRBY", keys("meta"), "versions", std::to_string(-kept)});
    draft.write({"DEL", keys.versions(row), keys("claim:" + name)});
    erased.versions += static_cast<std::uint64_t>(kept);
    erased.access_counts +=
        static_cast<std::uint64_t>(DG_TRY(draft.run({"HEXISTS", keys("touched"), name})).integer);
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

Result<void> RedisTruth::count(Session& session, const std::string& tenant,
                               const std::map<MemoryId, std::pair<std::uint64_t, UnixMs>>& ids) {
    const SessionKeys keys = keys_of(tenant);
    for (const auto& [id, touched] : ids) {
        const auto row = row_of(id);
        if (!row) continue;
        SessionDraft draft(session, keys, tenant);
        if (!live(draft, tenant, id)) continue;
        const std::string name = std::to_string(*row);
        const auto last = DG_TRY(session.run({"HGET", keys("touched_at"), name}));
        DG_TRY(session.run_all({{"HINCRBY", keys("touched"), name, std::to_string(touched.first)},
                                {"HSET", keys("touched_at"), name,
                                 std::to_string(std::max(number(last.text), touched.second))}}));
    }
    return {};
}

Result<std::vector<RowId>> RedisTruth::due(SessionDraft& draft, const std::string& key, UnixMs at) {
    std::vector<RowId> rows;
    const auto found = DG_TRY(draft.run({"ZRANGEBYSCORE", key, "-inf", std::to_string(at), "LIMIT",
                                         "0", std::to_string(kSweepAtOnce)}));
    for (const Reply& row : found.list) rows.push_back(number(row.text));
    return rows;
}

Result<void> RedisTruth::wipe(SessionDraft& draft, const SessionKeys& keys, UnixMs before) {
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

}  // namespace memory::truth
