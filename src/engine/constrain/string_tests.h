#pragma once
// Strings that pass several tests at once: patterns, opposites of patterns, and a length. A grammar
// cannot intersect, an automaton can: the tests are run side by side as one, and its states become
// rules.

#include <span>
#include <string>
#include <vector>

#include "engine/constrain/regex.h"

namespace engine::constrain {

struct StringTest {
    Regex regex;
    bool negated = false;  ///< passes the texts that do not match
};

/// Exactly these texts.
Regex regex_of(std::span<const std::string> texts);

/// The inside of a JSON string of min..max characters that passes all tests. Errors: unimplemented
/// when that takes over 3,000 states: large lengths beside patterns.
base::Result<NodeId> tested_string(GrammarBuilder& builder, std::span<const StringTest> tests,
                                   std::uint64_t min, std::uint64_t max);

}  // namespace engine::constrain
