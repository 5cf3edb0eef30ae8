#pragma once
// How many boxes to keep ready: as many as were asked for at once lately. Pure: time comes as an
// argument.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/core/clock.h"

namespace sphere::native {

/// Counts asks per window, in which a pool cannot be refilled, and remembers a minute of them. One
/// thread at a time; time does not go back.
class PoolDemand {
public:
    /// `most`: bounds what waiting boxes cost.
    explicit PoolDemand(std::uint32_t most, std::uint32_t least = kLeast)
        : most_(most), least_(least) {}

    /// A box of the pool's kind was asked for, whether one was there or not.
    void asked(base::Instant now);
    /// Boxes that should wait: the most asked for in one window of the last minute, at least
    /// `least`, never over `most`.
    std::uint32_t wanted(base::Instant now) const;

    static constexpr std::uint32_t kLeast = 2;
    static constexpr base::Duration kWindow = std::chrono::milliseconds(250);
    static constexpr std::size_t kWindows = 240;

private:
    struct Window {
        std::int64_t number = -1;
        std::uint32_t asks = 0;
    };
    static std::int64_t number_of(base::Instant now);

    std::uint32_t most_, least_;
    std::array<Window, kWindows> windows_ = {};
};

}  // namespace sphere::native
