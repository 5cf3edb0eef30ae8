#pragma once
// Cuts a text at the tokens that are not words: control tokens ("<|im_start|>") when the caller
// trusts the text, and user-defined tokens ("<tool_call>") always.

#include <string_view>

#include <vector>

#include "engine/tokenizer/byte_trie.h"
#include "engine/tokenizer/tokenizer.h"

namespace engine {

class SpecialTokens {
public:
    explicit SpecialTokens(const Vocabulary& vocabulary);

    /// Calls on_text(piece) and on_token(id) in order. At each position the longest token wins.
    /// Some families' tokens take in the white space behind them.
    template <class OnText, class OnToken>
    void split(std::string_view text, bool parse_special, OnText on_text, OnToken on_token) const {
        const ByteTrie& trie = parse_special ? all_ : user_defined_;
        std::size_t start = 0;
        for (std::size_t at = 0; !trie.empty() && at < text.size();) {
            if (!trie.may_start(text[at])) {
                ++at;
                continue;
            }
            const auto match = trie.longest_prefix(text.substr(at));
            if (match.bytes == 0) {
                ++at;
                continue;
            }
            if (at > start) on_text(text.substr(start, at - start));
            on_token(match.id);
            at += match.bytes;
            while (takes_space(match.id) && at < text.size() && is_space(text[at])) ++at;
            start = at;
        }
        if (start < text.size()) on_text(text.substr(start));
    }

private:
    static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
    bool takes_space(TokenId id) const {
        return !takes_space_.empty() && takes_space_[static_cast<std::size_t>(id)];
    }

    ByteTrie user_defined_;
    ByteTrie all_;
    std::vector<bool> takes_space_;  ///< by id; empty: none does
};

}  // namespace engine
