#pragma once
// Whether boxes can be users of their own.

#include <unistd.h>

#include <cstdint>
#include <fstream>

namespace sphere::native {

/// Root, and of a user namespace that has all users: not so in many a container.
inline bool has_other_users() {
    std::uint64_t inside = 0, outside = 0, count = 0;
    std::ifstream map("/proc/self/uid_map");
    return ::geteuid() == 0 && map >> inside >> outside >> count && count >= 0x80000000ull;
}

}  // namespace sphere::native
