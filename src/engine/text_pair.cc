#include "engine/text_pair.h"

namespace engine {

TextPair encode_pair(const Tokenizer& tokenizer, const std::vector<TokenId>& query,
                     std::string_view document) {
    TextPair pair;
    pair.tokens = query;
    const TokenId end = query.empty() ? tokenizer.vocabulary().sep : query.back();
    if (tokenizer.vocabulary().model != "bert") pair.tokens.push_back(end);
    pair.second_at = pair.tokens.size();
    const auto second = tokenizer.encode(document, {.add_special = false, .parse_special = false});
    pair.tokens.insert(pair.tokens.end(), second.begin(), second.end());
    pair.tokens.push_back(end);
    return pair;
}

}  // namespace engine
