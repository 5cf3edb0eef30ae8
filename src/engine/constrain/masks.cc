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

std::size_t Masks::text_size(StateId state) {
    const std::uint32_t room = table_->text_room(state);
    for (std::size_t size = TokenTrie::kTextSizes; size-- > 0;) {
        if (room >= TokenTrie::kTextBytesMax[size]) return size;
    }
    return TokenTrie::kTextSizes;
}

void Masks::walk(StateId state, std::uint32_t first, std::uint32_t end, TokenMask& bits,
                 std::vector<std::uint32_t>* open_nodes) {
    // Below it is worth asking whether all text fits.
    constexpr std::uint32_t kNodesMin = 24;
    const auto& nodes = trie_->nodes();
    if (first >= end) return;
    // states[d]: after d bytes of the current path; the walk starts above `first`.
    std::array<StateId, 257> states;
    states[nodes[first].depth - 1u] = state;
    // Before this node, tokens of the size `texts` are in already.
    std::uint32_t texts_end = first;
    std::uint8_t texts = 0;
    if (first == 0) {
        if (const std::size_t size = text_size(state); size < TokenTrie::kTextSizes) {
            const TokenMask& all = trie_->text_mask(size);
            for (std::size_t i = 0; i < bits.size(); ++i) bits[i] |= all[i];
            texts_end = end;
            texts = static_cast<std::uint8_t>(1u << size);
        }
    }
    for (std::uint32_t i = first; i < end;) {
        const TokenTrie::Node& node = nodes[i];
        if (i < texts_end && (node.others & texts) == 0) {
            i = node.subtree_end;
            continue;
        }
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
        if (i >= texts_end && node.subtree_end - i >= kNodesMin) {
            if (const std::size_t size = text_size(next); size < TokenTrie::kTextSizes) {
                texts = static_cast<std::uint8_t>(1u << size);
                texts_end = node.subtree_end;
                for (std::uint32_t t = node.first_token; t < trie_->last_place(node); ++t) {
                    if (trie_->text_sizes(t) & texts) set_bit(bits, trie_->tokens()[t]);
                }
            }
        }
        for (std::uint32_t t = node.first_token; t < node.first_token_end; ++t) {
            set_bit(bits, trie_->tokens()[t]);
        }
        ++i;
    }
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

const Masks::LocalMask& Masks::local_mask(StateId truncated) {
    const auto [found, fresh] = local_masks_.try_emplace(truncated);
    LocalMask& local = found->second;
    if (!fresh) return local;
    local.bits.assign((trie_->vocabulary_size() + 63) / 64, 0);
    walk(truncated, 0, static_cast<std::uint32_t>(trie_->nodes().size()), local.bits,
         &local.open_nodes);
    return local;
}

std::span<const std::uint64_t> Masks::of(StateId state) {
    const auto [found, fresh] = masks_.try_emplace(state);
    TokenMask& bits = found->second;
    if (!fresh) return bits;
    bits.assign((trie_->vocabulary_size() + 63) / 64, 0);
    if (state == kDead) return bits;
    table_->set_budget(limits_.work_max);
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
    const bool exhausted = table_->exhausted();
    table_->set_budget(limits_.work_max);  // for the steps of the token that is chosen
    if (!exhausted) return bits;
    // Half a mask would make the text depend on what others have found out before.
    local_masks_.erase(truncated);
    masks_.erase(state);
    return {};
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
