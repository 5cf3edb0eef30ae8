#pragma once
// Which entries have a term, and how often: per term a tail that grows byte by byte, packed into
// immutable blocks of 128 with what bounds their scores. A term of one entry has neither.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "memory/index/paged_column.h"
#include "memory/index/tenant_index.h"
#include "memory/index/terms.h"

namespace memory::index {

inline constexpr std::size_t kBlockPostings = 128;
inline constexpr Slot kNoSlot = UINT32_MAX;
/// Frequencies and lengths are kept up to this.
inline constexpr std::uint32_t kCountMax = UINT16_MAX;

/// What bounds the score of a posting whatever the averages are.
struct ScoreBound {
    std::uint32_t frequency_max = 0, length_min = kCountMax;
};

class PostingLists {
public:
    PostingLists();
    ~PostingLists();

    /// Pre: `slot` is above every slot of the term; frequency 1..kCountMax; `length` is the
    /// entry's.
    void append(TermId term, Slot slot, std::uint32_t frequency, std::uint32_t length);
    std::uint64_t bytes() const;

    class Cursor;

private:
    struct Block {
        Slot last = 0;
        std::uint32_t offset = 0;  ///< of its bits in List::packed
        std::uint16_t length_min = 0, frequency_max = 0;
        std::uint8_t gap_bits = 0, frequency_bits = 0;
    };
    struct List {
        std::vector<Block> blocks;
        std::vector<std::uint8_t> packed;
        ScoreBound bound;
    };
    /// With one posting in all: its slot is `last`, its frequency `where`.
    struct Term {
        Slot last = kNoSlot;
        std::uint32_t where = 0;  ///< the tail, in units of the arena
        std::uint32_t list = 0;   ///< index + 1 into lists_; 0: no blocks yet
        std::uint16_t tail_bytes = 0;
        std::uint8_t tail_count = 0, tail_class = 0;
        std::uint16_t length_min = kCountMax, frequency_max = 0;  ///< of the tail
        bool operator==(const Term&) const = default;
    };

    std::uint8_t* tail(const Term& term) const;
    std::uint32_t take_chunk(unsigned size_class);
    void free_chunk(std::uint32_t where, unsigned size_class);
    void append_tail(Term& term, Slot slot, std::uint32_t frequency);
    void seal(Term& term);
    /// Decodes the tail; returns how many. Pre: room for kBlockPostings.
    std::size_t read_tail(const Term& term, Slot* slots, std::uint32_t* frequencies) const;
    static void read_block(const List& list, std::size_t block, Slot* slots);
    static void read_frequencies(const List& list, std::size_t block, std::uint32_t* out);

    PagedColumn<Term> terms_;
    std::vector<std::unique_ptr<List>> lists_;
    std::vector<std::unique_ptr<std::uint8_t[]>> arena_;
    std::size_t arena_used_;
    std::array<std::uint32_t, 16> free_{};  ///< first free chunk + 1 by size class
    std::uint64_t list_bytes_ = 0;
};

/// Walks one list upwards. Reads the lists as they are: they must not change meanwhile.
class PostingLists::Cursor {
public:
    Cursor(const PostingLists& lists, TermId term);

    /// kNoSlot at the end.
    Slot slot() const { return slot_; }
    std::uint32_t frequency();
    void next() {
        if (++at_ < count_) {
            slot_ = slots_[at_];
        } else {
            enter(block_ + 1);
        }
    }
    /// The first posting at `target` or after it.
    void seek(Slot target);
    ScoreBound bound() const { return bound_; }
    /// Bound of the block that would hold `target`, without reading it; `end`: its last slot.
    ScoreBound block_bound(Slot target, Slot* end);

private:
    void enter(std::size_t block);
    void find_block(Slot target);

    const PostingLists* lists_;
    Term term_;
    const List* list_;
    std::size_t blocks_ = 0;  ///< packed ones; the tail comes after them
    std::size_t block_ = 0, at_ = 0, count_ = 0;
    std::size_t peeked_ = 0;  ///< where block_bound found its last target
    Slot slot_ = kNoSlot;
    ScoreBound bound_;
    bool frequencies_read_ = false;
    std::array<Slot, kBlockPostings> slots_;
    std::array<std::uint32_t, kBlockPostings> frequencies_;
};

}  // namespace memory::index
