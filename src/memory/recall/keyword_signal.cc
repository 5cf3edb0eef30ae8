#include <algorithm>
#include <cmath>

#include "memory/recall/signals.h"
#include "memory/text/marks.h"

namespace memory::recall {
namespace {

/// What a neighbour's word counts, at distance 1 and 2: an answer seldom repeats the question's
/// words. Chosen on LoCoMo; anything near does as well.
constexpr float kNeighbourWeights[kReach] = {.7f, .4f};

void divide_by_greatest(std::vector<float>& values) {
    const float greatest = values.empty() ? 0.f : *std::ranges::max_element(values);
    if (greatest <= 0) return;
    for (float& value : values) value /= greatest;
}

}  // namespace

KeywordParts keyword_parts(index::Reader& reader, const Question& question,
                           const Candidates& candidates) {
    KeywordParts parts;
    parts.words = question.words.terms.size();
    const double entries = reader.live();
    for (const auto& term : question.words.terms) {
        const double having = std::min<double>(reader.document_frequency(term.text), entries);
        parts.idf.push_back(
            static_cast<float>(std::log1p((entries - having + .5) / (having + .5))));
    }
    // One pass over what the candidates say, whatever is asked of it.
    index::KeywordQuery all = question.words;
    for (const auto& mark : question.speakers.terms) all.terms.push_back(mark);
    all.terms.push_back({std::string(text::kAsksMark), 1.f});
    const std::size_t asks = all.terms.size() - 1;
    const std::vector<float> of_all = reader.keyword_parts_of(all, candidates.slots);
    parts.own.reserve(candidates.size() * parts.words);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const auto row = std::span(of_all).subspan(i * all.terms.size(), all.terms.size());
        const auto own = row.first(parts.words);
        parts.own.insert(parts.own.end(), own.begin(), own.end());
        parts.named.push_back(std::ranges::any_of(row.subspan(parts.words, asks - parts.words),
                                                  [](float part) { return part > 0; }));
        parts.asks.push_back(row[asks] > 0);
    }
    return parts;
}

std::vector<float> keyword_signal(const Candidates& candidates, const KeywordParts& parts) {
    std::vector<float> out(candidates.size());
    std::vector<float> of_word(candidates.size());
    for (std::size_t word = 0; word < parts.words; ++word) {
        for (std::size_t i = 0; i < of_word.size(); ++i) {
            of_word[i] = parts.own[i * parts.words + word];
        }
        const std::vector<float> spread = spread_greatest(candidates, of_word, kNeighbourWeights);
        for (std::size_t i = 0; i < out.size(); ++i) out[i] += spread[i];
    }
    divide_by_greatest(out);
    return out;
}

std::vector<float> session_signal(const Candidates& candidates, const KeywordParts& parts) {
    std::vector<float> best(candidates.sessions * parts.words);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        float* of_session = best.data() + candidates.session[i] * parts.words;
        for (std::size_t word = 0; word < parts.words; ++word) {
            of_session[word] = std::max(of_session[word], parts.own[i * parts.words + word]);
        }
    }
    std::vector<float> sums(candidates.sessions);
    for (std::size_t s = 0; s < sums.size(); ++s) {
        for (std::size_t word = 0; word < parts.words; ++word) {
            sums[s] += best[s * parts.words + word];
        }
    }
    divide_by_greatest(sums);
    std::vector<float> out(candidates.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = sums[candidates.session[i]];
    return out;
}

}  // namespace memory::recall
