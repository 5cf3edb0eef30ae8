#pragma once
// One transaction on a tenant's short-term entries, while it is planned. Internal to session_truth.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/redis/redis.h"
#include "memory/truth/rows.h"

namespace memory::truth {

/// Names of a tenant's keys.
class SessionKeys {
public:
    SessionKeys(std::string_view prefix, std::string_view tenant)
        // Braces: a cluster keeps a tenant's keys together.
        : begin_(std::string(prefix) + ":{" + std::string(tenant) + "}:") {}
    std::string operator()(std::string_view name) const { return begin_ + std::string(name); }
    std::string vectors(std::string_view model) const {
        return begin_ + "vectors:" + std::string(model);
    }
    std::string versions(RowId row) const { return begin_ + "versions:" + std::to_string(row); }
    std::string key(std::string_view request) const {
        return begin_ + "key:" + std::string(request);
    }

private:
    std::string begin_;
};

class SessionDraft {
public:
    SessionDraft(base::redis::Session& session, const SessionKeys& keys, std::string_view tenant)
        : session_(session), keys_(keys), tenant_(tenant) {}

    /// Reads the last numbers. First.
    base::Result<void> begin();
    base::Result<base::redis::Reply> run(const base::redis::Command& command) {
        return session_.run(command);
    }
    /// As planned so far.
    base::Result<std::optional<StoredEntry>> load(RowId row);
    /// The row that has it, 0: none.
    base::Result<RowId> marked(std::int64_t mark);
    void mark(std::int64_t mark, RowId row);
    void unmark(std::int64_t mark);

    RowId new_row() { return ++row_; }
    /// Gives it the next number of a change and writes it.
    void put(StoredEntry& stored);
    /// The same, and keeps the state before as a version.
    void replace(const StoredEntry& before, StoredEntry& stored, std::string_view change,
                 std::string_view by, UnixMs at);
    void write(base::redis::Command command) { commands_.push_back(std::move(command)); }
    std::vector<base::redis::Command> finish();

private:
    base::redis::Session& session_;
    const SessionKeys& keys_;
    const std::string tenant_;
    RowId row_ = 0;
    Sequence sequence_ = 0;
    std::map<RowId, StoredEntry> entries_;
    std::map<std::int64_t, RowId> marks_;
    std::vector<base::redis::Command> commands_;
};

}  // namespace memory::truth
