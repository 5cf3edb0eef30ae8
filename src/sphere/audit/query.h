#pragma once
// Finds events in an audit log, for people and for shippers. Reads files only; the log may be live.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

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

}  // namespace sphere::audit
