// One pass cuts the text into runs: words with what joins them (`-`, `_`, `.`, `/`, ...), and runs
// of scripts that have no spaces. Each run is then folded and becomes terms on its own.

#include "memory/text/analyzer.h"

#include <algorithm>

#include "base/core/utf8.h"
#include "memory/text/characters.h"
#include "memory/text/stem.h"

namespace memory::text {
namespace {

/// Longer ones are cut: nobody asks for them, and each would be a term of its own.
constexpr std::size_t kTermBytesMax = 96;
/// Of one run: beyond, an encoded file rather than an identifier.
constexpr std::size_t kPartsMax = 64;

struct Char {
    char32_t code = 0;
    std::uint32_t begin = 0, end = 0;
    Kind kind = Kind::other;
};

bool is_apostrophe(char32_t code) {
    return code == '\'' || code == 0x2019 || code == 0xFF07;
}

/// Keeps the words on both sides together as one identifier.
bool is_joiner(char32_t code) {
    switch (code) {
        case '_':
        case '-':
        case '.':
        case '/':
        case '\\':
        case '@':
        case ':':
        case '+':
        case '#':
        case 0x2010:  // hyphens of typesetters
        case 0x2011:
            return true;
        default:
            return is_apostrophe(code);
    }
}

bool is_word(Kind kind) {
    return kind == Kind::letter || kind == Kind::digit;
}

/// Marks become part of the character they stand on, so that both normal forms look the same.
std::vector<Char> decode(std::string_view text) {
    std::vector<Char> chars;
    chars.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const auto begin = static_cast<std::uint32_t>(at);
        const base::Utf8Char c = base::utf8_at(text, at);
        at += c.bytes;
        const auto end = static_cast<std::uint32_t>(at);
        const Kind kind = c.valid ? kind_of(c.code) : Kind::other;
        if (kind != Kind::mark) {
            chars.push_back({c.code, begin, end, kind});
        } else if (!chars.empty() && chars.back().end == begin) {
            chars.back().end = end;
        }
    }
    return chars;
}

class Analysis {
public:
    explicit Analysis(std::string_view text) : text_(text), chars_(decode(text)) {}

    std::vector<Term> run() {
        for (std::size_t at = 0; at < chars_.size();) {
            const Kind kind = chars_[at].kind;
            if (is_word(kind)) {
                at = take_word(at);
            } else if (kind == Kind::pair || kind == Kind::hangul) {
                at = take_pairs(at);
            } else {
                ++at;
            }
        }
        return std::move(terms_);
    }

private:
    std::string_view bytes(std::uint32_t begin, std::uint32_t end) const {
        return text_.substr(begin, end - begin);
    }

    bool joins(std::size_t at) const {
        if (at + 1 >= chars_.size() || !is_word(chars_[at + 1].kind)) return false;
        const char32_t code = chars_[at].code;
        if (code == ',')
            return chars_[at - 1].kind == Kind::digit && chars_[at + 1].kind == Kind::digit;
        return is_joiner(code);
    }

    /// From a letter or digit to the end of what belongs together.
    std::size_t take_word(std::size_t begin) {
        std::size_t end = begin + 1;
        bool joined = false;
        for (; end < chars_.size(); ++end) {
            if (is_word(chars_[end].kind)) continue;
            if (!joins(end)) break;
            joined = true;
        }
        // C++, C#, F#: what follows one capital or two is part of the name.
        std::size_t tail = end;
        while (tail < chars_.size() && (chars_[tail].code == '+' || chars_[tail].code == '#'))
            ++tail;
        if (!joined && end - begin <= 2 && tail > end && tail - end <= 2 &&
            chars_[begin].kind == Kind::letter) {
            add(fold(bytes(chars_[begin].begin, chars_[tail - 1].end)), begin, tail, false);
            add_word(begin, end, true);
            ++position_;
            return tail;
        }
        add_run(begin, end, joined);
        ++position_;
        return end;
    }

    void add_run(std::size_t begin, std::size_t end, bool joined) {
        end = without_possessive(begin, end);
        if (!joined && !has_humps(begin, end)) return add_word(begin, end, false);
        std::string whole = write_plainly(fold(bytes(chars_[begin].begin, chars_[end - 1].end)));
        if (is_stop_word(whole)) return add(std::move(whole), begin, end, false, true);
        if (!has_structure(begin, end)) return add_word(begin, end, false);
        add(std::move(whole), begin, end, false);
        add_parts(begin, end);
    }

    /// Without "'s", "'ll" and the like, unless it is one of the words that keep them.
    std::size_t without_possessive(std::size_t begin, std::size_t end) const {
        for (std::size_t at = end - 1; at > begin && end - at <= 3; --at) {
            if (!is_apostrophe(chars_[at].code)) continue;
            const std::string ending = fold(bytes(chars_[at + 1].begin, chars_[end - 1].end));
            const bool known = ending == "s" || ending == "ll" || ending == "ve" ||
                               ending == "re" || ending == "d" || ending == "m";
            return known ? at : end;
        }
        return end;
    }

    /// Apostrophes and hyphens of typesetters as keyboards write them.
    static std::string write_plainly(std::string_view word) {
        std::string out;
        for (std::size_t at = 0; at < word.size();) {
            const base::Utf8Char c = base::utf8_at(word, at);
            if (is_apostrophe(c.code)) {
                out += '\'';
            } else if (c.code == 0x2010) {
                out += '-';
            } else if (c.code != ',') {
                out += word.substr(at, c.bytes);
            }
            at += c.bytes;
        }
        return out;
    }

