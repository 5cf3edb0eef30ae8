#pragma once
// How text becomes terms, the same for what is written and what is asked: NFKC, case folded, light
// English stems, pairs of CJK characters, identifiers whole and split (`parseHTTPHeader`,
// `err_no-42`, `v1.2.3`).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memory::text {

struct Term {
    std::string text;
    std::uint32_t position = 0;        ///< counts words; parts of an identifier share its position
    std::uint32_t begin = 0, end = 0;  ///< bytes of the input, for highlighting
    bool part = false;                 ///< of an identifier that is a term itself
    bool stop_word = false;            ///< "the", "of", ...: counts in phrases, not in scores
};

/// Never fails: bytes that are not UTF-8 are separators. Linear in time.
std::vector<Term> analyze(std::string_view text);

/// Tokens that a language model would roughly count, for budgets: within 15 % of common BPE
/// vocabularies on English and Chinese text.
std::uint32_t count_tokens(std::string_view text);

}  // namespace memory::text
