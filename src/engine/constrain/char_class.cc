#include "engine/constrain/char_class.h"

#include <fmt/format.h>

#include <algorithm>

namespace engine::constrain {
namespace {

/// Splits [first, last], both of `length` UTF-8 bytes, into sequences of byte ranges.
class Utf8Ranges {
public:
    Utf8Ranges(GrammarBuilder& builder, std::vector<NodeId>& out) : builder_(builder), out_(out) {}

    void add(std::uint32_t first, std::uint32_t last) {
        constexpr std::uint32_t kLastOfLength[] = {0x7F, 0x7FF, 0xD7FF, 0xFFFF, kCodePointMax};
        constexpr std::uint32_t kFirstOfLength[] = {0, 0x80, 0x800, 0xE000, 0x10000};
        constexpr int kLength[] = {1, 2, 3, 3, 4};  // the surrogates between are no characters
        for (int i = 0; i < 5; ++i) {
            const std::uint32_t from = std::max(first, kFirstOfLength[i]);
            const std::uint32_t to = std::min(last, kLastOfLength[i]);
            if (from <= to) split(from, to, kLength[i]);
        }
    }
    ByteSet ascii;

private:
    void split(std::uint32_t first, std::uint32_t last, int length) {
        if (length == 1) {
            ascii |=
                ByteSet::range(static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last));
            return;
        }
        // Every continuation byte must be either fixed or free on its whole range.
        for (int low = 1; low < length; ++low) {
            const std::uint32_t mask = (1u << (6 * low)) - 1;
            if ((first & ~mask) == (last & ~mask)) continue;
            if ((first & mask) != 0) {
                split(first, first | mask, length);
                return split((first | mask) + 1, last, length);
            }
            if ((last & mask) != mask) {
                split(first, (last & ~mask) - 1, length);
                return split(last & ~mask, last, length);
            }
        }
        constexpr std::uint32_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
        std::vector<NodeId> parts;
        for (int i = length - 1; i >= 0; --i) {
            const std::uint32_t tag = i == length - 1 ? kLead[length] : 0x80;
            parts.push_back(builder_.bytes(
                ByteSet::range(static_cast<std::uint8_t>(tag | ((first >> (6 * i)) & 0x3F)),
                               static_cast<std::uint8_t>(tag | ((last >> (6 * i)) & 0x3F)))));
        }
        out_.push_back(builder_.sequence(std::move(parts)));
    }

