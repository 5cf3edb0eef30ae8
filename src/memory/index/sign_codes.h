#pragma once
// One bit a dimension: the signs of what is left of a vector without the mean, turned. Few bits
// differ between near ones; how many of the nearest by bits hold how much of the truly nearest is
// measured on the vectors themselves.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "memory/index/bits.h"
#include "memory/index/rotation.h"
#include "memory/index/tenant_index.h"

namespace memory::index {

class SignCodes {
public:
    SignCodes(std::uint32_t dims, std::vector<float> mean);

    /// Pre: `unit` has length 1.
    void set(Slot slot, std::span<const float> unit);
    /// The `depth` of `allowed` with the fewest bits apart, in no order. Codes of slots that were
    /// never set are anything: leave them out of `allowed`.
    std::vector<Slot> nearest(std::span<const float> unit, const Bits& allowed,
                              std::size_t depth) const;
    /// For each of `wanted`, which are among `allowed`: how many of `allowed` come before it.
    std::vector<std::uint32_t> ranks(std::span<const float> unit, const Bits& allowed,
                                     std::span<const Scored> wanted) const;
    std::uint64_t bytes() const;

private:
    std::vector<std::uint64_t> encode(std::span<const float> unit) const;

    std::uint32_t dims_;
    std::size_t words_;
    std::vector<float> mean_;
    Rotation rotation_;
    std::vector<std::unique_ptr<std::uint64_t[]>> blocks_;  ///< each [words, 64]
};

/// How deep a scan by bits must look.
class DepthCurve {
public:
    /// Ranks by bits, among `size` vectors, that the truly nearest had: the `few` nearest of each
    /// question, and all kNearest. Call with ascending sizes.
    void add(std::size_t size, std::vector<std::uint32_t> few, std::vector<std::uint32_t> all);
    /// For the nearest `limit` of `size`, of which the share `recall` is to be found.
    std::size_t depth(std::size_t size, std::size_t limit, float recall) const;
    static constexpr std::size_t kFewNearest = 10, kNearest = 64;

private:
    struct Measured {
        std::size_t size = 0;
        std::vector<std::uint32_t> few, all;  ///< ascending
    };
    std::vector<Measured> measured_;
};

}  // namespace memory::index
