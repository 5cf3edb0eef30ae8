#pragma once
// Sets of Unicode characters, and the grammar of one character out of a set: as UTF-8, or as it may
// be written inside a JSON string.

#include <cstdint>
#include <vector>

#include "engine/constrain/grammar.h"

namespace engine::constrain {

constexpr std::uint32_t kCodePointMax = 0x10FFFF;

/// Sorted, disjoint, never adjacent ranges.
class CharClass {
public:
    CharClass() = default;
    static CharClass all() { return of(0, kCodePointMax); }
    static CharClass of(std::uint32_t first, std::uint32_t last);

    void add(std::uint32_t first, std::uint32_t last);
    void add(const CharClass& other);
    CharClass complement() const;
    CharClass minus(const CharClass& other) const;
    bool has(std::uint32_t code) const;
    bool empty() const { return ranges_.empty(); }
    bool operator==(const CharClass&) const = default;

    struct Range {
        std::uint32_t first, last;
        bool operator==(const Range&) const = default;
    };
    const std::vector<Range>& ranges() const { return ranges_; }

private:
    std::vector<Range> ranges_;
};

/// What most tokens consist of, and what all common string rules allow: every character but quotes,
/// backslashes, control characters and line separators.
const CharClass& text_chars();

/// One character of the class in strict UTF-8.
NodeId utf8_char(GrammarBuilder& builder, const CharClass& chars);

/// One character of the class inside a JSON string. Quote, backslash and control characters are
/// written as escapes. Other characters stand for themselves: one spelling for each, except that
/// `any_escape` (only for the class of all characters) also allows \/ and every \uXXXX.
NodeId json_char(GrammarBuilder& builder, const CharClass& chars, bool any_escape = false);

/// Hexadecimal digits, `count` of them.
NodeId hex_digits(GrammarBuilder& builder, std::uint32_t count);

}  // namespace engine::constrain
