#include "engine/constrain/regex.h"

#include <algorithm>

#include "base/core/utf8.h"
#include "engine/constrain/matcher.h"

namespace engine::constrain {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr int kGroupsMax = 100;               // nesting
constexpr std::uint32_t kCountMax = 100'000;  // in {m,n}

Regex one(CharClass chars) {
    return Regex{RegexKind::chars, std::move(chars), {}, 0, 0};
}

Regex repeat_of(Regex body, std::uint32_t min, std::uint32_t max) {
    Regex repeat{RegexKind::repeat, {}, {}, min, max};
    repeat.children.push_back(std::move(body));
    return repeat;
}

CharClass digits() {
    return CharClass::of('0', '9');
}

CharClass word() {
    CharClass chars = digits();
    chars.add('a', 'z');
    chars.add('A', 'Z');
    chars.add('_', '_');
    return chars;
}

CharClass space() {
    CharClass chars = CharClass::of(9, 13);
    for (const std::uint32_t code : {0x20u, 0xA0u, 0x1680u, 0x202Fu, 0x205Fu, 0x3000u, 0xFEFFu}) {
        chars.add(code, code);
    }
    chars.add(0x2000, 0x200A);
    chars.add(0x2028, 0x2029);
    return chars;
}

CharClass dot() {
    CharClass ends = CharClass::of(0x2028, 0x2029);
    ends.add('\n', '\n');
    ends.add('\r', '\r');
    return ends.complement();
}

class Parser {
public:
    Parser(std::string_view pattern, Anchors anchors)
        : text_(pattern), open_ends_(anchors == Anchors::as_written) {}

    Result<Regex> parse() {
        Regex whole{RegexKind::choice, {}, {}, 0, 0};
        do {
            whole.children.push_back(DG_TRY(anchored_branch()));
        } while (take('|'));
        if (at_ < text_.size()) return error("')' without '('");
        return whole.children.size() == 1 ? std::move(whole.children.front()) : std::move(whole);
    }

private:
    bool done() const { return at_ >= text_.size(); }
    bool peek(char c) const { return !done() && text_[at_] == c; }
    bool take(char c) { return peek(c) && ++at_; }

    std::unexpected<base::Error> error(std::string_view what) const {
        return fail(Code::invalid_argument, "pattern '{}': {} at byte {}", text_, what, at_);
    }
    std::unexpected<base::Error> unsupported(std::string_view what) const {
        return fail(Code::unimplemented, "pattern '{}': {} at byte {} cannot be enforced", text_,
                    what, at_);
    }

    /// A branch at the top, where anchors may stand; open ends match anything.
    Result<Regex> anchored_branch() {
        const bool from_start = take('^');
        Regex branch{RegexKind::sequence, {}, {}, 0, 0};
        if (!from_start && open_ends_)
            branch.children.push_back(repeat_of(one(CharClass::all()), 0, kUnbounded));
        branch.children.push_back(DG_TRY(sequence()));
        if (!take('$') && open_ends_)
            branch.children.push_back(repeat_of(one(CharClass::all()), 0, kUnbounded));
        if (!done() && !peek('|'))
            return peek(')') ? error("')' without '('") : unsupported("'$' inside");
        return branch;
    }

    Result<Regex> choice() {
        Regex node{RegexKind::choice, {}, {}, 0, 0};
        do {
            node.children.push_back(DG_TRY(sequence()));
        } while (take('|'));
        return node.children.size() == 1 ? std::move(node.children.front()) : std::move(node);
    }

    Result<Regex> sequence() {
        Regex node{RegexKind::sequence, {}, {}, 0, 0};
        while (!done() && !peek('|') && !peek(')') && !peek('$')) {
            node.children.push_back(DG_TRY(quantified()));
        }
        return node;
    }

    Result<Regex> quantified() {
        Regex body = DG_TRY(atom());
        while (!done()) {
            std::uint32_t min = 0, max = kUnbounded;
            if (take('*')) {
            } else if (take('+')) {
                min = 1;
            } else if (take('?')) {
                max = 1;
            } else if (peek('{')) {
                if (!DG_TRY(counts(min, max))) break;
            } else {
                break;
            }
            take('?');  // a lazy quantifier matches the same texts
            body = repeat_of(std::move(body), min, max);
        }
        return body;
    }

