#pragma once
// Whether the best hit looks like an answer at all.

#include <span>

#include "memory/recall/signals.h"

namespace memory::recall {

struct Evidence {
    /// Share of the question's rarity (sum of idf of its words) that the best hit and its
    /// neighbours have; words the index never saw count fully.
    float coverage = 0;
    /// Its rarest word's idf against that of a word nobody has, where found beside the best hit.
    float rarest_found = 0;
    float cosine = 0;  ///< the best among the first hits; 0 without vectors
    bool vectors = false;
};

/// `best`: indices of candidates, best first.
Evidence evidence_of(const Candidates& candidates, const KeywordParts& parts,
                     std::span<const float> cosines, std::span<const std::uint32_t> best);

/// 0..1, rising in each of them.
float confidence_of(const Evidence& evidence);

}  // namespace memory::recall
