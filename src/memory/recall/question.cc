#include "memory/recall/question.h"

#include <algorithm>

#include "memory/recall/time_intent.h"
#include "memory/text/analyzer.h"
#include "memory/text/marks.h"

namespace memory::recall {
namespace {

/// A longer text is a document; its first words say what it is about.
constexpr std::size_t kTermsMax = 64;

void add_once(index::KeywordQuery& query, const std::string& text) {
    const auto same = [&](const auto& term) { return term.text == text; };
    if (query.terms.size() < kTermsMax && std::ranges::none_of(query.terms, same)) {
        query.terms.push_back({text, 1.f});
    }
}

}  // namespace

Question read_question(std::string_view text, UnixMs now) {
    Question question;
    const std::vector<text::Term> terms = text::analyze(text);
    const bool all_stop =
        std::ranges::all_of(terms, [](const text::Term& term) { return term.stop_word; });
    for (const text::Term& term : terms) {
        if (term.stop_word && !all_stop) continue;
        add_once(question.words, term.text);
        add_once(question.speakers, text::speaker_mark(term.text));
    }
    question.time = time_asked(text, now);
    return question;
}

}  // namespace memory::recall