    bool has_structure(std::size_t begin, std::size_t end) const {
        for (std::size_t at = begin; at < end; ++at) {
            if (!is_word(chars_[at].kind)) return true;
        }
        return has_humps(begin, end);
    }

    /// A border inside a word: `parse|HTTP|Header`. Pre: at > 0.
    bool is_hump(std::size_t at, std::size_t end) const {
        const Char &before = chars_[at - 1], &here = chars_[at];
        if (before.kind != Kind::letter || here.kind != Kind::letter) return false;
        if (!is_upper(here.code)) return false;
        if (!is_upper(before.code)) return true;
        return at + 1 < end && chars_[at + 1].kind == Kind::letter &&
               !is_upper(chars_[at + 1].code);
    }

    /// Letters, then digits, or the other way round, and nothing else: not a hash.
    bool is_counted(std::size_t begin, std::size_t end, std::size_t* border) const {
        std::size_t changes = 0;
        for (std::size_t at = begin + 1; at < end; ++at) {
            if (chars_[at].kind == chars_[at - 1].kind) continue;
            if (++changes > 1) return false;
            *border = at;
        }
        if (changes == 0) return false;
        const bool letters_first = chars_[begin].kind == Kind::letter;
        return (letters_first ? *border - begin : end - *border) >= 2;
    }

    bool has_humps(std::size_t begin, std::size_t end) const {
        std::size_t border = 0;
        for (std::size_t at = begin + 1; at < end; ++at) {
            if (is_hump(at, end)) return true;
        }
        return is_counted(begin, end, &border);
    }

    void add_parts(std::size_t begin, std::size_t end) {
        std::size_t parts = 0;
        for (std::size_t from = begin; from < end && parts < kPartsMax;) {
            if (!is_word(chars_[from].kind)) {
                ++from;
                continue;
            }
            std::size_t to = from + 1;
            while (to < end && is_word(chars_[to].kind)) ++to;
            parts += add_humps(from, to);
            from = to;
        }
    }

    /// The parts of one joined word; returns how many.
    std::size_t add_humps(std::size_t begin, std::size_t end) {
        std::size_t border = 0, parts = 0, from = begin;
        if (is_counted(begin, end, &border)) {
            add_word(begin, border, true);
            add_word(border, end, true);
            return 2;
        }
        for (std::size_t at = begin + 1; at <= end && parts < kPartsMax; ++at) {
            if (at < end && !is_hump(at, end)) continue;
            add_word(from, at, true);
            from = at;
            ++parts;
        }
        return parts;
    }

    /// A plain word: stemmed, or a stop word.
    void add_word(std::size_t begin, std::size_t end, bool part) {
        std::string word = fold(bytes(chars_[begin].begin, chars_[end - 1].end));
        if (is_stop_word(word)) return add(std::move(word), begin, end, part, true);
        add(stem(word), begin, end, part);
    }

    void add(std::string term, std::size_t begin, std::size_t end, bool part, bool stop = false) {
        if (term.size() > kTermBytesMax) {
            term.resize(
                base::utf8_valid_prefix_bytes(std::string_view(term).substr(0, kTermBytesMax)));
        }
        if (term.empty()) return;
        terms_.push_back(
            {std::move(term), position_, chars_[begin].begin, chars_[end - 1].end, part, stop});
    }

    /// A run without spaces: each two neighbours, or the one there is.
    std::size_t take_pairs(std::size_t begin) {
        const Kind kind = chars_[begin].kind;
        std::size_t end = begin + 1;
        while (end < chars_.size() && chars_[end].kind == kind) ++end;
        // Jamo of the decomposed form are syllables only after folding.
        if (kind == Kind::hangul) return take_syllables(begin, end);
        for (std::size_t at = begin; at + 1 < end || at == begin; ++at) {
            const std::size_t to = std::min(at + 2, end);
            std::string pair = fold(bytes(chars_[at].begin, chars_[to - 1].end));
            const bool stop = is_stop_word(pair);
            add(std::move(pair), at, to, false, stop);
            ++position_;
        }
        return end;
    }

    std::size_t take_syllables(std::size_t begin, std::size_t end) {
        const std::string folded = fold(bytes(chars_[begin].begin, chars_[end - 1].end));
        std::vector<std::size_t> starts;
        for (std::size_t at = 0; at < folded.size(); at += base::utf8_at(folded, at).bytes) {
            starts.push_back(at);
        }
        starts.push_back(folded.size());
        const std::size_t syllables = starts.size() - 1;
        if (syllables == 0) return end;
        for (std::size_t i = 0; i + 1 < syllables || i == 0; ++i) {
            const std::size_t to = starts[std::min(i + 2, syllables)];
            add(folded.substr(starts[i], to - starts[i]), begin, end, false);
            ++position_;
        }
        return end;
    }

    std::string_view text_;
    std::vector<Char> chars_;
    std::vector<Term> terms_;
    std::uint32_t position_ = 0;
};

}  // namespace

std::vector<Term> analyze(std::string_view text) {
    return Analysis(text).run();
}

}  // namespace memory::text
