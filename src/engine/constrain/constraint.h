#pragma once
// One generation under a grammar: which tokens may come next, and what was taken so far.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/constrain/matcher.h"
#include "engine/constrain/token_trie.h"

namespace engine::constrain {

/// One bit per token id.
using TokenMask = std::vector<std::uint64_t>;

inline bool has_token(std::span<const std::uint64_t> mask, TokenId id) {
    const auto bit = static_cast<std::uint32_t>(id);
    return (mask[bit >> 6] >> (bit & 63)) & 1;
}

struct ConstraintLimits {
    std::size_t state_bytes_max = 64u << 20;  ///< above it, states not needed now are forgotten
    std::size_t masks_max = 512;              ///< kept per kind
};

/// One thread. Grammar and trie are shared; states and masks are this generation's own.
class Constraint {
public:
    Constraint(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie,
               ConstraintLimits limits = {});

    /// The tokens that may come next; those that end generation only when the text is complete.
    /// Valid until the next call. All zero: nothing can follow, the caller must stop with an error.
    std::span<const std::uint64_t> mask();
    /// Takes a token. False, and nothing changes, when the mask does not have it.
    bool accept(TokenId token);
    bool accept_bytes(std::string_view bytes);
    bool can_end() const { return table_->can_end(state_); }
    bool ended() const { return ended_; }
    /// What must come next whatever the model says: to be appended without sampling.
    std::string forced(std::size_t bytes_max = 256) const;

    /// For trying a span and going back. Valid until the next `mask`.
    StateId save() const { return state_; }
    void restore(StateId state) { state_ = state; }

private:
    /// The mask of a truncated state, and the trie nodes below which only the full state knows.
    struct LocalMask {
        TokenMask bits;
        std::vector<std::uint32_t> open_nodes;
    };
    void walk(StateId state, std::uint32_t first, std::uint32_t end, TokenMask& bits,
              std::vector<std::uint32_t>* open_nodes);
    void walk_open_node(StateId state, std::uint32_t node, TokenMask& bits);
    const LocalMask& local_mask(StateId truncated);
    void keep_within_limits();

    std::shared_ptr<StateTable> table_;
    std::shared_ptr<const TokenTrie> trie_;
    ConstraintLimits limits_;
    StateId state_;
    bool ended_ = false;
    std::unordered_map<StateId, TokenMask> masks_;
    std::unordered_map<StateId, LocalMask> local_masks_;
};

}  // namespace engine::constrain