    GrammarBuilder& builder_;
    std::vector<NodeId>& out_;
};

const CharClass& escaped_chars() {
    static const CharClass chars = [] {
        CharClass set = CharClass::of(0, 0x1F);
        set.add('"', '"');
        set.add('\\', '\\');
        return set;
    }();
    return chars;
}

ByteSet set_of(std::string_view bytes) {
    ByteSet set;
    for (const char c : bytes) set.add(static_cast<std::uint8_t>(c));
    return set;
}

/// \uXXXX of any character; surrogates only as a pair.
NodeId unicode_escape(GrammarBuilder& b) {
    const NodeId first_not_d = b.bytes(set_of("0123456789abcefABCEF"));
    const NodeId d = b.bytes(set_of("dD"));
    const NodeId low_digit = b.bytes(set_of("01234567"));
    const NodeId plain = b.choice({b.sequence({first_not_d, hex_digits(b, 3)}),
                                   b.sequence({d, low_digit, hex_digits(b, 2)})});
    const NodeId pair =
        b.sequence({d, b.bytes(set_of("89abAB")), hex_digits(b, 2), b.literal("\\u"), d,
                    b.bytes(set_of("cdefCDEF")), hex_digits(b, 2)});
    return b.sequence({b.literal("\\u"), b.choice({plain, pair})});
}

/// The escapes of the characters that need one.
void add_needed_escapes(GrammarBuilder& b, const CharClass& chars, std::vector<NodeId>& out) {
    ByteSet shorts;
    constexpr std::pair<char, char> kShort[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                                {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    for (const auto& [code, letter] : kShort) {
        if (chars.has(static_cast<std::uint32_t>(code))) {
            shorts.add(static_cast<std::uint8_t>(letter));
        }
    }
    if (!shorts.empty()) out.push_back(b.sequence({b.literal("\\"), b.bytes(shorts)}));
    for (std::uint32_t code = 0; code < 0x20; ++code) {
        if (chars.has(code)) out.push_back(b.literal(fmt::format("\\u{:04x}", code)));
    }
}

}  // namespace

CharClass CharClass::of(std::uint32_t first, std::uint32_t last) {
    CharClass chars;
    chars.add(first, last);
    return chars;
}

void CharClass::add(std::uint32_t first, std::uint32_t last) {
    std::vector<Range> merged;
    for (const Range& range : ranges_) {
        if (range.last + 1 < first || last + 1 < range.first) {
            merged.push_back(range);
        } else {
            first = std::min(first, range.first);
            last = std::max(last, range.last);
        }
    }
    merged.push_back({first, last});
    std::sort(merged.begin(), merged.end(),
              [](const Range& a, const Range& b) { return a.first < b.first; });
    ranges_ = std::move(merged);
}

void CharClass::add(const CharClass& other) {
    for (const Range& range : other.ranges_) add(range.first, range.last);
}

CharClass CharClass::complement() const {
    CharClass rest;
    std::uint32_t next = 0;
    for (const Range& range : ranges_) {
        if (range.first > next) rest.ranges_.push_back({next, range.first - 1});
        next = range.last + 1;
    }
    if (next <= kCodePointMax) rest.ranges_.push_back({next, kCodePointMax});
    return rest;
}

CharClass CharClass::minus(const CharClass& other) const {
    CharClass outside = complement();
    outside.add(other);
    return outside.complement();
}

bool CharClass::has(std::uint32_t code) const {
    return std::any_of(ranges_.begin(), ranges_.end(), [code](const Range& range) {
        return range.first <= code && code <= range.last;
    });
}

const CharClass& text_chars() {
    static const CharClass chars = [] {
        CharClass set = CharClass::of(0x20, 0x7E);
        set.add(0xA0, 0x2027);
        set.add(0x202A, 0xD7FF);
        set.add(0xE000, kCodePointMax);
        return set.minus(escaped_chars());
    }();
    return chars;
}

NodeId utf8_char(GrammarBuilder& builder, const CharClass& chars) {
    std::vector<NodeId> forms;
    Utf8Ranges ranges(builder, forms);
    for (const auto& range : chars.ranges()) ranges.add(range.first, range.last);
    if (!ranges.ascii.empty()) forms.push_back(builder.bytes(ranges.ascii));
    const NodeId node = builder.choice(std::move(forms));
    if (text_chars().minus(chars).empty()) builder.mark_takes_text(node);
    return node;
}

NodeId json_char(GrammarBuilder& builder, const CharClass& chars, bool any_escape) {
    std::string name = any_escape ? "any json char" : "json char";
    for (const auto& range : chars.ranges()) name += fmt::format(" {}-{}", range.first, range.last);
    NodeId& known = builder.remembered(name);
    if (known >= 0) return known;
    std::vector<NodeId> forms{utf8_char(builder, chars.minus(escaped_chars()))};
    if (any_escape) {
        forms.push_back(
            builder.sequence({builder.literal("\\"), builder.bytes(set_of("\"\\/bfnrt"))}));
        forms.push_back(unicode_escape(builder));
    } else {
        add_needed_escapes(builder, chars, forms);
    }
    return known = builder.choice(std::move(forms));
}

NodeId hex_digits(GrammarBuilder& builder, std::uint32_t count) {
    return builder.repeat(builder.bytes(set_of("0123456789abcdefABCDEF")), count, count);
}

}  // namespace engine::constrain
