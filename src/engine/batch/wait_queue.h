#pragma once
// Who is served next. Pure: no clock, no threads.
//
// Higher priority first. Within one, tenants take turns by the tokens they were served, all with
// equal weights (start-time fair queueing, Goyal et al. 1996): the tenant served least goes next,
// and one that comes back after a pause starts where the busy ones are, so that it cannot save up.
// Within a tenant, the order of ids, which is the order of arrival; what was set aside while it ran
// keeps its id and so its place.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "engine/engine.h"

namespace engine {

struct Waiting {
    GenerationId id = 0;
    std::string tenant;
    std::int32_t priority = 0;
    base::Instant deadline = base::Instant::never();
};

class WaitQueue {
public:
    void push(Waiting waiting);
    /// False when it does not wait here.
    bool remove(GenerationId id);
    std::size_t size() const { return by_id_.size(); }
    bool empty() const { return by_id_.empty(); }

    /// Who goes next, those in `passed` left out: they wait for something others do not.
    std::optional<GenerationId> next(const std::set<GenerationId>& passed) const;
    std::optional<GenerationId> next() const { return next({}); }
    /// The highest priority that waits. Pre: !empty().
    std::int32_t priority_max() const { return places_.begin()->first.first; }

    /// `tenant` was served `tokens`: computed or generated.
    void charge(const std::string& tenant, std::uint64_t tokens);
    /// Ids whose deadline is over, in order of id; they stay until removed.
    std::vector<GenerationId> overdue(base::Instant now) const;

private:
    struct HigherFirst {
        bool operator()(const std::pair<std::int32_t, std::string>& a,
                        const std::pair<std::int32_t, std::string>& b) const {
            return a.first != b.first ? a.first > b.first : a.second < b.second;
        }
    };
    struct Tenant {
        std::uint64_t served = 0;
        std::uint32_t waiting = 0;
    };
    std::uint64_t served(const std::string& tenant) const;
    void forget_idle();

    std::map<GenerationId, Waiting> by_id_;
    /// Ids by priority, then tenant.
    std::map<std::pair<std::int32_t, std::string>, std::set<GenerationId>, HigherFirst> places_;
    std::map<std::string, Tenant> tenants_;
    std::uint64_t start_ = 0;  ///< where a tenant that begins anew starts
};

}  // namespace engine
