#include "memory/index/postings.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/core/check.h"

namespace memory::index {
namespace {

constexpr std::size_t kUnit = 8;  ///< of chunks; class c has kUnit << c bytes
constexpr std::size_t kArenaBytes = 1 << 15;
/// The longest posting of a tail: gap and flag in 33 bits, frequency in 16.
constexpr std::size_t kPostingBytesMax = 8;
/// Packed bits are read eight bytes at a time.
constexpr std::size_t kReadAhead = 8;

std::uint8_t* write_varint(std::uint8_t* to, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) *to++ = static_cast<std::uint8_t>(value | 0x80);
    *to++ = static_cast<std::uint8_t>(value);
    return to;
}

const std::uint8_t* read_varint(const std::uint8_t* from, std::uint64_t* value) {
    *value = 0;
    for (unsigned shift = 0;; shift += 7) {
        *value |= std::uint64_t{*from & 0x7Fu} << shift;
        if ((*from++ & 0x80) == 0) return from;
    }
}

void pack(const std::uint32_t* values, unsigned bits, std::vector<std::uint8_t>& out) {
    const std::size_t begin = out.size();
    out.resize(begin + (kBlockPostings * bits) / 8);
    std::uint64_t pending = 0;
    unsigned filled = 0;
    std::uint8_t* to = out.data() + begin;
    for (std::size_t i = 0; i < kBlockPostings; ++i) {
        pending |= std::uint64_t{values[i]} << filled;
        for (filled += bits; filled >= 8; filled -= 8, pending >>= 8) {
            *to++ = static_cast<std::uint8_t>(pending);
        }
    }
}

void unpack(const std::uint8_t* from, unsigned bits, std::uint32_t* out) {
    const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
    std::size_t at = 0;
    for (std::size_t i = 0; i < kBlockPostings; ++i, at += bits) {
        std::uint64_t word;
        std::memcpy(&word, from + at / 8, sizeof(word));
        out[i] = static_cast<std::uint32_t>(word >> (at % 8) & mask);
    }
}

template <class T>
void grow_gently(std::vector<T>& vector, std::size_t more) {
    const std::size_t needed = vector.size() + more;
    if (needed > vector.capacity()) vector.reserve(needed + needed / 8);
}

}  // namespace

PostingLists::PostingLists() : arena_used_(kArenaBytes) {}
PostingLists::~PostingLists() = default;

std::uint8_t* PostingLists::tail(const Term& term) const {
    const std::size_t at = std::size_t{term.where} * kUnit;
    return arena_[at / kArenaBytes].get() + at % kArenaBytes;
}

std::uint32_t PostingLists::take_chunk(unsigned size_class) {
    if (free_[size_class] != 0) {
        const std::uint32_t where = free_[size_class] - 1;
        const std::size_t at = std::size_t{where} * kUnit;
        std::memcpy(&free_[size_class], arena_[at / kArenaBytes].get() + at % kArenaBytes,
                    sizeof(std::uint32_t));
        return where;
    }
    const std::size_t size = kUnit << size_class;
    if (arena_used_ + size > kArenaBytes) {
        // What is left of the old one serves smaller tails.
        for (unsigned c = size_class; c-- > 0;) {
            for (; arena_used_ + (kUnit << c) <= kArenaBytes; arena_used_ += kUnit << c) {
                free_chunk(static_cast<std::uint32_t>(
                               ((arena_.size() - 1) * kArenaBytes + arena_used_) / kUnit),
                           c);
            }
        }
        arena_.push_back(std::make_unique_for_overwrite<std::uint8_t[]>(kArenaBytes));
        arena_used_ = 0;
    }
    const std::size_t at = (arena_.size() - 1) * kArenaBytes + arena_used_;
    arena_used_ += size;
    return static_cast<std::uint32_t>(at / kUnit);
}

void PostingLists::free_chunk(std::uint32_t where, unsigned size_class) {
    const std::size_t at = std::size_t{where} * kUnit;
    std::memcpy(arena_[at / kArenaBytes].get() + at % kArenaBytes, &free_[size_class],
                sizeof(std::uint32_t));
    free_[size_class] = where + 1;
}

