#pragma once
// A set of slots as one bit each: what a query works with, however its parts are stored.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace memory::index {

class Bits {
public:
    explicit Bits(std::size_t size = 0) : size_(size), words_((size + 63) / 64) {}

    std::size_t size() const { return size_; }
    void resize(std::size_t size) {
        size_ = size;
        if (const std::size_t words = (size + 63) / 64; words > words_.capacity()) {
            words_.reserve(words + words / 8);  // an eighth more is enough: few bytes, many tenants
        }
        words_.resize((size + 63) / 64);
    }
    bool test(std::size_t at) const { return words_[at / 64] >> (at % 64) & 1; }
    void set(std::size_t at) { words_[at / 64] |= bit(at); }
    void reset(std::size_t at) { words_[at / 64] &= ~bit(at); }

    std::size_t words() const { return words_.size(); }
    std::uint64_t word(std::size_t w) const { return words_[w]; }
    std::uint64_t& word(std::size_t w) { return words_[w]; }

    Bits& operator&=(const Bits& other) {
        for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= other.words_[w];
        return *this;
    }
    Bits& operator|=(const Bits& other) {
        for (std::size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
        return *this;
    }
    Bits& operator-=(const Bits& other) {
        for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= ~other.words_[w];
        return *this;
    }
    void clear() {
        for (std::uint64_t& word : words_) word = 0;
    }

    std::uint64_t count() const {
        std::uint64_t sum = 0;
        for (const std::uint64_t word : words_) sum += static_cast<unsigned>(std::popcount(word));
        return sum;
    }
    /// The first member from `at` on; size() when there is none.
    std::size_t next(std::size_t at) const {
        if (at >= size_) return size_;
        std::size_t w = at / 64;
        std::uint64_t word = words_[w] & (~std::uint64_t{0} << (at % 64));
        while (word == 0) {
            if (++w == words_.size()) return size_;
            word = words_[w];
        }
        return w * 64 + static_cast<unsigned>(std::countr_zero(word));
    }
    template <class Each>
    void each(Each each) const {
        for (std::size_t w = 0; w < words_.size(); ++w) {
            for (std::uint64_t word = words_[w]; word != 0; word &= word - 1) {
                each(static_cast<std::uint32_t>(w * 64 +
                                                static_cast<unsigned>(std::countr_zero(word))));
            }
        }
    }
    /// Keeps the members that `keep` is true for.
    template <class Keep>
    void keep_where(Keep keep) {
        for (std::size_t w = 0; w < words_.size(); ++w) {
            for (std::uint64_t word = words_[w]; word != 0; word &= word - 1) {
                const std::size_t at = w * 64 + static_cast<unsigned>(std::countr_zero(word));
                if (!keep(static_cast<std::uint32_t>(at))) reset(at);
            }
        }
    }
    std::uint64_t bytes() const { return words_.capacity() * sizeof(std::uint64_t); }

private:
    static std::uint64_t bit(std::size_t at) { return std::uint64_t{1} << (at % 64); }

    std::size_t size_;
    std::vector<std::uint64_t> words_;
};

}  // namespace memory::index
