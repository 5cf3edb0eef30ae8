// Signals of what an entry is rather than what it says: who said it, when, how much.

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "memory/recall/signals.h"

namespace memory::recall {
namespace {

constexpr UnixMs kDayMs = 24 * 3600 * 1000;
/// Of what an entry tells: its length's share, the rest is for not being a question.
constexpr float kLengthShare = .67f;
constexpr float kRecencyHalfLifeDays = 30.f;
/// Accesses from which on more make no difference.
constexpr float kAccessesFull = 32.f;

float outside_days(const TimeRange& range, UnixMs from, UnixMs to) {
    if (range.from_unix_ms != 0 && to < range.from_unix_ms) {
        return static_cast<float>(range.from_unix_ms - to) / static_cast<float>(kDayMs);
    }
    if (range.to_unix_ms != 0 && from >= range.to_unix_ms) {
        return static_cast<float>(from - range.to_unix_ms) / static_cast<float>(kDayMs);
    }
    return 0.f;
}

/// `share` in [0, 1] to a factor in [1 - bound, 1 + bound].
float factor(float share, float bound) {
    return 1.f + bound * (2.f * share - 1.f);
}

}  // namespace

std::vector<float> entity_signal(const KeywordParts& parts) {
    std::vector<float> out(parts.named.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = parts.named[i] ? 1.f : 0.f;
    return out;
}

std::vector<float> substance_signal(const Candidates& candidates, const KeywordParts& parts) {
    std::vector<float> out(candidates.size());
    double length_sum = 0;
    for (const index::SlotFacts& facts : candidates.facts) length_sum += facts.length_terms;
    const double mean = length_sum / std::max<double>(1., static_cast<double>(out.size()));
    for (std::size_t i = 0; i < out.size(); ++i) {
        const double doublings = std::log2((candidates.facts[i].length_terms + 1.) / (mean + 1.));
        const auto length = static_cast<float>((std::clamp(doublings, -2., 2.) + 2.) / 4.);
        out[i] = kLengthShare * length + (parts.asks[i] ? 0.f : 1.f - kLengthShare);
    }
    return out;
}

std::vector<float> time_signal(const Question& question, const Candidates& candidates) {
    std::vector<float> out(candidates.size());
    if (!question.time) return out;
    const TimeRange& range = *question.time;
    const float days = std::max(1.f, static_cast<float>(range.to_unix_ms - range.from_unix_ms) /
                                         static_cast<float>(kDayMs));
    for (std::size_t i = 0; i < out.size(); ++i) {
        const index::SlotFacts& facts = candidates.facts[i];
        float away = outside_days(range, facts.created_unix_ms, facts.created_unix_ms);
        if (facts.valid_to_unix_ms != 0) {
            away = std::min(
                away, outside_days(range, facts.valid_from_unix_ms, facts.valid_to_unix_ms - 1));
        }
        out[i] = std::exp2(-away / days);
    }
    return out;
}

std::vector<float> graph_signal(const Candidates& candidates, std::span<const index::Scored> near) {
    std::vector<float> out(candidates.size());
    if (near.empty()) return out;
    std::unordered_map<index::Slot, float> weights;
    for (const index::Scored& one : near) weights.emplace(one.slot, one.score);
    for (std::size_t i = 0; i < out.size(); ++i) {
        if (const auto found = weights.find(candidates.slots[i]); found != weights.end()) {
            out[i] = found->second;
        }
    }
    return out;
}

void apply_factors(const index::SlotFacts& facts, const SignalWeights& weights, UnixMs now,
                   ScoreParts& parts) {
    const float age_days = static_cast<float>(std::max<UnixMs>(0, now - facts.created_unix_ms)) /
                           static_cast<float>(kDayMs);
    parts.recency = factor(std::exp2(-age_days / kRecencyHalfLifeDays), weights.recency_bound);
    parts.importance = factor(std::clamp(facts.importance, 0.f, 1.f), weights.importance_bound);
    const float accesses = std::min(static_cast<float>(facts.access_count), kAccessesFull);
    parts.access =
        factor(.5f + .5f * std::log1p(accesses) / std::log1p(kAccessesFull), weights.access_bound);
}

}  // namespace memory::recall
