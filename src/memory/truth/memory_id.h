#pragma once
// Ids that sort by time of writing and name their row, so that no index is needed to find it:
// 48 bits of time, 40 of the row, 40 of chance against guessing, in Crockford's base 32.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "memory/truth/truth.h"

namespace memory::truth {

inline constexpr RowId kRowMax = (RowId{1} << 40) - 1;

/// Pre: 0 <= time, row <= kRowMax.
MemoryId make_id(UnixMs time, RowId row, std::uint64_t chance);
/// The row that an id names; the row's own id decides whether it is that one.
std::optional<RowId> row_of(std::string_view id);

}  // namespace memory::truth