    /// {m}, {m,} or {m,n}. False when the brace is a plain character, as ECMA allows.
    Result<bool> counts(std::uint32_t& min, std::uint32_t& max) {
        const std::size_t start = at_++;
        const auto number = [&]() -> std::optional<std::uint32_t> {
            std::optional<std::uint32_t> value;
            while (!done() && text_[at_] >= '0' && text_[at_] <= '9') {
                value = std::min(kCountMax + 1, value.value_or(0) * 10 +
                                                    static_cast<std::uint32_t>(text_[at_] - '0'));
                ++at_;
            }
            return value;
        };
        const auto low = number();
        const bool comma = take(',');
        const auto high = comma ? number() : low;
        if (!low || !take('}')) {
            at_ = start;
            return false;
        }
        min = *low;
        max = high.value_or(kUnbounded);
        if (min > kCountMax || (high && max > kCountMax)) return unsupported("a count over 100000");
        if (min > max) return error("a count with its bounds out of order");
        return true;
    }

    Result<Regex> atom() {
        const char c = text_[at_];
        if (c == '(') return group();
        if (c == '[') return one(DG_TRY(bracket()));
        if (c == '*' || c == '+' || c == '?') return error("nothing to repeat");
        if (c == '^') return unsupported("'^' inside");
        if (c == '.') {
            ++at_;
            return one(dot());
        }
        if (c == '\\') {
            ++at_;
            return one(DG_TRY(escape(false)));
        }
        const std::uint32_t code = DG_TRY(character());
        return one(CharClass::of(code, code));
    }

    Result<Regex> group() {
        ++at_;
        if (++depth_ > kGroupsMax) return unsupported("nesting over 100 groups");
        if (take('?')) {
            if (take('<')) {
                if (peek('=') || peek('!')) return unsupported("look-behind");
                while (!done() && !peek('>')) ++at_;
                if (!take('>')) return error("an open group name");
            } else if (!take(':')) {
                return unsupported("look-ahead or a group modifier");
            }
        }
        Regex body = DG_TRY(choice());
        if (peek('$')) return unsupported("'$' inside a group");
        if (!take(')')) return error("an open '('");
        --depth_;
        return body;
    }

    Result<std::uint32_t> character() {
        const base::Utf8Char c = base::utf8_at(text_, at_);
        if (!c.valid) return error("invalid UTF-8");
        at_ += c.bytes;
        return static_cast<std::uint32_t>(c.code);
    }

    Result<std::uint32_t> hex(std::size_t digits_count) {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < digits_count; ++i, ++at_) {
            if (done()) return error("too few hexadecimal digits");
            const char c = text_[at_];
            const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
            if (!letter && (c < '0' || c > '9')) return error("no hexadecimal digit");
            value = value * 16 + static_cast<std::uint32_t>(letter ? (c | 32) - 'a' + 10 : c - '0');
        }
        return value;
    }

    Result<CharClass> escape(bool in_bracket) {
        if (done()) return error("a lone '\\'");
        const char c = text_[at_++];
        const auto is = [](std::uint32_t code) { return CharClass::of(code, code); };
        switch (c) {
            case 'd':
                return digits();
            case 'D':
                return digits().complement();
            case 'w':
                return word();
            case 'W':
                return word().complement();
            case 's':
                return space();
            case 'S':
                return space().complement();
            case 'n':
                return is('\n');
            case 'r':
                return is('\r');
            case 't':
                return is('\t');
            case 'f':
                return is('\f');
            case 'v':
                return is('\v');
            case '0':
                return is(0);
            case 'x':
                return is(DG_TRY(hex(2)));
            case 'u':
                return unicode();
            case 'b':
                if (in_bracket) return is('\b');
                return unsupported("a word boundary");
            case 'c': {
                if (done()) return error("a lone '\\c'");
                return is(static_cast<std::uint32_t>(text_[at_++]) & 31);
            }
            default:
                break;
        }
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return unsupported("this escape");
        if (c >= '1' && c <= '9') return unsupported("a back-reference");
        --at_;
        return is(DG_TRY(character()));
    }

    Result<CharClass> unicode() {
        std::uint32_t code = 0;
        if (take('{')) {
            const std::size_t end = text_.find('}', at_);
            if (end == std::string_view::npos || end - at_ > 6) return error("an open '\\u{'");
            code = DG_TRY(hex(end - at_));
            ++at_;
        } else {
            code = DG_TRY(hex(4));
        }
        if (code > kCodePointMax) return error("a character past U+10FFFF");
        return CharClass::of(code, code);
    }

