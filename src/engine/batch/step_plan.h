#pragma once
// Which rows one step computes. Pure: state in, shares out.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace engine {

struct RowShare {
    std::size_t sequence = 0;  ///< index into the running sequences
    std::uint32_t rows = 0;    ///< at least 1
    bool operator==(const RowShare&) const = default;
};

/// Every decoding sequence gets its one row, so that a long prompt never stops a stream. The rest
/// of `rows_max` goes to prefilling sequences in equal parts; what a short prompt leaves goes to
/// the others, and `turn` rotates who gets the odd rows.
///   rows_left: one element per running sequence, at least 1; 1 means decoding.
/// Pre: rows_max > number of decoding sequences, or no sequence prefills. Shares come in order of
/// sequence; sequences without rows are left out.
std::vector<RowShare> plan_step(std::span<const std::uint32_t> rows_left, std::uint32_t rows_max,
                                std::uint64_t turn);

}  // namespace engine
