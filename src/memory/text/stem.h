#pragma once
// English word endings, and the words that say little.

#include <string>
#include <string_view>

namespace memory::text {

/// The stem of a folded ASCII word by Porter's second English algorithm; other words as they are.
/// Thread-safe.
std::string stem(std::string_view word);

/// "the", "of", "don't", ...; and what Chinese questions are made of. Folded, not stemmed.
bool is_stop_word(std::string_view word);

}  // namespace memory::text
