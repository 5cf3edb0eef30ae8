#pragma once
// What the machine offers, for defaults that nobody set.

#include <cstdint>

namespace engine {

/// Physical cores this process may run on; at least 1. Hyper-threads of one core count once.
std::uint32_t physical_cores();
/// Memory that can be had without swapping; 0 when the system does not say.
std::uint64_t available_memory_bytes();

}  // namespace engine
