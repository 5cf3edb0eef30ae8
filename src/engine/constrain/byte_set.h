#pragma once
// A set of byte values, the terminal of the grammar.

#include <array>
#include <bit>
#include <compare>
#include <cstdint>

namespace engine::constrain {

struct ByteSet {
    std::array<std::uint64_t, 4> words{};

    static ByteSet range(std::uint8_t first, std::uint8_t last) {
        ByteSet set;
        for (unsigned byte = first; byte <= last; ++byte) set.add(static_cast<std::uint8_t>(byte));
        return set;
    }
    void add(std::uint8_t byte) { words[byte >> 6] |= std::uint64_t{1} << (byte & 63); }
    bool has(std::uint8_t byte) const { return (words[byte >> 6] >> (byte & 63)) & 1; }
    bool empty() const { return count() == 0; }
    int count() const {
        int total = 0;
        for (const auto word : words) total += std::popcount(word);
        return total;
    }
    ByteSet& operator|=(const ByteSet& other) {
        for (int i = 0; i < 4; ++i) words[i] |= other.words[i];
        return *this;
    }
    auto operator<=>(const ByteSet&) const = default;
};

}  // namespace engine::constrain
