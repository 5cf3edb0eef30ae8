#include "memory/recall/confidence.h"

#include <algorithm>
#include <cmath>

namespace memory::recall {
namespace {

/// How many of the first hits may have the evidence.
constexpr std::size_t kHits = 3;

float of_candidate(const KeywordParts& parts, std::uint32_t at, std::size_t word) {
    return at == kNone ? 0.f : parts.own[at * parts.words + word];
}

bool is_near(const Candidates& candidates, const KeywordParts& parts, std::uint32_t at,
             std::size_t word) {
    return of_candidate(parts, at, word) > 0 ||
           of_candidate(parts, candidates.before[at], word) > 0 ||
           of_candidate(parts, candidates.after[at], word) > 0;
}

}  // namespace

Evidence evidence_of(const Candidates& candidates, const KeywordParts& parts,
                     std::span<const float> cosines, std::span<const std::uint32_t> best) {
    Evidence evidence;
    evidence.vectors = !cosines.empty();
    float asked = 0, rarest = 0;
    for (const float idf : parts.idf) {
        asked += idf;
        rarest = std::max(rarest, idf);
    }
    for (const std::uint32_t at : best.first(std::min(best.size(), kHits))) {
        float found = 0, rarest_here = 0;
        for (std::size_t word = 0; word < parts.words; ++word) {
            if (!is_near(candidates, parts, at, word)) continue;
            found += parts.idf[word];
            rarest_here = std::max(rarest_here, parts.idf[word]);
        }
        if (asked > 0) evidence.coverage = std::max(evidence.coverage, found / asked);
        if (rarest > 0)
            evidence.rarest_found = std::max(evidence.rarest_found, rarest_here / rarest);
        if (evidence.vectors) evidence.cosine = std::max(evidence.cosine, cosines[at]);
    }
    return evidence;
}

float confidence_of(const Evidence& evidence) {
    const float words = 6.f * evidence.coverage + 2.f * evidence.rarest_found;
    const float meaning = evidence.vectors ? 4.f * evidence.cosine - 2.f : 0.f;
    return 1.f / (1.f + std::exp(4.f - words - meaning));
}

}  // namespace memory::recall
