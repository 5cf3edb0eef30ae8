#include "memory/recall/weights.h"

namespace memory::recall {

// Fitted on LoCoMo conversations 1 to 5, each left out once (bench/memory/recall.cc prints what the
// one left out then gets); rounded, since neighbours of these values do as well.
SignalWeights weights_for(std::string_view embedder_id) {
    SignalWeights weights;
    weights.keyword = 1.f;
    weights.session = .15f;
    weights.entity = .45f;
    weights.substance = .6f;
    weights.time = .3f;
    weights.vector = embedder_id.empty()                        ? 0.f
                     : embedder_id.starts_with("hashed-ngrams") ? .15f
                                                                : 1.f;
    return weights;
}

}  // namespace memory::recall