    Result<CharClass> bracket() {
        ++at_;
        const bool inverted = take('^');
        CharClass chars;
        while (!take(']')) {
            if (done()) return error("an open '['");
            const CharClass first = DG_TRY(bracket_item());
            const bool single =
                first.ranges().size() == 1 && first.ranges()[0].first == first.ranges()[0].last;
            const bool dash = peek('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
            if (!single || !dash) {
                chars.add(first);
                continue;
            }
            ++at_;
            const CharClass last = DG_TRY(bracket_item());
            const auto& range = last.ranges();
            if (range.size() != 1 || range[0].first != range[0].last) {
                chars.add(first);  // as in [a-\d]: the dash is a plain character
                chars.add(last);
                chars.add('-', '-');
            } else if (range[0].first < first.ranges()[0].first) {
                return error("a range out of order");
            } else {
                chars.add(first.ranges()[0].first, range[0].first);
            }
        }
        return inverted ? chars.complement() : chars;
    }

    Result<CharClass> bracket_item() {
        if (done()) return error("an open '['");
        if (take('\\')) return escape(true);
        const std::uint32_t code = DG_TRY(character());
        return CharClass::of(code, code);
    }

    std::string_view text_;
    bool open_ends_;
    std::size_t at_ = 0;
    int depth_ = 0;
};

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
    if (a == 0 || b == 0) return 0;
    if (a >= kUnbounded || b >= kUnbounded || a * b >= kUnbounded) return kUnbounded;
    return a * b;
}

std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
    return a >= kUnbounded || b >= kUnbounded || a + b >= kUnbounded ? kUnbounded : a + b;
}

}  // namespace

Result<Regex> parse_regex(std::string_view pattern, Anchors anchors) {
    return Parser(pattern, anchors).parse();
}

LengthRange regex_length(const Regex& regex) {
    if (regex.kind == RegexKind::chars) return {1, 1};
    if (regex.kind == RegexKind::repeat) {
        const LengthRange body = regex_length(regex.children.front());
        return {times(body.min, regex.min), times(body.max, regex.max)};
    }
    LengthRange total = regex.kind == RegexKind::choice && !regex.children.empty()
                            ? regex_length(regex.children.front())
                            : LengthRange{};
    for (const Regex& child : regex.children) {
        const LengthRange part = regex_length(child);
        if (regex.kind == RegexKind::choice) {
            total = {std::min(total.min, part.min), std::max(total.max, part.max)};
        } else {
            total = {plus(total.min, part.min), plus(total.max, part.max)};
        }
    }
    return total;
}

Result<Regex> bound_length(Regex regex, std::uint64_t min, std::uint64_t max) {
    const LengthRange length = regex_length(regex);
    if (length.min >= min && (length.max <= max || max >= kUnbounded)) return regex;
    const Regex nothing{RegexKind::choice, {}, {}, 0, 0};
    if (length.max < min || length.min > max) return nothing;
    if (regex.kind == RegexKind::choice) {
        for (Regex& child : regex.children)
            child = DG_TRY(bound_length(std::move(child), min, max));
        return regex;
    }
    if (regex.kind == RegexKind::repeat) {
        const LengthRange body = regex_length(regex.children.front());
        if (body.min == body.max && body.min > 0) {
            const std::uint64_t least = (min + body.min - 1) / body.min;
            const std::uint64_t most = max >= kUnbounded ? kUnbounded : max / body.min;
            regex.min = std::max(regex.min, static_cast<std::uint32_t>(least));
            regex.max = std::min(regex.max, static_cast<std::uint32_t>(most));
            return regex.min <= regex.max ? Result<Regex>(std::move(regex)) : nothing;
        }
    }
    if (regex.kind == RegexKind::sequence) {
        Regex* varies = nullptr;
        std::uint64_t fixed = 0;
        bool several = false;
        for (Regex& child : regex.children) {
            const LengthRange part = regex_length(child);
            if (part.min == part.max) {
                fixed += part.min;
            } else {
                several = several || varies != nullptr;
                varies = &child;
            }
        }
        if (!several && varies != nullptr) {
            const std::uint64_t most = max >= kUnbounded ? kUnbounded : max - fixed;
            *varies = DG_TRY(bound_length(std::move(*varies), min > fixed ? min - fixed : 0, most));
            return regex;
        }
    }
    return fail(Code::unimplemented,
                "minLength or maxLength together with a pattern of several parts of open length "
                "cannot be enforced; put the bound into the pattern");
}

NodeId regex_node(GrammarBuilder& builder, const Regex& regex, Spelling spelling) {
    if (regex.kind == RegexKind::chars) {
        if (spelling == Spelling::utf8) return utf8_char(builder, regex.chars);
        return json_char(builder, regex.chars, regex.chars == CharClass::all());
    }
    std::vector<NodeId> children;
    for (const Regex& child : regex.children) {
        children.push_back(regex_node(builder, child, spelling));
    }
    if (regex.kind == RegexKind::repeat) {
        return builder.repeat(children.front(), regex.min, regex.max);
    }
    if (regex.kind == RegexKind::choice) return builder.choice(std::move(children));
    return builder.sequence(std::move(children));
}

bool regex_matches(const Regex& regex, std::string_view text) {
    GrammarBuilder builder;
    const NodeId root = regex_node(builder, regex, Spelling::utf8);
    const auto grammar = builder.build(root);
    return grammar && matches(*grammar, text);
}

}  // namespace engine::constrain
