#include "base/core/utf8.h"
#include "memory/text/analyzer.h"
#include "memory/text/characters.h"

namespace memory::text {

std::uint32_t count_tokens(std::string_view text) {
    // In tenths of a token; the vocabularies that were counted are named in the test.
    std::uint64_t tenths = 0;
    std::size_t letters = 0, digits = 0, marks = 0;
    const auto end_word = [&] {
        // Common words are one token; what is longer than most words is several.
        if (letters > 0) tenths += 10 + (letters > 6 ? (letters - 6) * 2 : 0);
        tenths += (digits + 2) / 3 * 10;
        tenths += (marks + 1) / 2 * 10;
        letters = digits = marks = 0;
    };
    for (std::size_t at = 0; at < text.size();) {
        const base::Utf8Char c = base::utf8_at(text, at);
        at += c.bytes;
        const Kind kind = c.valid ? kind_of(c.code) : Kind::other;
        const bool is_mark = kind == Kind::other && c.code != ' ';
        if ((kind != Kind::letter && letters > 0) || (kind != Kind::digit && digits > 0) ||
            (!is_mark && marks > 0)) {
            end_word();
        }
        if (kind == Kind::letter) letters += c.code < 0x80 ? 1 : 2;
        if (kind == Kind::digit) ++digits;
        if (is_mark) ++marks;
        if (kind == Kind::pair || kind == Kind::hangul) tenths += 9;
    }
    end_word();
    return static_cast<std::uint32_t>((tenths + 9) / 10);
}

}  // namespace memory::text
