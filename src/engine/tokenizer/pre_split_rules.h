#pragma once
// The table of pre-split rules by name. Internal to the tokenizer.

#include <array>
#include <string>
#include <string_view>

namespace engine {

/// Expressions in PCRE2 syntax, applied one after the other: each cuts the pieces the one before
/// left into matches and what lies between them.
struct PreSplitRule {
    std::array<std::string_view, 6> patterns;
    bool ignores_merges = false;
    bool adds_bos = false;
};

/// nullptr when the name is not known.
const PreSplitRule* find_pre_split_rule(std::string_view name);

/// Their names, comma-separated, for an error message.
std::string known_pre_split_rules();

}  // namespace engine
