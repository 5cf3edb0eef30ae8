#pragma once
// Rotations by whole pages: what turns a query from its own page to the one at hand.
//
// A key is cached rotated by its offset in its page only, and a query by its own offset. Rotations
// add up, so turning the query by the pages between the two gives the scores that absolute
// positions give. A page is then worth the same wherever it stands: whole pages may be dropped from
// the middle of a sequence and the rest move up (context shift) without touching a key.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/kernels.h"

namespace engine {

class PageRotations {
public:
    PageRotations() = default;
    /// Pre: inv_freq holds radians per position, as for rope(). Covers no page yet.
    PageRotations(std::span<const float> inv_freq, RopePairing pairing, std::uint32_t page_tokens);

    /// Makes at(0) to at(pages - 1) ready. Cheap when they are; grows by doubling.
    void cover(std::size_t pages);

    std::size_t rot_dim() const { return 2 * inv_freq_.size(); }
    RopePairing pairing() const { return pairing_; }
    std::uint32_t page_tokens() const { return page_tokens_; }
    std::size_t pages() const { return stride_ == 0 ? 0 : table_.size() / stride_; }
    /// Factors of a rotation by `pages` pages: y[i] = x[i] * a[i] + partner(x)[i] * b[i], where a
    /// is at(pages) and b lies rot_dim() behind; the partner is the pair's other value.
    const float* at(std::size_t pages) const { return table_.data() + pages * stride_; }

private:
    std::vector<float> inv_freq_;
    RopePairing pairing_ = RopePairing::halves;
    std::uint32_t page_tokens_ = 0;
    std::size_t stride_ = 0;
    std::vector<float> table_;
};

}  // namespace engine
