#pragma once
// Who may begin, and who waits: queues with bounds on what runs at once and on how often something
// begins. Pure: time comes in. Within a queue parties (tenants) take turns: whoever has the fewest
// places comes next. Within a party the higher priority goes first, then who waits longer; but each
// sixteenth place goes to who has waited longest, so that nobody waits for ever.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"

namespace flow {

/// One thread, or under a lock.
class QueueBoard {
public:
    struct Limits {
        std::uint32_t concurrency = 0;  ///< 0: no bound
        std::uint32_t starts = 0;       ///< at most so many in any `window`; 0: no bound
        base::Duration window{0};
        bool operator==(const Limits&) const = default;
    };
    /// Of a queue that other processes share: instead of its bounds.
    struct Allowance {
        std::uint64_t places = 0;  ///< at once, those that run included
        std::uint64_t keep = 0;    ///< of them, when those that run end
        std::uint64_t starts = 0;  ///< that may begin from now on
    };
    struct Place {
        std::string queue, party;
        std::int32_t priority = 0;
        std::int64_t since_ms = 0;  ///< wall time; who waits longer goes first
        bool holds = false;         ///< had a place before a crash: goes before all others
    };
    struct Counts {
        std::string queue;
        Limits limits;
        std::uint64_t running = 0, waiting = 0;
        std::int64_t oldest_since_ms = 0;  ///< of who waits; 0: nobody does
    };

    /// Of a queue, from now on; those who are in it stay. None: no bounds.
    void limit(const std::string& queue, const Limits& limits);
    /// What a shared queue may from now on; none: it is not shared.
    void allow(const std::string& queue, const std::optional<Allowance>& allowance);
    /// Waits for a place. Pre: `id` is not known.
    void add(std::uint64_t id, Place place);
    /// Does not wait any more, or gives its place back. An unknown id is nobody's.
    void leave(std::uint64_t id);
    bool runs(std::uint64_t id) const;
    /// Who may begin now, in order.
    std::vector<std::uint64_t> admit(base::Instant now);
    /// When a rate lets the next one begin.
    base::Instant next_due() const;
    std::vector<Counts> counts() const;

private:
    struct Order {
        std::int64_t urgency = 0;  ///< smaller first
        std::int64_t since_ms = 0;
        std::uint64_t id = 0;
        auto operator<=>(const Order&) const = default;
    };
    struct Party {
        std::set<Order> by_priority, by_age;
        std::uint64_t running = 0, served = 0;  ///< when it last got a place, counted in places
    };
    struct Queue {
        Limits limits;
        std::map<std::string, Party> parties;
        std::set<Order> holders;  ///< who had a place, by age
        std::uint64_t running = 0, waiting = 0, given = 0;
        std::deque<base::Instant> begun;  ///< within the window
        base::Instant due = base::Instant::never();
    };
    struct Entry {
        Place place;
        bool running = false;
    };
    std::uint64_t choose(Queue& queue) const;
    void begin(Queue& queue, std::uint64_t id);
    void set_due(const std::string& name, Queue& queue, base::Instant due);

    std::unordered_map<std::string, Limits> limits_;
    std::unordered_map<std::string, Allowance> allowances_;
    std::unordered_map<std::string, Queue> queues_;  ///< that somebody is in, or was just now
    std::unordered_map<std::uint64_t, Entry> entries_;
    std::set<std::string> changed_;  ///< queues that may let somebody begin
    std::set<std::pair<base::Instant, std::string>> due_;
};

/// `rate` in each `per`: as many as that is, in a window that makes it so.
QueueBoard::Limits rate_limit(double rate, base::Duration per);

}  // namespace flow
