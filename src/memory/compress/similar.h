#pragma once
// How alike two texts are, by words, and which sentences say most of several.

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/entry.h"

namespace memory::compress {

/// Words in lower case; pairs of characters of scripts without spaces.
std::set<std::string> word_set(std::string_view text);
/// Shared words of all words, 0..1; 0 when either has none.
float overlap(const std::set<std::string>& a, const std::set<std::string>& b);
/// 0 unless both have the same length above 0.
float cosine(std::span<const float> a, std::span<const float> b);

struct Summary {
    std::string text;
    std::vector<SourceSpan> sentences;
};
/// At most `sentences_max` sentences that together hold most of the words, each weighed by how many
/// entries use it; in the order of `entries`.
Summary summarise(std::span<const Entry* const> entries, std::uint32_t sentences_max);

}  // namespace memory::compress
