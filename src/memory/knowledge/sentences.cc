#include "memory/knowledge/sentences.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/core/utf8.h"

namespace memory::knowledge {
namespace {

constexpr auto kAbbreviations = std::to_array<std::string_view>({
    "mr",  "mrs",  "ms",     "dr",   "prof", "sr",  "jr",  "st",  "vs",  "etc", "e.g", "i.e",
    "no",  "nos",  "fig",    "figs", "eq",   "sec", "vol", "pp",  "p",   "al",  "inc", "ltd",
    "co",  "corp", "approx", "dept", "est",  "min", "max", "jan", "feb", "mar", "apr", "jun",
    "jul", "aug",  "sep",    "sept", "oct",  "nov", "dec", "u.s", "a.m", "p.m", "cf",  "ca",
});

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// The full stop at `at` ends a sentence, as far as what is before it says.
bool ends_before(std::string_view text, std::size_t at) {
    std::size_t begin = at;
    while (begin > 0 && (is_letter(text[begin - 1]) || text[begin - 1] == '.')) --begin;
    std::string word;
    for (const char c : text.substr(begin, at - begin)) {
        word += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    if (word.size() == 1) return false;  // an initial
    if (std::ranges::find(kAbbreviations, word) != kAbbreviations.end()) return false;
    // "1." at the start of a line is a list's mark.
    std::size_t digits = at;
    while (digits > 0 && text[digits - 1] >= '0' && text[digits - 1] <= '9') --digits;
    return digits == at || (digits != 0 && text[digits - 1] != '\n');
}

/// What may stand between the mark and the blank: quotes and brackets.
std::size_t after_closing(std::string_view text, std::size_t at) {
    for (;;) {
        if (at < text.size() &&
            (text[at] == '"' || text[at] == '\'' || text[at] == ')' || text[at] == ']')) {
            ++at;
        } else if (text.substr(at).starts_with("”") || text.substr(at).starts_with("’") ||
                   text.substr(at).starts_with("」") || text.substr(at).starts_with("）")) {
            at += 3;
        } else {
            return at;
        }
    }
}

}  // namespace

std::vector<std::size_t> sentence_ends(std::string_view text) {
    std::vector<std::size_t> ends;
    const auto end_at = [&](std::size_t at) {
        if (at > (ends.empty() ? 0 : ends.back())) ends.push_back(at);
    };
    for (std::size_t at = 0; at < text.size();) {
        const auto character = base::utf8_at(text, at);
        const std::size_t next = at + character.bytes;
        if (character.code == '\n') {
            end_at(next);
        } else if (character.code == U'。' || character.code == U'！' || character.code == U'？' ||
                   character.code == U'；') {
            end_at(after_closing(text, next));
        } else if (character.code == '.' || character.code == '!' || character.code == '?') {
            const std::size_t after = after_closing(text, next);
            const bool blank = after >= text.size() || text[after] == ' ' || text[after] == '\n';
            if (blank && (character.code != '.' || ends_before(text, at))) end_at(after);
        }
        at = next;
    }
    end_at(text.size());
    return ends;
}

}  // namespace memory::knowledge
