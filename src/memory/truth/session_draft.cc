#include "memory/truth/session_draft.h"

#include <algorithm>
#include <charconv>

#include "memory/truth/session_codec.h"
#include "memory/truth/session_truth.h"

namespace memory::truth {

using base::Result;

namespace {
std::int64_t number(const base::redis::Reply& reply) {
    std::int64_t value = 0;
    std::from_chars(reply.text.data(), reply.text.data() + reply.text.size(), value);
    return value;
}
}  // namespace

Result<void> SessionDraft::begin() {
    const auto meta = DG_TRY(run({"HMGET", keys_("meta"), "row", "sequence"}));
    row_ = std::max(number(meta.list.at(0)), kSessionRow);
    sequence_ = number(meta.list.at(1));
    return {};
}

Result<std::optional<StoredEntry>> SessionDraft::load(RowId row) {
    if (const auto found = entries_.find(row); found != entries_.end()) return found->second;
    const auto text = DG_TRY(run({"HGET", keys_("entries"), std::to_string(row)}));
    if (text.nil) return std::nullopt;
    return DG_TRY(from_stored(text.text, tenant_));
}

Result<RowId> SessionDraft::marked(std::int64_t mark) {
    if (const auto found = marks_.find(mark); found != marks_.end()) return found->second;
    return number(DG_TRY(run({"HGET", keys_("marks"), std::to_string(mark)})));
}

void SessionDraft::mark(std::int64_t mark, RowId row) {
    marks_[mark] = row;
    write({"HSET", keys_("marks"), std::to_string(mark), std::to_string(row)});
}

void SessionDraft::unmark(std::int64_t mark) {
    marks_[mark] = 0;
    write({"HDEL", keys_("marks"), std::to_string(mark)});
}

void SessionDraft::put(StoredEntry& stored) {
    stored.sequence = ++sequence_;
    const std::string row = std::to_string(stored.row);
    const Entry& entry = stored.entry;
    write({"HSET", keys_("entries"), row, to_stored(stored)});
    write({"ZADD", keys_("order"), std::to_string(stored.sequence), row});
    const bool live = stored.state == RowState::live;
    if (live && entry.expires_unix_ms != 0 && !entry.pinned) {
        write({"ZADD", keys_("expires"), std::to_string(entry.expires_unix_ms), row});
    } else {
        write({"ZREM", keys_("expires"), row});
    }
    if (live) {
        write({"ZREM", keys_("gone"), row});
    } else {
        write({"ZADD", keys_("gone"), std::to_string(entry.recorded_unix_ms), row});
        write({"SREM", keys_("bare"), row});
    }
    entries_.insert_or_assign(stored.row, stored);
}

void SessionDraft::replace(const StoredEntry& before, StoredEntry& stored, std::string_view change,
                           std::string_view by, UnixMs at) {
    write({"RPUSH", keys_.versions(stored.row), to_stored(before)});
    write({"HINCRBY", keys_("meta"), "versions", "1"});
    ++stored.entry.version;
    stored.entry.recorded_unix_ms = at;
    stored.change = change;
    stored.by = by;
    put(stored);
}

std::vector<base::redis::Command> SessionDraft::finish() {
    if (commands_.empty()) return {};
    write({"HSET", keys_("meta"), "row", std::to_string(row_), "sequence",
           std::to_string(sequence_)});
    return std::move(commands_);
}

}  // namespace memory::truth