void PostingLists::append(TermId id, Slot slot, std::uint32_t frequency, std::uint32_t length) {
    Term term = terms_.get(id);
    DG_CHECK(term.last == kNoSlot || slot > term.last);
    length = std::min(length, kCountMax);
    frequency = std::min(frequency, kCountMax);
    if (term.last == kNoSlot) {  // the first one lives in the term itself
        term.where = frequency;
    } else {
        if (term.tail_count == 0 && term.list == 0) {
            const std::uint32_t first_frequency = term.where;
            const Slot first = term.last;
            term.where = take_chunk(0);
            term.last = kNoSlot;
            append_tail(term, first, first_frequency);
        }
        append_tail(term, slot, frequency);
    }
    term.last = slot;
    term.length_min = static_cast<std::uint16_t>(std::min<std::uint32_t>(term.length_min, length));
    term.frequency_max =
        static_cast<std::uint16_t>(std::max<std::uint32_t>(term.frequency_max, frequency));
    if (term.tail_count == kBlockPostings) seal(term);
    terms_.set(id, term);
}

void PostingLists::append_tail(Term& term, Slot slot, std::uint32_t frequency) {
    if (term.tail_count == 0 && term.list != 0) term.where = take_chunk(term.tail_class = 0);
    std::uint8_t encoded[2 * kPostingBytesMax];
    // Unsigned: before the first slot comes -1.
    const std::uint32_t gap = slot - term.last - 1;
    std::uint8_t* end = write_varint(encoded, std::uint64_t{gap} << 1 | (frequency > 1 ? 1 : 0));
    if (frequency > 1) end = write_varint(end, frequency);
    const auto size = static_cast<std::size_t>(end - encoded);
    if (term.tail_bytes + size > kUnit << term.tail_class) {
        unsigned wider = term.tail_class + 1u;
        while (term.tail_bytes + size > kUnit << wider) ++wider;
        const std::uint32_t old = term.where;
        const std::uint8_t* from = tail(term);
        term.where = take_chunk(wider);
        std::memcpy(tail(term), from, term.tail_bytes);
        free_chunk(old, term.tail_class);
        term.tail_class = static_cast<std::uint8_t>(wider);
    }
    std::memcpy(tail(term) + term.tail_bytes, encoded, size);
    term.tail_bytes = static_cast<std::uint16_t>(term.tail_bytes + size);
    ++term.tail_count;
    term.last = slot;
}

void PostingLists::seal(Term& term) {
    std::array<Slot, kBlockPostings> slots;
    std::array<std::uint32_t, kBlockPostings> frequencies, gaps;
    read_tail(term, slots.data(), frequencies.data());
    if (term.list == 0) {
        lists_.push_back(std::make_unique<List>());
        term.list = static_cast<std::uint32_t>(lists_.size());
    }
    List& list = *lists_[term.list - 1];
    list_bytes_ -= list.packed.capacity() + list.blocks.capacity() * sizeof(Block);
    Slot before = list.blocks.empty() ? kNoSlot : list.blocks.back().last;
    std::uint32_t gap_bits = 0, frequency_bits = 0;
    for (std::size_t i = 0; i < kBlockPostings; ++i) {
        gaps[i] = slots[i] - before - 1;
        before = slots[i];
        gap_bits |= gaps[i];
        frequency_bits |= --frequencies[i];
    }
    Block block;
    block.last = term.last;
    block.length_min = term.length_min;
    block.frequency_max = term.frequency_max;
    block.gap_bits = static_cast<std::uint8_t>(std::bit_width(gap_bits));
    block.frequency_bits = static_cast<std::uint8_t>(std::bit_width(frequency_bits));
    if (!list.packed.empty()) list.packed.resize(list.packed.size() - kReadAhead);
    block.offset = static_cast<std::uint32_t>(list.packed.size());
    grow_gently(list.packed,
                kBlockPostings / 8 * (block.gap_bits + block.frequency_bits) + kReadAhead);
    grow_gently(list.blocks, 1);
    pack(gaps.data(), block.gap_bits, list.packed);
    pack(frequencies.data(), block.frequency_bits, list.packed);
    list.packed.resize(list.packed.size() + kReadAhead);
    list.blocks.push_back(block);
    list.bound.frequency_max =
        std::max<std::uint32_t>(list.bound.frequency_max, term.frequency_max);
    list.bound.length_min = std::min<std::uint32_t>(list.bound.length_min, term.length_min);
    list_bytes_ += list.packed.capacity() + list.blocks.capacity() * sizeof(Block);
    free_chunk(term.where, term.tail_class);
    term.where = 0;
    term.tail_bytes = 0;
    term.tail_count = term.tail_class = 0;
    term.length_min = kCountMax;
    term.frequency_max = 0;
}

