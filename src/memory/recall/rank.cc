// The whole of ranking, in order: seeds of each signal, candidates around them, parts, one score.

#include <algorithm>
#include <numeric>

#include "base/core/result.h"
#include "memory/recall/confidence.h"
#include "memory/recall/recall.h"
#include "memory/recall/signals.h"

namespace memory::recall {
namespace {

/// Entries that each signal brings. More than this finds nothing that would end up among the first
/// few; a caller who wants many gets as many.
constexpr std::uint32_t kSeeds = 64;

/// Kept beyond the limit, for what collapses as a duplicate.
constexpr std::uint32_t kSpare = 16;

struct Signals {
    KeywordParts words;
    std::vector<float> cosines;  ///< empty: no vectors
    std::vector<float> keyword, vector, session, entity, substance, time, graph;
};

/// What has no vector, being new or in a language the model does not read, is neither better nor
/// worse for it: its words stand in, on the scale of those that have one.
void stand_in(Signals& s) {
    float greatest = 0;
    for (std::size_t i = 0; i < s.vector.size(); ++i) {
        if (s.cosines[i] != 0) greatest = std::max(greatest, s.vector[i]);
    }
    for (std::size_t i = 0; i < s.vector.size(); ++i) {
        if (s.cosines[i] == 0) s.vector[i] = s.keyword[i] * greatest;
    }
}

Signals measure(index::Reader& reader, const Question& question, const Candidates& candidates,
                std::span<const float> embedding, std::span<const index::Scored> near) {
    Signals s;
    s.words = keyword_parts(reader, question, candidates);
    s.keyword = keyword_signal(candidates, s.words);
    s.session = session_signal(candidates, s.words);
    s.entity = entity_signal(s.words);
    s.substance = substance_signal(candidates, s.words);
    s.time = time_signal(question, candidates);
    s.graph = graph_signal(candidates, near);
    if (!embedding.empty()) {
        s.cosines = reader.vector_of(embedding, candidates.slots);
        s.vector = vector_signal(candidates, s.cosines);
        stand_in(s);
    } else {
        s.vector.resize(candidates.size());
    }
    return s;
}

ScoreParts parts_of(const Signals& s, const Candidates& candidates, std::size_t at,
                    const SignalWeights& weights, UnixMs now) {
    ScoreParts p;
    p.keyword = s.keyword[at];
    p.vector = s.vector[at];
    p.session = s.session[at];
    p.entity = s.entity[at];
    p.substance = s.substance[at];
    p.time = s.time[at];
    p.graph = s.graph[at];
    apply_factors(candidates.facts[at], weights, now, p);
    p.total = weights.keyword * p.keyword + weights.vector * p.vector +
              weights.session * p.session + weights.entity * p.entity +
              weights.substance * p.substance + weights.time * p.time + weights.graph * p.graph;
    p.total *= p.recency * p.importance * p.access;
    return p;
}

std::vector<std::string> terms_of(const Signals& s, const Question& question, std::size_t at) {
    std::vector<std::string> terms;
    for (std::size_t word = 0; word < s.words.words; ++word) {
        if (s.words.own[at * s.words.words + word] > 0) {
            terms.push_back(question.words.terms[word].text);
        }
    }
    return terms;
}

base::Result<std::vector<index::Slot>> find_seeds(index::Reader& reader, const Query& query,
                                                  const Question& question,
                                                  std::span<const float> embedding,
                                                  const index::Selection& selection) {
    const std::uint32_t limit = std::max(kSeeds, query.limit + kSpare);
    std::vector<index::Slot> seeds;
    for (const index::Scored& hit : reader.keyword(question.words, selection, limit)) {
        seeds.push_back(hit.slot);
    }
    if (!embedding.empty()) {
        const auto nearest =
            DG_TRY(reader.vector(embedding, selection, limit, query.vector_recall));
        for (const index::Scored& hit : nearest) seeds.push_back(hit.slot);
    }
    return seeds;
}

}  // namespace

base::Result<Ranking> rank(index::Reader& reader, const Query& query,
                           std::span<const float> embedding, const SignalWeights& weights,
                           UnixMs now, std::span<const index::Scored> near) {
    // A text that says nothing to the embedder has a vector of zeros.
    const bool has_vector = std::ranges::any_of(embedding, [](float x) { return x != 0; });
    if (weights.vector <= 0 || !has_vector) embedding = {};
    const UnixMs as_of = query.as_of_unix_ms != 0 ? query.as_of_unix_ms : now;
    const Question question = read_question(query.text, as_of);
    const auto selection = DG_TRY(reader.select(query.filter, now));
    Ranking ranking;
    ranking.candidates = reader.count(*selection);
    std::vector<index::Slot> seeds =
        DG_TRY(find_seeds(reader, query, question, embedding, *selection));
    for (const index::Scored& one : near) {
        if (reader.selected(*selection, one.slot)) seeds.push_back(one.slot);
    }
    const Candidates candidates = gather(reader, *selection, seeds, true);
    const Signals signals = measure(reader, question, candidates, embedding, near);

    std::vector<ScoreParts> parts(candidates.size());
    std::vector<std::uint32_t> order;
    for (std::uint32_t at = 0; at < parts.size(); ++at) {
        if (!candidates.allowed[at]) continue;
        parts[at] = parts_of(signals, candidates, at, weights, as_of);
        order.push_back(at);
    }
    const std::size_t kept = std::min<std::size_t>(order.size(), query.limit + kSpare);
    std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(kept),
                              [&](std::uint32_t a, std::uint32_t b) {
                                  if (parts[a].total != parts[b].total) {
                                      return parts[a].total > parts[b].total;
                                  }
                                  return candidates.slots[a] < candidates.slots[b];
                              });
    order.resize(kept);
    ranking.confidence =
        order.empty()
            ? 0.f
            : confidence_of(evidence_of(candidates, signals.words, signals.cosines, order));
    for (const std::uint32_t at : order) {
        if (query.explain) parts[at].terms = terms_of(signals, question, at);
        const index::Slot slot = candidates.slots[at];
        ranking.ranked.push_back({slot, std::move(parts[at]), reader.words_of(slot)});
    }
    if (query.explain) ranking.plan = reader.plan();
    return ranking;
}

}  // namespace memory::recall
