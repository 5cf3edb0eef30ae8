#pragma once
// Regular expressions as JSON Schema uses them: the part of ECMA-262 that is a regular language.
// Look-around, back-references, word boundaries and \p{..} are refused by name.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/constrain/char_class.h"

namespace engine::constrain {

enum class RegexKind : std::uint8_t { chars, sequence, choice, repeat };

/// A parsed expression; matching is of the whole text (what anchors leave open is `.*` in here).
struct Regex {
    RegexKind kind = RegexKind::sequence;
    CharClass chars;
    std::vector<Regex> children;
    std::uint32_t min = 0, max = 0;  ///< repeat
};

/// Whether a pattern without ^ and $ may match in the midst of a text (JSON Schema), or is about
/// the whole text in any case.
enum class Anchors : std::uint8_t { as_written, implied };

/// Errors: invalid_argument (syntax), unimplemented (names the construct).
base::Result<Regex> parse_regex(std::string_view pattern, Anchors anchors = Anchors::as_written);

struct LengthRange {
    std::uint64_t min = 0, max = 0;  ///< characters; max = kUnbounded: no upper bound
};
LengthRange regex_length(const Regex& regex);

/// Narrows the expression to texts of min..max characters. Exact, so it works only when at most one
/// part of a sequence varies in length. Errors: unimplemented otherwise.
base::Result<Regex> bound_length(Regex regex, std::uint64_t min, std::uint64_t max);

enum class Spelling : std::uint8_t { utf8, json };
NodeId regex_node(GrammarBuilder& builder, const Regex& regex, Spelling spelling);

/// Whether all of `text` (UTF-8) matches.
bool regex_matches(const Regex& regex, std::string_view text);

}  // namespace engine::constrain
