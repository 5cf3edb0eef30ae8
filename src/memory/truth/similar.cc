#include "memory/truth/similar.h"

#include <utf8proc.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>
#include <string>

#include "base/core/utf8.h"

namespace memory::truth {
namespace {

constexpr double kJaccardMin = .9;
// Fewer words: one that differs takes more than a tenth of the 3-grams (56 kept of 62).
constexpr std::size_t kWordsForBands = 59;
// At 0.9 a band of 3 hashes agrees with .73, one of two bands with .93. More bands cost a random
// page of the disk each and write, and find what is no duplicate.
constexpr std::size_t kBands = 2, kRows = 3;
constexpr std::size_t kTypoLength = 7;

constexpr std::array<std::string_view, 8> kFillers{"please",    "actually", "basically", "really",
                                                   "literally", "um",       "uh",        "oh"};
// Misspelling one gives another word of this kind, or a word that means something else.
constexpr std::array<std::string_view, 24> kExact{
    "without", "nothing",   "neither",   "nowhere",  "nobody",   "million",
    "billion", "trillion",  "seventy",   "seventh",  "thousand", "hundred",
    "january", "february",  "september", "october",  "november", "december",
    "tuesday", "wednesday", "thursday",  "saturday", "noon",     "midnight"};

std::string nfc(std::string_view text) {
    const bool ascii =
        std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
    if (ascii) return std::string(text);
    utf8proc_uint8_t* composed = nullptr;
    const auto size =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                     static_cast<utf8proc_ssize_t>(text.size()), &composed,
                     static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (size < 0) return std::string(text);
    std::string out(reinterpret_cast<const char*>(composed), static_cast<std::size_t>(size));
    std::free(composed);
    return out;
}

bool space(char32_t c) {
    return c == ' ' || (c >= 9 && c <= 13) || c == 0xA0 || c == 0x3000 ||
           (c >= 0x2000 && c <= 0x200B);
}

/// Marks that end, join or quote sentences, and nothing that changes what a word says.
bool trimmed(char32_t c) {
    static constexpr std::u32string_view kMarks =
        U".,;:!\"'()[]{}"
        U"\u2018\u2019\u201C\u201D\u2026\u3001\u3002\uFF0C\uFF1B\uFF1A\uFF01\u300C\u300D";
    return kMarks.find(c) != std::u32string_view::npos;
}

bool digit(char c) {
    return c >= '0' && c <= '9';
}
bool small(char c) {
    return c >= 'a' && c <= 'z';
}

std::string_view trim(std::string_view word) {
    const auto plain = [](char c) { return small(c) || digit(c) || (c >= 'A' && c <= 'Z'); };
    if (!word.empty() && plain(word.front()) && plain(word.back())) return word;
    while (!word.empty()) {
        const base::Utf8Char first = base::utf8_at(word, 0);
        // ".5" and "(5)" keep theirs: a number has signs of its own.
        if (!trimmed(first.code) || (word.size() > 1 && digit(word[1]))) break;
        word.remove_prefix(first.bytes);
    }
    while (!word.empty()) {
        std::size_t at = word.size() - 1;
        while (at > 0 && (static_cast<unsigned char>(word[at]) & 0xC0) == 0x80) --at;
        if (!trimmed(base::utf8_at(word, at).code)) break;
        word = word.substr(0, at);
    }
    return word;
}

std::string folded(std::string_view word) {
    std::string out(word);
    const bool capital = out[0] >= 'A' && out[0] <= 'Z';
    if (capital &&
        std::all_of(out.begin() + 1, out.end(), [](char c) { return small(c) || c == '\''; })) {
        out[0] = static_cast<char>(out[0] - 'A' + 'a');
    }
    return out;
}

std::uint64_t hash(std::string_view bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

/// Of each three words in a row.
std::vector<std::uint64_t> grams_of(const std::vector<std::string>& words) {
    std::vector<std::uint64_t> grams;
    for (std::size_t i = 0; i + 2 < words.size(); ++i) {
        grams.push_back(hash(words[i + 2], hash(words[i + 1], hash(words[i], 1))));
    }
    std::sort(grams.begin(), grams.end());
    grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
    return grams;
}

double jaccard(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
    std::size_t both = 0;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        if (a[i] == b[j]) ++both;
        const bool next_a = a[i] <= b[j], next_b = b[j] <= a[i];
        i += next_a;
        j += next_b;
    }
    const std::size_t either = a.size() + b.size() - both;
    return either == 0 ? 1 : static_cast<double>(both) / static_cast<double>(either);
}

template <std::size_t n>
bool listed(const std::array<std::string_view, n>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

/// One letter added, left out or replaced, or two neighbours exchanged.
bool one_edit(std::string_view a, std::string_view b) {
    if (a.size() > b.size()) std::swap(a, b);
    if (b.size() - a.size() > 1) return false;
    std::size_t i = 0;
    while (i < a.size() && a[i] == b[i]) ++i;
    if (a.size() < b.size()) return a.substr(i) == b.substr(i + 1);
    if (a.substr(i).empty() || a.substr(i + 1) == b.substr(i + 1)) return true;
    return i + 1 < a.size() && a[i] == b[i + 1] && a[i + 1] == b[i] &&
           a.substr(i + 2) == b.substr(i + 2);
}

bool misspelt(std::string_view a, std::string_view b) {
    const auto plain = [](std::string_view word) {
        return word.size() >= kTypoLength && std::all_of(word.begin(), word.end(), small) &&
               !listed(kExact, word);
    };
    return plain(a) && plain(b) && a[0] == b[0] && one_edit(a, b);
}

std::vector<std::string_view> without_fillers(const std::vector<std::string>& words) {
    std::vector<std::string_view> kept;
    for (const std::string& word : words) {
        if (!listed(kFillers, word)) kept.push_back(word);
    }
    return kept;
}

std::uint64_t seed_of(const Scope& scope, MemoryType type, std::string_view speaker) {
    std::uint64_t seed = static_cast<std::uint64_t>(type) + 1;
    for (const std::string* part :
         {&scope.tenant, &scope.user, &scope.agent, &scope.session, &scope.run}) {
        seed = hash(*part, seed);
    }
    return hash(speaker, seed);
}

std::uint64_t mixed(std::uint64_t value, std::uint64_t with) {
    const std::uint64_t both[2] = {value, with};
    return XXH3_64bits(both, sizeof(both));
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
    const std::string composed = nfc(text);
    std::vector<std::string> words;
    std::size_t begin = 0;
    const auto add = [&](std::size_t end) {
        const std::string_view word = trim(std::string_view(composed).substr(begin, end - begin));
        if (!word.empty()) words.push_back(folded(word));
    };
    for (std::size_t at = 0; at < composed.size();) {
        if (const char byte = composed[at]; byte > ' ' && (byte & 0x80) == 0) {
            ++at;  // most text
            continue;
        }
        const base::Utf8Char c = base::utf8_at(composed, at);
        if (space(c.code)) {
            add(at);
            begin = at + c.bytes;
        }
        at += c.bytes;
    }
    add(composed.size());
    return words;
}

bool nearly_equal(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    if (a == b) return true;
    if (jaccard(grams_of(a), grams_of(b)) < kJaccardMin) return false;
    const auto left = without_fillers(a), right = without_fillers(b);
    return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin(),
                                                     [](std::string_view x, std::string_view y) {
                                                         return x == y || misspelt(x, y);
                                                     });
}

bool is_event(MemoryType type) {
    return type == MemoryType::short_term || type == MemoryType::episodic;
}

std::vector<std::int64_t> marks_of(const Scope& scope, MemoryType type, std::string_view content,
                                   std::string_view speaker, UnixMs created) {
    const std::uint64_t seed = seed_of(scope, type, speaker);
    std::vector<std::int64_t> marks;
    const auto add = [&](std::uint64_t mark) { marks.push_back(static_cast<std::int64_t>(mark)); };
    if (is_event(type)) {
        add(mixed(hash(content, seed), static_cast<std::uint64_t>(created)));
        return marks;
    }
    const std::vector<std::string> words = words_of(content);
    std::uint64_t all = seed;
    for (const std::string& word : words) all = hash(word, all);
    add(words.empty() ? hash(content, seed) : all);
    if (words.size() < kWordsForBands) return marks;
    const std::vector<std::uint64_t> grams = grams_of(words);
    for (std::size_t band = 0; band < kBands; ++band) {
        std::uint64_t mark = mixed(seed, band + 1);
        for (std::size_t row = 0; row < kRows; ++row) {
            // A permutation per row: an odd multiplier and a shift.
            const std::uint64_t odd = 0x9E3779B97F4A7C15ull * (2 * (band * kRows + row) + 3) | 1;
            std::uint64_t least = UINT64_MAX;
            for (const std::uint64_t gram : grams) {
                const std::uint64_t spread = gram * odd;
                least = std::min(least, spread ^ spread >> 29);
            }
            mark = mixed(mark, least);
        }
        add(mark);
    }
    return marks;
}

bool says_the_same(const Entry& kept, const NewEntry& entry) {
    if (kept.type != entry.type || kept.scope != entry.scope || kept.speaker != entry.speaker ||
        kept.media != entry.media || kept.metadata != entry.metadata ||
        kept.valid_to_unix_ms != entry.valid_to_unix_ms) {
        return false;
    }
    if (entry.valid_from_unix_ms != 0 && entry.valid_from_unix_ms != kept.valid_from_unix_ms) {
        return false;
    }
    const bool equal = kept.content == entry.content;
    if (is_event(entry.type)) {
        return equal && entry.created_unix_ms != 0 && entry.created_unix_ms == kept.created_unix_ms;
    }
    // A pinned one stays as it was written.
    if (entry.pinned) return equal && kept.pinned;
    if (equal) return true;
    const auto a = words_of(kept.content), b = words_of(entry.content);
    return !a.empty() && nearly_equal(a, b);
}

}  // namespace memory::truth
