#include "memory/recall/candidates.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace memory::recall {
namespace {

class Gatherer {
public:
    explicit Gatherer(std::size_t seeds) {
        const std::size_t most = seeds * (2 * kReach + 1);
        places_.assign(std::bit_ceil(2 * most + 1), kNone);
        out.slots.reserve(most);
        out.before.reserve(most);
        out.after.reserve(most);
    }

    std::uint32_t add(index::Slot slot) {
        // Open addressing: never more than half full.
        const std::size_t mask = places_.size() - 1;
        std::size_t at = (slot * 0x9E3779B9u >> 7) & mask;
        for (; places_[at] != kNone; at = (at + 1) & mask) {
            if (out.slots[places_[at]] == slot) return places_[at];
        }
        out.slots.push_back(slot);
        out.before.push_back(kNone);
        out.after.push_back(kNone);
        return places_[at] = static_cast<std::uint32_t>(out.slots.size() - 1);
    }

    void add_chain(std::span<const index::Slot> chain) {
        std::uint32_t last = kNone;
        for (const index::Slot slot : chain) {
            const std::uint32_t at = add(slot);
            if (last != kNone) {
                out.after[last] = at;
                out.before[at] = last;
            }
            last = at;
        }
    }

    Candidates out;

private:
    std::vector<std::uint32_t> places_;  ///< in out.slots
};

void number_sessions(Candidates& candidates) {
    std::unordered_map<std::uint32_t, std::uint32_t> numbers;
    for (const index::SlotFacts& facts : candidates.facts) {
        std::uint32_t number = candidates.sessions;
        if (facts.session != 0) number = numbers.try_emplace(facts.session, number).first->second;
        if (number == candidates.sessions) ++candidates.sessions;
        candidates.session.push_back(number);
    }
}

/// Calls visit(value, weight) for every neighbour within reach.
template <class Visit>
void each_neighbour(const std::vector<std::uint32_t>& step, std::size_t from,
                    std::span<const float> values, std::span<const float, kReach> weights,
                    Visit visit) {
    std::uint32_t at = step[from];
    for (std::uint32_t distance = 0; distance < kReach && at != kNone; ++distance) {
        visit(values[at], weights[distance]);
        at = step[at];
    }
}

}  // namespace

Candidates gather(const index::Reader& reader, const index::Selection& selection,
                  std::span<const index::Slot> seeds, bool neighbours) {
    Gatherer gatherer(seeds.size());
    std::vector<index::Slot> chain;
    for (const index::Slot seed : seeds) {
        if (neighbours) {
            reader.around(seed, kReach, chain);
            gatherer.add_chain(chain);
        } else {
            gatherer.add(seed);
        }
    }
    Candidates out = std::move(gatherer.out);
    out.allowed.reserve(out.size());
    out.facts.reserve(out.size());
    for (const index::Slot slot : out.slots) {
        out.allowed.push_back(reader.selected(selection, slot));
        out.facts.push_back(reader.facts(slot));
    }
    number_sessions(out);
    return out;
}

std::vector<float> spread_greatest(const Candidates& candidates, std::span<const float> values,
                                   std::span<const float, kReach> weights) {
    std::vector<float> out(values.begin(), values.end());
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto raise = [&](float value, float weight) {
            out[i] = std::max(out[i], value * weight);
        };
        each_neighbour(candidates.before, i, values, weights, raise);
        each_neighbour(candidates.after, i, values, weights, raise);
    }
    return out;
}

std::vector<float> spread_mean(const Candidates& candidates, std::span<const float> values,
                               std::span<const float, kReach> weights) {
    std::vector<float> out(values.begin(), values.end());
    for (std::size_t i = 0; i < out.size(); ++i) {
        float mass = 1.f;
        const auto mix = [&](float value, float weight) {
            out[i] += value * weight;
            mass += weight;
        };
        each_neighbour(candidates.before, i, values, weights, mix);
        each_neighbour(candidates.after, i, values, weights, mix);
        out[i] /= mass;
    }
    return out;
}

}  // namespace memory::recall
