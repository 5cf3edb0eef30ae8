#pragma once
// One generation under a grammar: which tokens may come next, and what was taken so far.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/constrain/masks.h"

namespace engine::constrain {

/// One thread: that of its masks.
class Constraint {
public:
    explicit Constraint(std::shared_ptr<Masks> masks);
    /// With masks of its own.
    Constraint(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie,
               MaskLimits limits = {});

    /// The tokens that may come next; those that end generation only when the text is complete.
    /// Valid until the next call. All zero: nothing can follow, the caller must stop with an error.
    std::span<const std::uint64_t> mask();
    /// Takes a token. False, and nothing changes, when the mask does not have it.
    bool accept(TokenId token);
    bool accept_bytes(std::string_view bytes);
    bool can_end() const { return table_->can_end(state_); }
    bool ended() const { return ended_; }
    /// Complete, and nothing but the end can follow.
    bool finished() const { return ended_ || (can_end() && table_->next_bytes(state_).empty()); }
    /// What must come next whatever the model says: to be appended without sampling.
    std::string forced(std::size_t bytes_max = 256) const;
    /// The tokens of `forced` as the tokenizer would write them after the tokens `before`, without
    /// those at its end that a longer token could take the place of. They are not accepted yet.
    std::vector<TokenId> forced_tokens(const Tokenizer& tokenizer, std::span<const TokenId> before,
                                       std::size_t tokens_max) const;

    /// For trying a span and going back. Valid until the next `mask`.
    StateId save() const { return state_; }
    void restore(StateId state) { state_ = state; }

private:
    void follow_table();

    std::shared_ptr<Masks> masks_;
    std::shared_ptr<StateTable> table_;  ///< masks_'s, or one it had before
    StateId state_;
    bool ended_ = false;
    TokenMask nothing_;  ///< the mask after the end
};

}  // namespace engine::constrain
