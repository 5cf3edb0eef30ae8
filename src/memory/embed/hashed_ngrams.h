#pragma once
// Vectors without a model: words and their parts hashed to signed places (Weinberger et al. 2009).
// Texts with common or alike words are near each other, nothing more; the last resort.

#include <cstdint>
#include <memory>

#include "memory/embedder.h"

namespace memory::embed {

inline constexpr std::uint32_t kHashedDims = 256;

std::unique_ptr<Embedder> make_hashed_ngrams();

}  // namespace memory::embed
