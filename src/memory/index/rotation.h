#pragma once
// A fixed random rotation: spreads what a vector says over all its dimensions, so that their signs
// say equally much. Random signs and Hadamard transforms (Ailon and Chazelle 2009), over pieces
// that are powers of two.

#include <cstdint>
#include <span>
#include <vector>

namespace memory::index {

class Rotation {
public:
    explicit Rotation(std::uint32_t dims);
    /// In place; lengths and angles stay. Pre: [dims].
    void apply(std::span<float> vector) const;

private:
    static constexpr std::size_t kRounds = 3;

    std::uint32_t dims_;
    std::vector<float> signs_;  ///< [kRounds, dims]
};

}  // namespace memory::index
