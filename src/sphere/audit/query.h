#pragma once
// Finds events in an audit log, for people and for shippers. Reads files only; the log may be live.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace sphere::audit {

/// Empty texts match everything. `event` also matches by its first words: "exec" finds "exec.end".
struct EventFilter {
    std::string tenant, agent, sandbox, event;
    std::int64_t since_unix_ns = 0, until_unix_ns = INT64_MAX;
    std::uint64_t after_seq = 0;
};

/// Calls `each` with every matching line, oldest first, until it returns false. Damaged lines are
/// passed over and counted: verify is what judges them. Returns that count.
base::Result<std::uint64_t> find_events(const std::string& dir, const EventFilter& filter,
                                        const std::function<bool(std::string_view line)>& each);

/// The newest matching lines, newest first.
struct RecentEvents {
    std::vector<std::string> lines;
    std::uint64_t oldest_seq = 0;  ///< of what was looked at: go on with this as `before_seq`
    bool more = false;             ///< there are older lines that were not looked at
};
struct RecentQuery {
    EventFilter filter;
    std::uint64_t before_seq = UINT64_MAX;  ///< only lines older than this one
    std::size_t lines_max = 100;
    std::uint64_t bytes_max = 64 << 20;  ///< looked at, however few match
};
/// Reads from the end, so its time is that of what it looks at, not of the log.
base::Result<RecentEvents> recent_events(const std::string& dir, const RecentQuery& query);

}  // namespace sphere::audit
