#include "engine/tokenizer/special_tokens.h"

namespace engine {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) {
    for (std::size_t i = 0; i < vocabulary.kinds.size(); ++i) {
        const TokenKind kind = vocabulary.kinds[i];
        const auto id = static_cast<TokenId>(i);
        if (kind == TokenKind::user_defined) user_defined_.insert(vocabulary.tokens[i], id);
        if (kind == TokenKind::user_defined || kind == TokenKind::control ||
            kind == TokenKind::unknown) {
            all_.insert(vocabulary.tokens[i], id);
        }
    }
}

}  // namespace engine