std::size_t PostingLists::read_tail(const Term& term, Slot* slots,
                                    std::uint32_t* frequencies) const {
    if (term.last == kNoSlot) return 0;
    if (term.tail_count == 0) {
        if (term.list != 0) return 0;
        slots[0] = term.last;
        frequencies[0] = term.where;
        return 1;
    }
    Slot before = term.list == 0 ? kNoSlot : lists_[term.list - 1]->blocks.back().last;
    const std::uint8_t* from = tail(term);
    for (std::size_t i = 0; i < term.tail_count; ++i) {
        std::uint64_t value = 0;
        from = read_varint(from, &value);
        before += static_cast<std::uint32_t>(value >> 1) + 1;
        slots[i] = before;
        frequencies[i] = 1;
        if ((value & 1) == 0) continue;
        from = read_varint(from, &value);
        frequencies[i] = static_cast<std::uint32_t>(value);
    }
    return term.tail_count;
}

void PostingLists::read_block(const List& list, std::size_t index, Slot* slots) {
    const Block& block = list.blocks[index];
    unpack(list.packed.data() + block.offset, block.gap_bits, slots);
    Slot before = index == 0 ? kNoSlot : list.blocks[index - 1].last;
    for (std::size_t i = 0; i < kBlockPostings; ++i) slots[i] = before += slots[i] + 1;
}

void PostingLists::read_frequencies(const List& list, std::size_t index, std::uint32_t* out) {
    const Block& block = list.blocks[index];
    unpack(list.packed.data() + block.offset + kBlockPostings / 8 * block.gap_bits,
           block.frequency_bits, out);
    for (std::size_t i = 0; i < kBlockPostings; ++i) ++out[i];
}

std::uint64_t PostingLists::bytes() const {
    return terms_.bytes() + arena_.size() * kArenaBytes + lists_.size() * (sizeof(List) + 16) +
           list_bytes_;
}

// --- cursor ------------------------------------------------------------------------------------

PostingLists::Cursor::Cursor(const PostingLists& lists, TermId term)
    : lists_(&lists),
      term_(lists.terms_.get(term)),
      list_(term_.list == 0 ? nullptr : lists.lists_[term_.list - 1].get()),
      blocks_(list_ == nullptr ? 0 : list_->blocks.size()) {
    bound_ = {term_.frequency_max, term_.length_min};
    if (list_ != nullptr) {
        bound_.frequency_max = std::max(bound_.frequency_max, list_->bound.frequency_max);
        bound_.length_min = std::min(bound_.length_min, list_->bound.length_min);
    }
    enter(0);
}

void PostingLists::Cursor::enter(std::size_t block) {
    block_ = block;
    at_ = 0;
    slot_ = kNoSlot;
    count_ = 0;
    if (block > blocks_) return;
    if (block == blocks_) {
        count_ = lists_->read_tail(term_, slots_.data(), frequencies_.data());
        frequencies_read_ = true;
    } else {
        read_block(*list_, block, slots_.data());
        count_ = kBlockPostings;
        frequencies_read_ = false;
    }
    if (count_ > 0) slot_ = slots_[0];
}

std::uint32_t PostingLists::Cursor::frequency() {
    if (!frequencies_read_) {
        read_frequencies(*list_, block_, frequencies_.data());
        frequencies_read_ = true;
    }
    return frequencies_[at_];
}

void PostingLists::Cursor::seek(Slot target) {
    if (slot_ >= target) return;
    if (block_ < blocks_ && list_->blocks[block_].last < target) {
        std::size_t block = block_ + 1, step = 1;
        while (block + step < blocks_ && list_->blocks[block + step].last < target) {
            block += step;
            step *= 2;
        }
        const auto begin = list_->blocks.begin();
        block = static_cast<std::size_t>(
            std::lower_bound(
                begin + static_cast<std::ptrdiff_t>(block),
                begin + static_cast<std::ptrdiff_t>(std::min(blocks_, block + step + 1)), target,
                [](const Block& b, Slot slot) { return b.last < slot; }) -
            begin);
        enter(block);
        if (slot_ >= target) return;
    }
    at_ = static_cast<std::size_t>(
        std::lower_bound(slots_.begin() + static_cast<std::ptrdiff_t>(at_),
                         slots_.begin() + static_cast<std::ptrdiff_t>(count_), target) -
        slots_.begin());
    slot_ = at_ < count_ ? slots_[at_] : kNoSlot;
}

ScoreBound PostingLists::Cursor::block_bound(Slot target, Slot* end) {
    std::size_t& block = peeked_ = std::max(peeked_, block_);
    while (block < blocks_ && list_->blocks[block].last < target) ++block;
    if (block < blocks_) {
        const Block& b = list_->blocks[block];
        *end = b.last;
        return {b.frequency_max, b.length_min};
    }
    *end = kNoSlot;
    if (term_.last < target || block > blocks_) return {};
    return {term_.frequency_max, term_.length_min};
}

}  // namespace memory::index
