#pragma once
// The bytes of every token as one tree, so that tokens with a common start share the matcher's
// work. Immutable: one per tokenizer, shared by all constraints.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/constrain/grammar.h"
#include "engine/tokenizer/tokenizer.h"

namespace engine::constrain {

class TokenTrie {
public:
    /// Tokens that end generation are listed apart; empty ones are left out. A control token stands
    /// under kControlByte and its text, where only GrammarBuilder::control finds it.
    explicit TokenTrie(const Tokenizer& tokenizer);

    struct Node {
        std::uint8_t byte = 0;
        std::uint8_t depth = 0;         ///< of the node; 1 for a first byte (255 at most)
        std::uint32_t subtree_end = 0;  ///< the next node that is not below this one
        std::uint32_t first_token = 0;  ///< tokens that end here: [first_token, first_token_end)
        std::uint32_t first_token_end = 0;
    };
    const std::vector<Node>& nodes() const { return nodes_; }  ///< depth first
    const std::vector<TokenId>& tokens() const { return tokens_; }
    /// The bytes of a token; "" for those left out.
    const std::string& piece(TokenId id) const { return pieces_[static_cast<std::size_t>(id)]; }
    const std::vector<TokenId>& end_tokens() const { return end_tokens_; }
    std::uint32_t vocabulary_size() const { return vocabulary_size_; }
    std::uint32_t bytes_max() const { return bytes_max_; }  ///< of one token

private:
    std::vector<Node> nodes_;
    std::vector<TokenId> tokens_, end_tokens_;
    std::vector<std::string> pieces_;
    std::uint32_t vocabulary_size_ = 0, bytes_max_ = 0;
};

/// Text that surrounds structured output, as "<tool_call>" or "[TOOL_CALLS]": the control token
/// with this text where the tokenizer has one, else the plain text.
NodeId marker(GrammarBuilder& builder, const Tokenizer& tokenizer, std::string_view text);

}  // namespace engine::constrain
