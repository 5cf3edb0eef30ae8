#pragma once
// The core of both BPE flavours: join the best-ranked pair of neighbours until none is left.
// Byte-level BPE ranks a pair by its line in the merge list, SentencePiece by the score of the
// token it makes. Equal ranks are settled left to right.

#include <cstdint>
#include <vector>

namespace engine {

/// A token id, or a number past the vocabulary for a text that only occurs inside tokens.
using Symbol = std::int32_t;

class MergeTable {
public:
    struct Merge {
        std::uint32_t rank = 0;
        Symbol merged = -1;
    };

    explicit MergeTable(std::size_t merges = 0);

    /// Keeps the first merge given for a pair.
    void add(Symbol left, Symbol right, Merge merge);
    const Merge* find(Symbol left, Symbol right) const;

    /// Working memory, reused from word to word.
    struct Scratch {
        struct Node {
            Symbol symbol;
            std::int32_t previous, next;  ///< -1: none
        };
        struct Candidate {
            std::uint64_t key;  ///< rank << 32 | index of the left node
            Symbol left, right;
        };
        std::vector<Merge> pairs;
        std::vector<Node> nodes;
        std::vector<Candidate> heap;
    };

    /// Merges `symbols` in place. O(n log n).
    void merge(std::vector<Symbol>& symbols, Scratch& scratch) const;

private:
    struct Slot {
        std::uint64_t key = UINT64_MAX;
        Merge merge;
    };
    static std::uint64_t key_of(Symbol left, Symbol right) {
        return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) |
               static_cast<std::uint32_t>(right);
    }
    std::size_t slot_of(std::uint64_t key) const;
    void merge_short(std::vector<Symbol>& symbols, Scratch& scratch) const;
    void merge_long(std::vector<Symbol>& symbols, Scratch& scratch) const;
    void offer(Scratch& scratch, std::int32_t left_node) const;

    std::vector<Slot> slots_;
    std::size_t mask_ = 0;
};

}  // namespace engine
