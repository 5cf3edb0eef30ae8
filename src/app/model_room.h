#pragma once
// Which models make room for another one; pure, so that it can be tested without any.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace app {

/// A model in memory as the choice sees it.
struct HeldModel {
    std::string_view id;
    std::uint64_t memory_bytes = 0;
    std::uint32_t requests = 0;   ///< running; above 0 it stays
    std::uint64_t last_used = 0;  ///< larger is later
    bool fixed = false;           ///< never goes
};

struct Room {
    std::vector<std::size_t> victims;  ///< indices into `held`, in the order they go
    std::uint64_t bytes = 0;           ///< free once they are gone
};

/// The fewest of the longest unused idle models, so that `wished` bytes are free of `budget`; when
/// that cannot be, all the idle ones it takes for `least` or more. Errors: resource_exhausted
/// (needed, budget, and what holds it: nothing has to go then).
base::Result<Room> make_room(std::string_view model, std::span<const HeldModel> held,
                             std::uint64_t budget, std::uint64_t least, std::uint64_t wished);

}  // namespace app
