#pragma once
// The few entries that are worth a close look: what single signals found, and what stands beside
// it in the same session, with the facts that every signal needs.

#include <cstdint>
#include <span>
#include <vector>

#include "memory/index/tenant_index.h"

namespace memory::recall {

/// No candidate stands there.
inline constexpr std::uint32_t kNone = UINT32_MAX;
/// Neighbours on each side that a candidate brings along.
inline constexpr std::uint32_t kReach = 2;

struct Candidates {
    std::vector<index::Slot> slots;
    std::vector<bool> allowed;  ///< by the query's filter; others are context only
    std::vector<std::uint32_t> before,
        after;                           ///< the candidate next to it in its session, or kNone
    std::vector<std::uint32_t> session;  ///< dense numbers; one without a session is its own
    std::uint32_t sessions = 0;
    std::vector<index::SlotFacts> facts;

    std::size_t size() const { return slots.size(); }
};

/// `seeds` may repeat. Their neighbours come along where `neighbours`.
Candidates gather(const index::Reader& reader, const index::Selection& selection,
                  std::span<const index::Slot> seeds, bool neighbours);

/// out[i] = combination of values[i] and its neighbours' by weights of distance 1..kReach:
/// the greatest of them all, or the mean of those that exist.
std::vector<float> spread_greatest(const Candidates& candidates, std::span<const float> values,
                                   std::span<const float, kReach> weights);
std::vector<float> spread_mean(const Candidates& candidates, std::span<const float> values,
                               std::span<const float, kReach> weights);

}  // namespace memory::recall
