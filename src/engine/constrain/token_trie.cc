#include "engine/constrain/token_trie.h"

#include <algorithm>
#include <string>

#include "base/core/utf8.h"
#include "engine/constrain/char_class.h"

namespace engine::constrain {
namespace {

bool is_text(std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
        const base::Utf8Char c = base::utf8_at(bytes, at);
        if (!c.valid || !text_chars().has(static_cast<std::uint32_t>(c.code))) return false;
        at += c.bytes;
    }
    return true;
}

}  // namespace

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
    find_texts();
}

void TokenTrie::find_texts() {
    for (auto& mask : texts_) mask.assign((vocabulary_size_ + 63) / 64, 0);
    for (const TokenId id : tokens_) {
        const std::string& bytes = piece(id);
        std::uint8_t sizes = 0;
        for (std::size_t size = 0; is_text(bytes) && size < kTextSizes; ++size) {
            if (bytes.size() > kTextBytesMax[size]) continue;
            const auto bit = static_cast<std::uint32_t>(id);
            texts_[size][bit >> 6] |= std::uint64_t{1} << (bit & 63);
            sizes |= static_cast<std::uint8_t>(1u << size);
        }
        text_sizes_.push_back(sizes);
    }
    constexpr std::uint8_t kAll = (1u << kTextSizes) - 1;
    for (std::size_t i = nodes_.size(); i-- > 0;) {
        Node& node = nodes_[i];
        for (std::uint32_t t = node.first_token; t < node.first_token_end; ++t) {
            node.others |= static_cast<std::uint8_t>(kAll & ~text_sizes_[t]);
        }
        for (std::uint32_t below = static_cast<std::uint32_t>(i) + 1; below < node.subtree_end;
             below = nodes_[below].subtree_end) {
            node.others |= nodes_[below].others;
        }
    }
}

NodeId marker(GrammarBuilder& builder, const Tokenizer& tokenizer, std::string_view text) {
    const std::optional<TokenId> id = tokenizer.find(text);
    const bool control = id && tokenizer.is_control(*id) && !tokenizer.ends_generation(*id);
    return control ? builder.control(text) : builder.literal(text);
}

}  // namespace engine::constrain
