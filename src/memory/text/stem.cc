#include "memory/text/stem.h"

#include <libstemmer.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <unordered_set>

namespace memory::text {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kShortestStemmed = 3;
/// What a thread remembers; words repeat, and a stem costs as much as the rest of the analysis.
constexpr std::size_t kCacheEntries = 4096;

struct Deleter {
    void operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }
};

struct Cached {
    std::string word, stem;
};

bool is_ascii_word(std::string_view word) {
    return std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; });
}

std::string porter(std::string_view word) {
    // Per thread: the library's stemmer keeps its word inside.
    thread_local const std::unique_ptr<sb_stemmer, Deleter> stemmer(
        sb_stemmer_new("english", "UTF_8"));
    if (!stemmer) return std::string(word);  // out of memory
    const sb_symbol* out =
        sb_stemmer_stem(stemmer.get(), reinterpret_cast<const sb_symbol*>(word.data()),
                        static_cast<int>(word.size()));
    if (out == nullptr) return std::string(word);
    return std::string(reinterpret_cast<const char*>(out),
                       static_cast<std::size_t>(sb_stemmer_length(stemmer.get())));
}

const std::unordered_set<std::string_view>& stop_words() {
    static const std::unordered_set<std::string_view> words = {
        "a"sv, "about"sv, "above"sv, "after"sv, "again"sv, "against"sv, "all"sv, "am"sv, "an"sv,
        "and"sv, "any"sv, "are"sv, "aren't"sv, "as"sv, "at"sv, "be"sv, "because"sv, "been"sv,
        "before"sv, "being"sv, "below"sv, "between"sv, "both"sv, "but"sv, "by"sv, "can"sv,
        "can't"sv, "cannot"sv, "could"sv, "couldn't"sv, "did"sv, "didn't"sv, "do"sv, "does"sv,
        "doesn't"sv, "doing"sv, "don't"sv, "down"sv, "during"sv, "each"sv, "few"sv, "for"sv,
        "from"sv, "further"sv, "had"sv, "hadn't"sv, "has"sv, "hasn't"sv, "have"sv, "haven't"sv,
        "having"sv, "he"sv, "her"sv, "here"sv, "hers"sv, "herself"sv, "him"sv, "himself"sv, "his"sv,
        "how"sv, "i"sv, "if"sv, "in"sv, "into"sv, "is"sv, "isn't"sv, "it"sv, "its"sv, "itself"sv,
        "just"sv, "let"sv, "me"sv, "more"sv, "most"sv, "mustn't"sv, "my"sv, "myself"sv, "no"sv,
        "nor"sv, "not"sv, "of"sv, "off"sv, "on"sv, "once"sv, "only"sv, "or"sv, "other"sv, "our"sv,
        "ours"sv, "ourselves"sv, "out"sv, "over"sv, "own"sv, "same"sv, "she"sv, "should"sv,
        "shouldn't"sv, "so"sv, "some"sv, "such"sv, "than"sv, "that"sv, "the"sv, "their"sv,
        "theirs"sv, "them"sv, "themselves"sv, "then"sv, "there"sv, "these"sv, "they"sv, "this"sv,
        "those"sv, "through"sv, "to"sv, "too"sv, "under"sv, "until"sv, "up"sv, "very"sv, "was"sv,
        "wasn't"sv, "we"sv, "were"sv, "weren't"sv, "what"sv, "when"sv, "where"sv, "which"sv,
        "while"sv, "who"sv, "whom"sv, "whose"sv, "why"sv, "will"sv, "with"sv, "won't"sv, "would"sv,
        "wouldn't"sv, "you"sv, "your"sv, "yours"sv, "yourself"sv, "yourselves"sv,
        // What asks in Chinese rather than says.
        "什么"sv, "哪些"sv, "哪个"sv, "哪里"sv, "哪位"sv, "多少"sv, "怎么"sv, "怎样"sv, "为何"sv,
        "如何"sv, "是谁"sv, "是什"sv, "的是"sv, "吗"sv, "呢"sv, "的"sv, "了"sv, "是"sv};
    return words;
}

}  // namespace

std::string stem(std::string_view word) {
    if (word.size() < kShortestStemmed || !is_ascii_word(word)) return std::string(word);
    thread_local std::array<Cached, kCacheEntries> cache;
    Cached& cached = cache[std::hash<std::string_view>{}(word) % kCacheEntries];
    if (cached.word != word) cached = {std::string(word), porter(word)};
    return cached.stem;
}

bool is_stop_word(std::string_view word) {
    return stop_words().contains(word);
}

}  // namespace memory::text
