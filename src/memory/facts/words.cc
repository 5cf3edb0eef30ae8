#include "memory/facts/words.h"

#include <algorithm>
#include <array>

namespace memory::facts {
namespace {

bool is_letter(unsigned char c) {
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}
bool is_word_byte(unsigned char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c >= 0x80 || c == '_';
}
/// Between word bytes these belong to the word: well-known, 3.5, ann@x.org, +1, O'Neil, C++.
bool joins(unsigned char c) {
    return c == '-' || c == '.' || c == '@' || c == '\'' || c == '/' || c == ':' || c == '&';
}

constexpr std::string_view kCurly = "\xE2\x80\x99";  // the typographic apostrophe

std::string lowered(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, kCurly.size()) == kCurly) {
            out += '\'';
            i += kCurly.size() - 1;
        } else {
            const char c = text[i];
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        }
    }
    return out;
}

struct Contraction {
    std::string_view ending, word;
};
constexpr auto kContractions = std::to_array<Contraction>({
    {"n't", "not"},
    {"'m", "am"},
    {"'re", "are"},
    {"'ve", "have"},
    {"'ll", "will"},
    {"'d", "would"},
    {"'s", "'s"},
});

void add_word(std::string_view text, std::size_t begin, std::size_t end, std::vector<Word>& words) {
    Word word{lowered(text.substr(begin, end - begin)), begin, end};
    word.capital = text[begin] >= 'A' && text[begin] <= 'Z';
    for (const auto& [ending, full] : kContractions) {
        if (!word.lower.ends_with(ending) || word.lower.size() == ending.size()) continue;
        Word stem = word;
        stem.lower.resize(stem.lower.size() - ending.size());
        if (stem.lower == "ca") stem.lower = "can";
        if (stem.lower == "wo") stem.lower = "will";
        const bool curly = text[end - ending.size()] != ending[0] && ending != "n't";
        stem.end = end - ending.size() - (curly ? kCurly.size() - 1 : 0);
        word.lower = full;
        word.begin = stem.end;
        word.capital = false;
        words.push_back(std::move(stem));
        break;
    }
    words.push_back(std::move(word));
}

/// Whether the dot at `at` ends a sentence.
bool ends_sentence(std::string_view text, std::size_t at, const std::vector<Word>& words) {
    if (text[at] != '.') return true;
    static constexpr auto kShort =
        std::to_array<std::string_view>({"mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc"});
    if (words.empty() || words.back().end != at) return true;
    const Word& last = words.back();
    const bool initial = last.capital && last.lower.size() == 1 && last.lower != "i";
    return !initial && std::ranges::find(kShort, last.lower) == kShort.end();
}

}  // namespace

std::vector<Sentence> sentences_of(std::string_view text) {
    std::vector<Sentence> out;
    Sentence now;
    const auto finish = [&] {
        if (!now.words.empty()) out.push_back(std::move(now));
        now = {};
    };
    for (std::size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        const bool plus =
            c == '+' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9';
        if (is_word_byte(c) || plus) {
            std::size_t end = i + 1;
            while (end < text.size()) {
                const auto next = static_cast<unsigned char>(text[end]);
                const bool inner = joins(next) && end + 1 < text.size() &&
                                   is_word_byte(static_cast<unsigned char>(text[end + 1]));
                if (!is_word_byte(next) && !inner && next != '+' && next != '#') break;
                ++end;
            }
            add_word(text, i, end, now.words);
            i = end;
            continue;
        }
        if (c == '\'' && text.substr(i, 3) == "'s ") {
            add_word(text, i, i + 2, now.words);
            i += 2;
            continue;
        }
        const bool stop = c == '.' || c == '!' || c == '?' || c == ';' || c == '\n';
        if (stop && ends_sentence(text, i, now.words)) {
            now.question = now.question || c == '?';
            finish();
        } else if (c == ',' || c == ':' || c == '(' || c == ')' || c == '"') {
            now.words.push_back({std::string(1, text[i]), i, i + 1, false, true});
        }
        ++i;
    }
    finish();
    return out;
}

}  // namespace memory::facts
