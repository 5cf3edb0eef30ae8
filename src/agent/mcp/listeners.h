#pragma once
// Who wants to hear of changes: each gets what it asked for and nothing else.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "agent/mcp/features.h"
#include "agent/mcp/out.h"

namespace agent::mcp {

struct ChangeFilter {
    bool tools = false, prompts = false, resources = false;
    std::set<std::string> uris;
    std::set<std::string> tasks = {};  ///< ids
    bool wants(const Change& change) const;
};

/// {"toolsListChanged", ..., "resourceSubscriptions", "taskIds"}; unknown fields are not for us.
ChangeFilter read_filter(const json::object& notifications);
json::object filter_json(const ChangeFilter& filter);
/// Without `_meta`.
json::object change_message(const Change& change);

/// Thread-safe.
class Listeners {
public:
    using Id = std::uint64_t;
    /// Acknowledges before anything else is said. `request`: its id, which each message names.
    Id add(const json::value& request, ChangeFilter filter, std::shared_ptr<Out> out);
    void remove(Id id);
    void tell(const Change& change);
    void tell_task(const std::string& id, const json::object& task);
    /// Ends all, each with an answer.
    void stop();

private:
    struct Listener {
        json::value request;
        ChangeFilter filter;
        std::shared_ptr<Out> out;
    };
    std::mutex mutex_;  // guards the rest
    std::map<Id, Listener> all_;
    Id next_ = 1;
};

}  // namespace agent::mcp
