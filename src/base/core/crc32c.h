#pragma once
// CRC-32C: tells stored bytes from damaged ones. By the CPU's own instruction where it has one.

#include <cstdint>
#include <string_view>

namespace base {

/// Of `bytes` after what gave `before` (0: nothing came before): the Castagnoli polynomial,
/// reflected, as in RFC 3720 B.4. Chosen at run time: SSE4.2, ARMv8 CRC, or crc32c_by_table.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

/// The same on any CPU, about eight times slower.
std::uint32_t crc32c_by_table(std::string_view bytes, std::uint32_t before = 0);

}  // namespace base
