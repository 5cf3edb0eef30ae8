#pragma once
// UTF-8, byte by byte: what the tokenizers and the template engine share. Strict: overlong forms,
// surrogates and code points past U+10FFFF are invalid.

#include <cstdint>
#include <string>
#include <string_view>

namespace base {

struct Utf8Char {
    char32_t code = 0xFFFD;   ///< U+FFFD when invalid
    std::uint32_t bytes = 1;  ///< how far to step: 1 when invalid
    bool valid = false;
};

/// The character that starts at byte `at`. Pre: at < text.size().
Utf8Char utf8_at(std::string_view text, std::size_t at);

/// Bytes of the longest valid prefix.
std::size_t utf8_valid_prefix_bytes(std::string_view text);

/// Characters in `text`; an invalid byte counts as one.
std::size_t utf8_length(std::string_view text);

/// Appends `code`, or U+FFFD when it is not a Unicode scalar value.
void append_utf8(std::string& out, char32_t code);

}  // namespace base
