#pragma once
// What the analyzer needs to know of a character: to which kind of word it belongs.

#include <cstdint>
#include <string>
#include <string_view>

namespace memory::text {

enum class Kind : std::uint8_t {
    other,   ///< spaces, punctuation, symbols, bytes that are not UTF-8
    letter,  ///< of scripts that put spaces between words
    digit,   ///< decimal, of any script
    mark,    ///< combines with the character before it
    pair,    ///< Han, kana, and scripts without spaces: found by pairs
    hangul,  ///< found by pairs, apart from Han
};

Kind kind_of(char32_t code);

/// Upper case, for the humps of camelCase.
bool is_upper(char32_t code);

/// NFKC with case folded, and what is invisible dropped. Pre: valid UTF-8.
std::string fold(std::string_view text);

}  // namespace memory::text
