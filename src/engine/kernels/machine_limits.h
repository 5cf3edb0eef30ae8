#pragma once
// What the machine can do at most, measured, so that speeds can be shown as a share of it.

#include <cstddef>

#include "base/core/clock.h"

namespace base {
class ThreadPool;
}

namespace engine {

struct MachineLimits {
    /// Best rate at which all of the pool's threads together read memory that no cache holds.
    double read_bytes_per_second = 0;
};

/// Takes a few hundred milliseconds and `buffer_bytes` of memory, which should exceed the
/// last-level cache several times. Decoding cannot go faster than read_bytes_per_second / bytes per
/// token.
MachineLimits measure_machine_limits(base::ThreadPool& pool, const base::Clock& clock,
                                     std::size_t buffer_bytes = std::size_t{512} << 20);

}  // namespace engine
