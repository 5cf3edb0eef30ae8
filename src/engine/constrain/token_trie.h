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
        std::uint8_t others = 0;        ///< text sizes that some token here or below is not of
        std::uint32_t subtree_end = 0;  ///< the next node that is not below this one
        std::uint32_t first_token = 0;  ///< tokens that end here: [first_token, first_token_end),
                                        ///< and those below the node go on from there
        std::uint32_t first_token_end = 0;
    };
    const std::vector<Node>& nodes() const { return nodes_; }  ///< depth first
    const std::vector<TokenId>& tokens() const { return tokens_; }
    /// The bytes of a token; "" for those left out.
    const std::string& piece(TokenId id) const { return pieces_[static_cast<std::size_t>(id)]; }
    const std::vector<TokenId>& end_tokens() const { return end_tokens_; }
    /// Most tokens are plain text, and most states inside a JSON string take any text of some
    /// length: those tokens are allowed at once, and only the others are tried byte by byte. Text
    /// is whole characters without quotes, backslashes and control characters (text_chars).
    static constexpr std::uint32_t kTextBytesMax[] = {8, 24, 255};
    static constexpr std::size_t kTextSizes = 3;
    /// One bit per token id: text of at most kTextBytesMax[size] bytes.
    const std::vector<std::uint64_t>& text_mask(std::size_t size) const { return texts_[size]; }
    /// The same for a place in tokens(): bit `size`.
    std::uint8_t text_sizes(std::uint32_t place) const { return text_sizes_[place]; }
    /// The place behind the tokens of a node and all below it.
    std::uint32_t last_place(const Node& node) const {
        return node.subtree_end < nodes_.size() ? nodes_[node.subtree_end].first_token
                                                : static_cast<std::uint32_t>(tokens_.size());
    }

    std::uint32_t vocabulary_size() const { return vocabulary_size_; }
    std::uint32_t bytes_max() const { return bytes_max_; }  ///< of one token

private:
    void find_texts();

    std::vector<Node> nodes_;
    std::vector<TokenId> tokens_, end_tokens_;
    std::vector<std::string> pieces_;
    std::vector<std::uint64_t> texts_[kTextSizes];
    std::vector<std::uint8_t> text_sizes_;
    std::uint32_t vocabulary_size_ = 0, bytes_max_ = 0;
};

/// Text that surrounds structured output, as "<tool_call>" or "[TOOL_CALLS]": the control token
/// with this text where the tokenizer has one, else the plain text.
NodeId marker(GrammarBuilder& builder, const Tokenizer& tokenizer, std::string_view text);

}  // namespace engine::constrain
