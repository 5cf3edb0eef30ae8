#pragma once
// What a box tried on the network: one record an attempt, and their sums.

#include <cstdint>
#include <string>

namespace sphere {

struct NetworkAttempt {
    std::string target;    ///< "example.org:443"
    std::string protocol;  ///< "tcp", "http", "dns"
    bool allowed = false;
    std::string reason;  ///< of a refusal
    std::uint64_t bytes_out = 0, bytes_in = 0;
};

/// Exact, since the box was made.
struct NetworkUse {
    std::uint64_t calls = 0, refused = 0;
    std::uint64_t bytes_out = 0, bytes_in = 0;
};

}  // namespace sphere
