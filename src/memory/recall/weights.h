#pragma once
// How much signals weigh, by what made the vectors: a strong model is trusted more than a weak one.

#include <string_view>

#include "memory/query.h"

namespace memory::recall {

/// `embedder_id` as memory::Embedder::id() says it; empty: no vectors.
SignalWeights weights_for(std::string_view embedder_id);

}  // namespace memory::recall
