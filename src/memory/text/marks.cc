#include "memory/text/marks.h"

#include <algorithm>

#include "memory/text/analyzer.h"

namespace memory::text {
namespace {

constexpr std::string_view kQuestionMarks[] = {"?", "\uFF1F", "\u061F"};
/// What may stand behind the mark that ends a sentence.
constexpr std::string_view kClosers[] = {" ", "\n",     "\r",     "\t",     "\"",     "'",     ")",
                                         "!", "\u201D", "\u2019", "\uFF09", "\u3002", "\uFF01"};

bool asks(std::string_view content) {
    for (bool cut = true; cut;) {
        cut = false;
        for (const std::string_view closer : kClosers) {
            if (!content.ends_with(closer)) continue;
            content.remove_suffix(closer.size());
            cut = true;
        }
    }
    return std::ranges::any_of(kQuestionMarks,
                               [&](std::string_view mark) { return content.ends_with(mark); });
}

}  // namespace

std::string speaker_mark(std::string_view word) {
    return "\x02@" + std::string(word);
}

std::vector<std::string> marks(std::string_view content, std::string_view speaker) {
    std::vector<std::string> out;
    if (asks(content)) out.emplace_back(kAsksMark);
    for (const Term& term : analyze(speaker)) {
        std::string mark = speaker_mark(term.text);
        if (std::ranges::find(out, mark) == out.end()) out.push_back(std::move(mark));
    }
    return out;
}

}  // namespace memory::text
