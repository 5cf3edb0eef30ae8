#include "engine/tokenizer/special_tokens.h"

#include <algorithm>
#include <array>

namespace engine {
namespace {

/// Phi-3's configuration says "rstrip" of its chat tokens, which model files do not carry over:
/// "<|user|>\nHi" and "<|user|>Hi" are the same prompt. Its vocabulary is known by a token that no
/// other one has.
bool is_phi3(const Vocabulary& vocabulary) {
    return vocabulary.model == "llama" &&
           std::ranges::find(vocabulary.tokens, "<|placeholder1|>") != vocabulary.tokens.end();
}

std::vector<bool> phi3_space_takers(const Vocabulary& vocabulary) {
    constexpr std::array<std::string_view, 3> kOthers = {"<unk>", "<s>", "<|endoftext|>"};
    std::vector<bool> takes(vocabulary.tokens.size(), false);
    for (std::size_t i = 0; i < vocabulary.kinds.size(); ++i) {
        const TokenKind kind = vocabulary.kinds[i];
        const bool special = kind == TokenKind::control || kind == TokenKind::user_defined;
        takes[i] = special && std::ranges::find(kOthers, vocabulary.tokens[i]) == kOthers.end();
    }
    return takes;
}

}  // namespace

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
    if (is_phi3(vocabulary)) takes_space_ = phi3_space_takers(vocabulary);
}

}  // namespace engine
