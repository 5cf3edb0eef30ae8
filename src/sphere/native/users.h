#pragma once
// Whether boxes can be users of their own.

#include <unistd.h>

#include <cstdint>
#include <fstream>

#include "base/core/rng.h"

namespace sphere::native {

/// Root, and of a user namespace that has all users: not so in many a container.
inline bool has_other_users() {
    std::uint64_t inside = 0, outside = 0, count = 0;
    std::ifstream map("/proc/self/uid_map");
    return ::geteuid() == 0 && map >> inside >> outside >> count && count >= 0x80000000ull;
}

/// A user that nobody else has: above every range that hosts hand out, below the sign bit.
inline std::uint32_t make_host_id() {
    return static_cast<std::uint32_t>(0x40000000u + base::entropy64() % 0x3fff0000u);
}

}  // namespace sphere::native
