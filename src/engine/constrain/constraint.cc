#include "engine/constrain/constraint.h"

#include <algorithm>

namespace engine::constrain {

Constraint::Constraint(std::shared_ptr<Masks> masks)
    : masks_(std::move(masks)), table_(masks_->table()), state_(table_->start()) {}

Constraint::Constraint(std::shared_ptr<const Grammar> grammar,
                       std::shared_ptr<const TokenTrie> trie, MaskLimits limits)
    : Constraint(std::make_shared<Masks>(std::move(grammar), std::move(trie), limits)) {}

void Constraint::follow_table() {
    if (table_ == masks_->table()) return;
    state_ = masks_->table()->adopt(*table_, state_);
    table_ = masks_->table();
}

std::span<const std::uint64_t> Constraint::mask() {
    if (ended_) {
        nothing_.assign((masks_->trie().vocabulary_size() + 63) / 64, 0);
        return nothing_;
    }
    masks_->keep_within_limits();
    follow_table();
    return masks_->of(state_);
}

bool Constraint::accept(TokenId token) {
    const TokenTrie& trie = masks_->trie();
    if (ended_ || token < 0 || static_cast<std::uint32_t>(token) >= trie.vocabulary_size()) {
        return false;
    }
    const auto& ends = trie.end_tokens();
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
        ended_ = can_end();
        return ended_;
    }
    const std::string& piece = trie.piece(token);
    return !piece.empty() && accept_bytes(piece);
}

bool Constraint::accept_bytes(std::string_view bytes) {
    const StateId state = table_->walk(state_, bytes);
    if (state == kDead) return false;
    state_ = state;
    return true;
}

std::string Constraint::forced(std::size_t bytes_max) const {
    return ended_ ? std::string() : forced_text(*table_, state_, bytes_max);
}

}  // namespace engine::constrain
