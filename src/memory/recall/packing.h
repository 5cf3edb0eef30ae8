#pragma once
// The last step of a search: equal hits become one, and what is returned fits the caller's budget.

#include <cstdint>
#include <span>
#include <vector>

#include "memory/query.h"

namespace memory::recall {

/// Hits with the same words are one: the first stays and names the others in `duplicates`. `words`:
/// a number of each hit's words (Ranked::words); only where it is another's too are texts compared.
/// Empty: all are compared.
void collapse_duplicates(std::vector<Hit>& hits, std::span<const std::uint64_t> words = {});

/// Keeps hits from the best on while their content, and then their neighbours', fits `tokens_max`
/// by text::count_tokens; a hit too long for what is left is passed over, so that shorter ones
/// behind it may come. Neighbours are given only what all kept hits leave. 0: no budget.
void pack(std::vector<Hit>& hits, std::uint32_t tokens_max);

}  // namespace memory::recall
