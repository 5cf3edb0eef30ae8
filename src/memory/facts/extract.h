#pragma once
// Statements in plain English and Chinese text, by rules: who moved where, works at what, likes
// what, is called how, and until when. No model; what the rules do not see is not made up.

#include <string_view>
#include <vector>

#include "memory/facts/fact.h"

namespace memory::facts {

struct ExtractContext {
    Scope scope;
    std::string speaker = {};    ///< whom "I" and "my" mean
    std::string listener = {};   ///< whom "you" means, when known
    UnixMs said_at_unix_ms = 0;  ///< what "yesterday" and "since May" are counted from
    std::string source = {};     ///< the memory's id, for the spans
};

/// A statement that takes another back ("I no longer work at X", "that was wrong") comes with
/// `retracts`.
struct Extracted {
    Assertion assertion;
    bool retracts = false;  ///< ends the matching fact at valid_from instead of asserting
};

std::vector<Extracted> extract(std::string_view text, const ExtractContext& context);

}  // namespace memory::facts
