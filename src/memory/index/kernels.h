#pragma once
// The loops of vector search, for the instruction set of this machine.

#include <cstddef>
#include <cstdint>

namespace memory::index {

inline constexpr std::size_t kBlockSlots = 64;

/// Bits that differ between `query`, [words], and each of 64 codes; `block` is [words, 64]. Bit i
/// of the result: distances[i] <= limit.
std::uint64_t sign_distances(const std::uint64_t* block, const std::uint64_t* query,
                             std::size_t words, std::uint16_t limit, std::uint16_t* distances);

/// sum_d(codes[d] * query[d]). Pre: it fits 32 bits, as do its parts.
std::int32_t dot_coarse(const std::int8_t* codes, const std::int16_t* query, std::size_t dims);

/// sum_d((256 * coarse[d] + fine[d]) * query[d]).
float dot_fine(const std::int8_t* coarse, const std::int8_t* fine, const float* query,
               std::size_t dims);

}  // namespace memory::index
