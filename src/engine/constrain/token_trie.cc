#include "engine/constrain/token_trie.h"

#include <algorithm>
#include <string>

namespace engine::constrain {

TokenTrie::TokenTrie(const Tokenizer& tokenizer) : vocabulary_size_(tokenizer.size()) {
    constexpr std::size_t kBytesMax = 255;  // a longer token is never offered
    std::vector<std::pair<std::string, TokenId>> entries;
    pieces_.resize(vocabulary_size_);
    for (std::uint32_t i = 0; i < vocabulary_size_; ++i) {
        const auto id = static_cast<TokenId>(i);
        if (tokenizer.ends_generation(id)) {
            end_tokens_.push_back(id);
            continue;
        }
        const bool control = tokenizer.is_control(id);
        std::string piece = tokenizer.piece(id, control);
        if (!control && piece.find(kControlByte) != std::string::npos) continue;
        if (control && !piece.empty()) piece.insert(0, 1, kControlByte);
        if (piece.empty() || piece.size() > kBytesMax) continue;
        pieces_[i] = piece;
        entries.emplace_back(std::move(piece), id);
    }
    std::sort(entries.begin(), entries.end());
    std::vector<std::uint32_t> path;  // open nodes, one per byte of the last piece
    std::string_view last;
    for (const auto& [piece, id] : entries) {
        const auto differ = std::mismatch(piece.begin(), piece.end(), last.begin(), last.end());
        const auto shared = static_cast<std::size_t>(differ.first - piece.begin());
        const auto here = static_cast<std::uint32_t>(tokens_.size());
        while (path.size() > shared) {
            nodes_[path.back()].subtree_end = static_cast<std::uint32_t>(nodes_.size());
            path.pop_back();
        }
        for (std::size_t i = shared; i < piece.size(); ++i) {
            path.push_back(static_cast<std::uint32_t>(nodes_.size()));
            nodes_.push_back({static_cast<std::uint8_t>(piece[i]), static_cast<std::uint8_t>(i + 1),
                              0, here, here});
        }
        tokens_.push_back(id);
        nodes_[path.back()].first_token_end = here + 1;
        bytes_max_ = std::max(bytes_max_, static_cast<std::uint32_t>(piece.size()));
        last = piece;
    }
    for (const std::uint32_t open : path) {
        nodes_[open].subtree_end = static_cast<std::uint32_t>(nodes_.size());
    }
}

NodeId marker(GrammarBuilder& builder, const Tokenizer& tokenizer, std::string_view text) {
    const std::optional<TokenId> id = tokenizer.find(text);
    const bool control = id && tokenizer.is_control(*id) && !tokenizer.ends_generation(*id);
    return control ? builder.control(text) : builder.literal(text);
}

}  // namespace engine::constrain
