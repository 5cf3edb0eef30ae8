#pragma once
// How long clients waited between two tokens, over the last minute. Pure: time is an argument.
// Gaps are counted in buckets an eighth of a doubling wide, so a quantile is right to 9 %.

#include <array>
#include <cstdint>

#include "base/core/clock.h"
#include "engine/engine.h"

namespace engine {

class GapWindow {
public:
    void add(base::Instant now, base::Duration gap);
    TokenGaps read(base::Instant now) const;

private:
    static constexpr std::size_t kSlots = 12;
    static constexpr std::size_t kBuckets = 192;  ///< 1 us to 2^24 us
    struct Slot {
        std::int64_t number = -1;  ///< which five seconds since the clock's zero
        std::uint64_t count = 0;
        double max_us = 0;
        std::array<std::uint32_t, kBuckets> buckets{};
    };
    std::array<Slot, kSlots> slots_{};
};

}  // namespace engine
