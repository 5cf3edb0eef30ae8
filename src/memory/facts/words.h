#pragma once
// English text as words, for rules: lower case, contractions taken apart ("don't" is do, not),
// every word with its bytes.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace memory::facts {

struct Word {
    std::string lower;               ///< ASCII letters lowered; "'s" stands alone
    std::size_t begin = 0, end = 0;  ///< bytes of the text; of the whole word for parts of one
    bool capital = false;            ///< begins with a capital letter
    bool punctuation = false;
    bool time = false;  ///< belongs to a statement of time
};

/// The words of one sentence, punctuation at its end not included.
struct Sentence {
    std::vector<Word> words;
    bool question = false;
};

/// Sentences end at . ! ? ; and at line ends, not inside numbers, addresses or after single
/// capitals
/// ("J. Smith"). Bytes beyond ASCII are letters.
std::vector<Sentence> sentences_of(std::string_view text);

}  // namespace memory::facts
