#pragma once
// Byte-level vocabularies are stored as text: each of the 256 bytes is written as one printable
// character. Printable Latin-1 bytes stand for themselves, the rest for U+0100 onwards, in order.
// Source: Radford et al. 2019 (GPT-2), bytes_to_unicode.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace engine {

class ByteAlphabet {
public:
    ByteAlphabet();

    /// The bytes a stored token stands for. Characters outside the alphabet stay as they are: they
    /// occur in control tokens, which are stored as plain text.
    std::string bytes_of(std::string_view stored) const;
    /// The same, in place of what `out` held: a vocabulary has some 500,000 such texts.
    void write_bytes_of(std::string_view stored, std::string& out) const;
    /// The character that stands for one byte.
    char32_t character_of(unsigned char byte) const { return characters_[byte]; }

private:
    std::array<char32_t, 256> characters_{};
    std::array<std::int16_t, 512> bytes_{};  ///< by code point; -1: not in the alphabet
};

}  // namespace engine
