// Sentences into clauses; english_clause.h reads each.
#include <algorithm>

#include "memory/facts/english_clause.h"
#include "memory/facts/english_words.h"
#include "memory/facts/rules.h"

namespace memory::facts {
namespace {

bool is_verbish(const Word& word) {
    const auto form = verb_form(word.lower);
    return (form && !form->noun) ||
           one_of(word.lower, {"am", "is", "are", "was", "were", "'s", "has", "have", "had", "do",
                               "does", "did", "can", "used", "stopped", "no"});
}

/// Verbs that rules know, and what looks like one that happened.
bool any_verb(std::span<const Word> words) {
    return std::ranges::any_of(words, [](const Word& word) {
        return is_verbish(word) ||
               (word.lower.size() > 4 && word.lower.ends_with("ed") && !word.capital);
    });
}

/// "Ann, who lives in Rome": what is said of a name that the clause begins with.
bool tells_of_name(std::span<const Word> before) {
    if (!before.empty() && before.back().punctuation) before = before.first(before.size() - 1);
    return !before.empty() && before.size() <= 4 &&
           std::ranges::all_of(before, [](const Word& word) {
               return word.capital && !word.punctuation && !is_no_name(word.lower);
           });
}

/// Whether a clause of its own starts at `i`: somebody and a verb, or a verb alone.
bool starts_clause(std::span<const Word> words, std::size_t i) {
    while (i < words.size() &&
           (is_adverb(words[i].lower) || one_of(words[i].lower, {"and", "but"}))) {
        ++i;
    }
    if (i == words.size()) return false;
    static constexpr std::size_t kAhead = 6;
    const bool pronoun = one_of(words[i].lower, {"i", "you", "he", "she", "we", "they", "it", "my",
                                                 "your", "his", "her", "our", "their", "the"});
    if (pronoun || words[i].capital) {
        for (std::size_t k = i + 1; k < words.size() && k < i + kAhead; ++k) {
            if (words[k].punctuation || one_of(words[k].lower, {"and", "but"})) return false;
            if (is_verbish(words[k])) return true;
        }
        return false;
    }
    return is_verbish(words[i]);
}

std::vector<std::span<Word>> clauses_of(std::span<Word> words) {
    std::vector<std::span<Word>> out;
    std::size_t begin = 0;
    for (std::size_t i = 1; i + 1 < words.size(); ++i) {
        if (words[i].lower == "who" && tells_of_name(words.subspan(begin, i - begin)) &&
            is_verbish(words[i + 1])) {
            out.push_back(words.subspan(begin, i - begin));
            begin = i + 1;
            continue;
        }
        if (!one_of(words[i].lower, {",", ":", "and", "but", "because", "so", "then", "while"})) {
            continue;
        }
        if (!any_verb(words.subspan(begin, i - begin)) || !starts_clause(words, i + 1)) continue;
        out.push_back(words.subspan(begin, i - begin));
        begin = i + 1;
    }
    out.push_back(words.subspan(begin));
    return out;
}

/// What is supposed, wished, reported or quoted is not asserted.
bool is_doubtful(const Sentence& sentence, UnixMs said_at) {
    if (sentence.question) return true;
    std::vector<Word> words = sentence.words;
    when_of(words, said_at);  // "May" the month is no doubt
    for (std::size_t i = 0; i < words.size(); ++i) {
        const Word& word = words[i];
        if (word.lower == "\"") return true;
        if (word.time || !is_doubt(word.lower)) continue;
        // Will, and "you'll find Ann in Rome".
        const bool will =
            word.lower == "will" && (word.capital || (i > 0 && words[i - 1].lower == "you"));
        if (!will) return true;
    }
    return false;
}

}  // namespace

std::vector<Found> english(std::string_view text, const ExtractContext& context) {
    std::vector<Found> out;
    Mind mind;
    for (Sentence& sentence : sentences_of(text)) {
        mind.subject.clear();
        mind.fronted = {};
        if (is_doubtful(sentence, context.said_at_unix_ms)) continue;
        for (const std::span<Word> clause : clauses_of(sentence.words)) {
            if (!clause.empty()) ClauseReader(text, clause, context, mind, out).read();
        }
    }
    return out;
}

}  // namespace memory::facts
