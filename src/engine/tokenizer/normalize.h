#pragma once
// Text normalisers that vocabularies were trained behind. None fails: invalid bytes become U+FFFD.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace engine {

/// Unicode normalisation form C of the compatibility decomposition.
std::string to_nfkc(std::string_view text);
/// Unicode canonical decomposition.
std::string to_nfd(std::string_view text);

/// SentencePiece's compiled replacement table: a double-array trie of source texts in 32-bit words,
/// then the zero-terminated replacements.
/// Source: Kanda 2018, Space- and Time-Efficient String Dictionaries (XOR-compressed double array).
class CharsMap {
public:
    CharsMap() = default;
    /// Errors: data_loss when the sizes inside the blob disagree.
    static base::Result<CharsMap> parse(std::string_view blob);

    struct Replacement {
        std::string_view text;
        std::size_t consumed_bytes = 0;  ///< 0: nothing in the table starts the text
    };
    /// The replacement for the longest entry `text` starts with.
    Replacement longest_prefix(std::string_view text) const;

private:
    std::uint32_t word(std::size_t index) const;

    std::string trie_;
    std::string replacements_;
};

}  // namespace engine
