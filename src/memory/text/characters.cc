#include "memory/text/characters.h"

#include <utf8proc.h>

#include <cstdlib>
#include <initializer_list>

namespace memory::text {
namespace {

struct Range {
    char32_t first, last;
};

bool within(char32_t code, std::initializer_list<Range> ranges) {
    for (const Range& range : ranges) {
        if (code < range.first) return false;
        if (code <= range.last) return true;
    }
    return false;
}

/// Ascending. Thai, Lao, Burmese and Khmer, then what is written in China and Japan.
bool is_pair(char32_t code) {
    return within(code, {{0x0E00, 0x0EFF},
                         {0x1000, 0x109F},
                         {0x1780, 0x17FF},
                         {0x2E80, 0x2FDF},
                         {0x3005, 0x3007},
                         {0x3021, 0x3029},
                         {0x3031, 0x3035},
                         {0x3038, 0x303B},
                         {0x3041, 0x30FF},
                         {0x3105, 0x312F},
                         {0x31A0, 0x31BF},
                         {0x31F0, 0x31FF},
                         {0x3400, 0x4DBF},
                         {0x4E00, 0x9FFF},
                         {0xF900, 0xFAFF},
                         {0xFF66, 0xFF9D},
                         {0x1B000, 0x1B16F},
                         {0x20000, 0x3FFFF}});
}

bool is_hangul(char32_t code) {
    return within(
        code,
        {{0x1100, 0x11FF}, {0x3131, 0x318E}, {0xA960, 0xA97F}, {0xAC00, 0xD7FF}, {0xFFA0, 0xFFDC}});
}

Kind ascii_kind(char32_t code) {
    if ((code | 0x20) >= 'a' && (code | 0x20) <= 'z') return Kind::letter;
    return code >= '0' && code <= '9' ? Kind::digit : Kind::other;
}

}  // namespace

Kind kind_of(char32_t code) {
    if (code < 0x80) return ascii_kind(code);
    if (code == 0xFF9E || code == 0xFF9F)
        return Kind::mark;  // voices the half-width kana before it
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
        case UTF8PROC_CATEGORY_NL:
            if (is_pair(code)) return Kind::pair;
            return is_hangul(code) ? Kind::hangul : Kind::letter;
        case UTF8PROC_CATEGORY_ND:
            return Kind::digit;
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
        case UTF8PROC_CATEGORY_ME:
        case UTF8PROC_CATEGORY_CF:
            return Kind::mark;  // soft hyphens and joiners, too
        default:
            return Kind::other;
    }
}

bool is_upper(char32_t code) {
    if (code < 0x80) return code >= 'A' && code <= 'Z';
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
}

std::string fold(std::string_view text) {
    std::string out;
    bool ascii = true;
    for (const char c : text) ascii = ascii && static_cast<unsigned char>(c) < 0x80;
    if (ascii) {
        out.reserve(text.size());
        for (const char c : text)
            out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c);
        return out;
    }
    utf8proc_uint8_t* folded = nullptr;
    const auto flags = static_cast<utf8proc_option_t>(
        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    const utf8proc_ssize_t size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                     static_cast<utf8proc_ssize_t>(text.size()), &folded, flags);
    if (size > 0) out.assign(reinterpret_cast<const char*>(folded), static_cast<std::size_t>(size));
    std::free(folded);
    return out;
}

}  // namespace memory::text
