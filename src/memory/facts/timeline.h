#pragma once
// The fold from assertions to what holds. Pure: the same assertions give the same timeline in any
// order of arrival.

#include <span>
#include <vector>

#include "memory/facts/fact.h"

namespace memory::facts {

struct Timeline {
    std::vector<Fact> facts;  ///< by from, then by recording
    std::vector<Contradiction> contradictions;
};

/// `said`: assertions of one subject and predicate, any order. Only what was recorded by
/// `recorded_at` counts, and what was retracted by then does not.
Timeline fold(std::span<const Assertion> said, UnixMs recorded_at);

/// Those of a timeline that hold at `valid_at`; of cardinality one at most one.
std::vector<Fact> at(const Timeline& timeline, UnixMs valid_at);

}  // namespace memory::facts
