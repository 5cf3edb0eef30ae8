#pragma once
// From a question to ranked entries: candidates of every signal, calibrated scores, one order. Pure
// apart from what it reads through an index::Reader.

#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "memory/index/tenant_index.h"
#include "memory/query.h"

namespace memory::recall {

struct Ranked {
    index::Slot slot = 0;
    ScoreParts parts;
    std::uint64_t words = 0;  ///< Reader::words_of: what differs in it is no duplicate
};

struct Ranking {
    std::vector<Ranked> ranked;  ///< best first, at most query.limit plus what packing may need
    float confidence = 0;
    std::uint64_t candidates = 0;
    std::string plan;
};

/// `embedding` is the query's, of the index's dims; empty: no vector signal. `near`: where the
/// facts around the question's names come from, 0 to 1; each slot once.
base::Result<Ranking> rank(index::Reader& reader, const Query& query,
                           std::span<const float> embedding, const SignalWeights& weights,
                           UnixMs now, std::span<const index::Scored> near = {});

}  // namespace memory::recall
