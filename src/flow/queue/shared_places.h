#pragma once
// What processes that share queues agree on: how many places of each queue each of them has. Port
// of this folder; flow/log implements it over the database that they share.

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "flow/queue/queue_board.h"

namespace flow {

/// Thread-safe.
class SharedPlaces {
public:
    /// How a queue stands in this process.
    struct Wish {
        std::string queue;
        std::uint32_t version = 0;  ///< of the definition that has `limits`; the newest one's hold
        QueueBoard::Limits limits;
        std::uint64_t running = 0, waiting = 0;
        std::int64_t oldest_since_ms = 0;  ///< of who waits
    };
    struct Grant {
        QueueBoard::Allowance allowance;
        std::chrono::milliseconds due_in{0};  ///< when a rate lets more begin; 0: no such moment
    };
    virtual ~SharedPlaces() = default;
    /// One grant for each wish. What runs never loses its place. Errors: unavailable.
    virtual base::Result<std::vector<Grant>> share(std::span<const Wish> wishes) = 0;
    /// `told`, on any thread: others gave places back. Empty: nobody listens any more.
    virtual void on_change(std::function<void()> told) = 0;
};

/// What one of many gets of `places` when each wants so much: all the same, but nobody more than
/// it wants; what does not divide goes to those who wait longest.
struct PlaceWant {
    std::uint64_t want = 0;
    std::int64_t since_ms = 0;  ///< of who waits longest there; 0: nobody waits
    std::int64_t worker = 0;
};
std::uint64_t fair_share(std::uint64_t places, std::span<const PlaceWant> wants,
                         std::int64_t worker);

}  // namespace flow
