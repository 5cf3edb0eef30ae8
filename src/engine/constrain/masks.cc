// Masks by walking the token trie with the matcher. Inside a string most tokens are allowed or not
// whatever surrounds the string, so those answers are computed once for the truncated state; only
// tokens that leave the string are tried again with the whole stack.
#include "engine/constrain/masks.h"

#include <algorithm>
#include <array>

namespace engine::constrain {
namespace {

void set_bit(TokenMask& bits, TokenId id) {
    const auto bit = static_cast<std::uint32_t>(id);
    bits[bit >> 6] |= std::uint64_t{1} << (bit & 63);
}

}  // namespace

Masks::Masks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie,
             MaskLimits limits)
    : grammar_(std::move(grammar)),
      trie_(std::move(trie)),
      limits_(limits),
      table_(std::make_shared<StateTable>(grammar_)) {}

void Masks::walk(StateId state, std::uint32_t first, std::uint32_t end, TokenMask& bits,
                 std::vector<std::uint32_t>* open_nodes) {
    const auto& nodes = trie_->nodes();
    if (first >= end) return;
    // states[d]: after d bytes of the current path; the walk starts above `first`.
    std::array<StateId, 257> states;
    const std::uint32_t top = nodes[first].depth - 1u;
    states[top] = state;
    for (std::uint32_t i = first; i < end;) {
        const TokenTrie::Node& node = nodes[i];
        const StateId next = table_->step(states[node.depth - 1u], node.byte);
        if (next == kDead) {
            i = node.subtree_end;
            continue;
        }
        if (open_nodes != nullptr && table_->at_cut(next)) {
            open_nodes->push_back(i);
            i = node.subtree_end;
            continue;
        }
        states[node.depth] = next;
        for (std::uint32_t t = node.first_token; t < node.first_token_end; ++t) {
            set_bit(bits, trie_->tokens()[t]);
        }
        ++i;
    }
}

const Masks::LocalMask& Masks::local_mask(StateId truncated) {
    const auto [found, fresh] = local_masks_.try_emplace(truncated);
    LocalMask& local = found->second;
    if (!fresh) return local;
    local.bits.assign((trie_->vocabulary_size() + 63) / 64, 0);
    walk(truncated, 0, static_cast<std::uint32_t>(trie_->nodes().size()), local.bits,
         &local.open_nodes);
    return local;
}

void Masks::walk_open_node(StateId state, std::uint32_t node, TokenMask& bits) {
    // The path to the node, read off its first token's bytes.
    const TokenTrie::Node& at = trie_->nodes()[node];
    const std::string& text = trie_->piece(trie_->tokens()[at.first_token]);
    for (int i = 0; i + 1 < at.depth; ++i) {
        state = table_->step(state, static_cast<std::uint8_t>(text[static_cast<std::size_t>(i)]));
        if (state == kDead) return;
    }
    walk(state, node, at.subtree_end, bits, nullptr);
}

std::span<const std::uint64_t> Masks::of(StateId state) {
    const auto [found, fresh] = masks_.try_emplace(state);
    TokenMask& bits = found->second;
    if (!fresh) return bits;
    bits.assign((trie_->vocabulary_size() + 63) / 64, 0);
    if (state == kDead) return bits;
    const StateId truncated = table_->truncate(state, trie_->bytes_max());
    if (truncated != state) {
        const LocalMask& local = local_mask(truncated);
        bits = local.bits;
        for (const std::uint32_t node : local.open_nodes) walk_open_node(state, node, bits);
    } else {
        walk(state, 0, static_cast<std::uint32_t>(trie_->nodes().size()), bits, nullptr);
    }
    if (table_->can_end(state)) {
        for (const TokenId id : trie_->end_tokens()) set_bit(bits, id);
    }
    return bits;
}

void Masks::keep_within_limits() {
    if (masks_.size() >= limits_.masks_max) masks_.clear();
    if (local_masks_.size() >= limits_.masks_max) local_masks_.clear();
    const std::size_t mask_bytes = trie_->vocabulary_size() / 8 + 64;
    memory_bytes_ = table_->memory_bytes() + (masks_.size() + local_masks_.size()) * mask_bytes;
    if (memory_bytes_ <= limits_.bytes_max) return;
    masks_.clear();
    local_masks_.clear();
    table_ = std::make_shared<StateTable>(grammar_);
}

}  // namespace engine::constrain
