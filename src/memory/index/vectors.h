#pragma once
// Vectors as codes: what a scan reads in memory, what ranks in a file the kernel may drop.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "memory/index/bits.h"
#include "memory/index/spill.h"
#include "memory/index/tenant_index.h"

namespace memory::index {

class VectorIndex {
public:
    /// Pre: dims > 0.
    VectorIndex(std::uint32_t dims, SpillFile& file);

    /// Slots beyond the highest so far have none. A vector of zeros or with NaN is none.
    /// Errors: resource_exhausted, unavailable (the file).
    base::Result<void> set(Slot slot, std::span<const float> vector);
    void remove(Slot slot);
    bool has(Slot slot) const { return slot < present_.size() && present_.test(slot); }

    /// Pre: `query` is finite, [dims].
    std::vector<Scored> nearest(std::span<const float> query, const Bits& allowed,
                                std::uint32_t limit, float recall, std::string* plan) const;
    /// Cosines; 0 where there is no vector.
    std::vector<float> scores(std::span<const float> query, std::span<const Slot> slots) const;
    /// What the codes stand for; empty without one.
    std::vector<float> decoded(Slot slot) const;
    std::uint64_t bytes() const;

private:
    float cosine(std::span<const float> query, Slot slot) const;

    std::uint32_t dims_;
    SpillStream coarse_;  ///< per slot: dims codes of 8 bits
    SpillStream fine_;    ///< per slot: the scale, then dims codes of the next 8 bits
    Bits present_;
};

}  // namespace memory::index
