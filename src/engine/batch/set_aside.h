#pragma once
// When pages run out in the middle: who loses its place, and whether its KV is worth carrying to
// disk. Pure.

#include <cstdint>
#include <optional>
#include <span>

#include "engine/engine.h"

namespace engine {

struct Candidate {
    GenerationId id = 0;
    std::int32_t priority = 0;
    std::uint32_t pages_freed = 0;  ///< by setting it aside
};

/// Index of the one to set aside: of the lowest priority the youngest, so that the oldest always
/// comes to its end. Those that free nothing are left alone. None: nobody can go.
std::optional<std::size_t> choose_victim(std::span<const Candidate> running);

struct SwapCosts {
    std::uint64_t bytes = 0;       ///< to write now and read back later
    double bytes_per_second = 0;   ///< measured; 0 = there is no place to swap to
    double recompute_seconds = 0;  ///< to compute the same positions again
};

/// Whether carrying the bytes out and back takes less time than computing them again.
bool swap_is_cheaper(const SwapCosts& costs);

/// Rate of swapping, learned from what it took.
class SwapRate {
public:
    void observe(std::uint64_t bytes, double seconds);
    double bytes_per_second() const { return bytes_per_second_; }

private:
    double bytes_per_second_ = 500e6;  ///< a usual SSD, until measured
};

}  // namespace engine
