#pragma once
// Property tests: run a body for many seeds and name the seed that fails.

#include <gtest/gtest.h>

#include <cstdint>

#include "base/core/rng.h"

namespace test {

/// Calls body(rng) for seeds 1..count, stopping at the first failure with its seed printed.
template <class Body>
void for_each_seed(std::uint64_t count, Body body) {
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        SCOPED_TRACE(::testing::Message() << "seed " << seed);
        base::Rng rng(seed);
        body(rng);
        if (::testing::Test::HasFailure()) return;
    }
}

}  // namespace test
