#pragma once
// What speaks for an entry: each signal gives every candidate a part in [0, 1]. How much a part
// counts is said by SignalWeights alone.

#include <span>
#include <vector>

#include "memory/query.h"
#include "memory/recall/candidates.h"
#include "memory/recall/question.h"

namespace memory::recall {

/// BM25 by word. `own`: [candidates][words]. With it, because they are read in the same place:
/// whether an entry is by one whom the question names, and whether it asks something.
struct KeywordParts {
    std::size_t words = 0;
    std::vector<float> own;
    std::vector<float> idf;  ///< of each word of the question, known to the index or not
    std::vector<bool> named, asks;
};
KeywordParts keyword_parts(index::Reader& reader, const Question& question,
                           const Candidates& candidates);

/// The sum over words of the best of an entry's own score and its neighbours', against the best
/// candidate's.
std::vector<float> keyword_signal(const Candidates& candidates, const KeywordParts& parts);

/// Per word the best entry of its session, summed, against the best session's: what a session is
/// about counts for all of it.
std::vector<float> session_signal(const Candidates& candidates, const KeywordParts& parts);

/// The cosine, smoothed over neighbours, by its distance from the candidates' mean in standard
/// deviations: models differ in where their cosines lie, questions too. -1 deviation is 0, 4 are 1.
std::vector<float> vector_signal(const Candidates& candidates, std::span<const float> cosines);

/// 1: one whom the question names said it.
std::vector<float> entity_signal(const KeywordParts& parts);

/// How much an entry tells, whatever the question: statements over questions, long ones over short
/// ones up to four times the mean.
std::vector<float> substance_signal(const Candidates& candidates, const KeywordParts& parts);

/// 1: it happened, or was true, in the time asked for; less the further away, by the length of that
/// time. All 0 when the question names none.
std::vector<float> time_signal(const Question& question, const Candidates& candidates);

/// How near an entry's facts are to the names in the question, as `near` says.
std::vector<float> graph_signal(const Candidates& candidates, std::span<const index::Scored> near);

/// Bounded factors of recency, importance and access: fills those three of `parts`.
void apply_factors(const index::SlotFacts& facts, const SignalWeights& weights, UnixMs now,
                   ScoreParts& parts);

}  // namespace memory::recall
