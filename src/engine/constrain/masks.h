#pragma once
// The matcher's states and the token masks of one grammar over one vocabulary, shared by all
// generations under that grammar: what one of them found out, the next one looks up.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
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

struct MaskLimits {
    std::size_t bytes_max = 64u << 20;  ///< above it, everything known is forgotten
    std::size_t masks_max = 512;        ///< kept per kind
    /// Of one mask, in the matcher's items: tens of milliseconds. Real schemas stay far below.
    std::uint64_t work_max = 2'000'000;
};

/// One thread, but for memory_bytes.
class Masks {
public:
    Masks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie,
          MaskLimits limits = {});

    const TokenTrie& trie() const { return *trie_; }
    /// The states in use now. When they grow over the limit a new table takes their place; who
    /// holds a state of the old one brings it over with StateTable::adopt.
    const std::shared_ptr<StateTable>& table() const { return table_; }
    /// Forgets what is known when it is too much. Ends the validity of `of`'s results.
    void keep_within_limits();
    /// The tokens that may follow a state of table(); those that end generation where it may end.
    /// Valid until keep_within_limits. Nothing at all when finding out would take too long.
    std::span<const std::uint64_t> of(StateId state);
    std::size_t memory_bytes() const { return memory_bytes_; }  ///< thread-safe

private:
    /// The mask of a truncated state, and the trie nodes below which only the full state knows.
    struct LocalMask {
        TokenMask bits;
        std::vector<std::uint32_t> open_nodes;
    };
    void walk(StateId state, std::uint32_t first, std::uint32_t end, TokenMask& bits,
              std::vector<std::uint32_t>* open_nodes);
    /// The text size (TokenTrie) that surely fits a state; kTextSizes when none does.
    std::size_t text_size(StateId state);
    void walk_open_node(StateId state, std::uint32_t node, TokenMask& bits);
    const LocalMask& local_mask(StateId truncated);

    std::shared_ptr<const Grammar> grammar_;
    std::shared_ptr<const TokenTrie> trie_;
    MaskLimits limits_;
    std::shared_ptr<StateTable> table_;
    std::unordered_map<StateId, TokenMask> masks_;
    std::unordered_map<StateId, LocalMask> local_masks_;
    std::atomic<std::size_t> memory_bytes_ = 0;
};

}  // namespace engine::constrain
