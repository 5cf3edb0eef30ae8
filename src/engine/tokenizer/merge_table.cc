#include "engine/tokenizer/merge_table.h"

#include <algorithm>
#include <bit>

namespace engine {
namespace {

// Below this, scanning all pairs for the best one beats keeping a heap.
constexpr std::size_t kShortWordSymbols = 32;
constexpr std::uint32_t kNoRank = UINT32_MAX;

bool later(const MergeTable::Scratch::Candidate& a, const MergeTable::Scratch::Candidate& b) {
    return a.key > b.key;
}

}  // namespace

MergeTable::MergeTable(std::size_t merges)
    : slots_(std::bit_ceil(merges * 2 + 2)), mask_(slots_.size() - 1) {}

std::size_t MergeTable::slot_of(std::uint64_t key) const {
    std::uint64_t mixed = key * 0x9E3779B97F4A7C15u;
    mixed ^= mixed >> 32;
    std::size_t at = static_cast<std::size_t>(mixed) & mask_;
    while (slots_[at].key != key && slots_[at].key != UINT64_MAX) at = (at + 1) & mask_;
    return at;
}

void MergeTable::add(Symbol left, Symbol right, Merge merge) {
    const std::uint64_t key = key_of(left, right);
    Slot& slot = slots_[slot_of(key)];
    if (slot.key == UINT64_MAX) slot = Slot{key, merge};
}

const MergeTable::Merge* MergeTable::find(Symbol left, Symbol right) const {
    if (left < 0 || right < 0) return nullptr;
    const Slot& slot = slots_[slot_of(key_of(left, right))];
    return slot.key == UINT64_MAX ? nullptr : &slot.merge;
}

void MergeTable::merge(std::vector<Symbol>& symbols, Scratch& scratch) const {
    if (symbols.size() < 2) return;
    if (symbols.size() <= kShortWordSymbols) {
        merge_short(symbols, scratch);
    } else {
        merge_long(symbols, scratch);
    }
}

void MergeTable::merge_short(std::vector<Symbol>& symbols, Scratch& scratch) const {
    auto& pairs = scratch.pairs;
    const auto lookup = [&](std::size_t i) {
        const Merge* found = find(symbols[i], symbols[i + 1]);
        return found != nullptr ? *found : Merge{kNoRank, -1};
    };
    pairs.clear();
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) pairs.push_back(lookup(i));
    while (!pairs.empty()) {
        const auto best = std::min_element(pairs.begin(), pairs.end(),
                                           [](auto& a, auto& b) { return a.rank < b.rank; });
        if (best->rank == kNoRank) return;
        const auto i = static_cast<std::size_t>(best - pairs.begin());
        symbols[i] = best->merged;
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        pairs.erase(best);
        if (i > 0) pairs[i - 1] = lookup(i - 1);
        if (i < pairs.size()) pairs[i] = lookup(i);
    }
}

void MergeTable::offer(Scratch& scratch, std::int32_t left_node) const {
    if (left_node < 0) return;
    const auto& left = scratch.nodes[static_cast<std::size_t>(left_node)];
    if (left.next < 0) return;
    const Symbol right = scratch.nodes[static_cast<std::size_t>(left.next)].symbol;
    const Merge* found = find(left.symbol, right);
    if (found == nullptr) return;
    const std::uint64_t key =
        (std::uint64_t{found->rank} << 32) | static_cast<std::uint32_t>(left_node);
    scratch.heap.push_back({key, left.symbol, right});
    std::push_heap(scratch.heap.begin(), scratch.heap.end(), later);
}

void MergeTable::merge_long(std::vector<Symbol>& symbols, Scratch& scratch) const {
    auto& nodes = scratch.nodes;
    nodes.clear();
    scratch.heap.clear();
    const auto count = static_cast<std::int32_t>(symbols.size());
    for (std::int32_t i = 0; i < count; ++i) {
        nodes.push_back({symbols[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1});
    }
    for (std::int32_t i = 0; i + 1 < count; ++i) offer(scratch, i);
    while (!scratch.heap.empty()) {
        std::pop_heap(scratch.heap.begin(), scratch.heap.end(), later);
        const auto candidate = scratch.heap.back();
        scratch.heap.pop_back();
        const auto at = static_cast<std::int32_t>(candidate.key & UINT32_MAX);
        auto& left = nodes[static_cast<std::size_t>(at)];
        // A node that was merged away has symbol -1, so stale candidates fail here.
        if (left.symbol != candidate.left || left.next < 0) continue;
        auto& right = nodes[static_cast<std::size_t>(left.next)];
        if (right.symbol != candidate.right) continue;
        left.symbol = find(candidate.left, candidate.right)->merged;
        right.symbol = -1;
        left.next = right.next;
        if (left.next >= 0) nodes[static_cast<std::size_t>(left.next)].previous = at;
        offer(scratch, left.previous);
        offer(scratch, at);
    }
    symbols.clear();
    for (std::int32_t i = 0; i >= 0; i = nodes[static_cast<std::size_t>(i)].next) {
        symbols.push_back(nodes[static_cast<std::size_t>(i)].symbol);
    }
}

}  // namespace engine
