#pragma once

#include <cstdint>
#include <cstdlib>

namespace test {

/// How many histories with faults a test runs: few each time, more where DG_FAULT_RUNS says so, as
/// for the long runs that docs/spec.md records.
inline std::uint64_t fault_runs(std::uint64_t usual) {
    const char* asked = std::getenv("DG_FAULT_RUNS");
    return asked == nullptr ? usual : std::strtoull(asked, nullptr, 10);
}

}  // namespace test
