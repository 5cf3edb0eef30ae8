#include "engine/kernels/page_rotations.h"

#include <algorithm>
#include <cmath>

namespace engine {

PageRotations::PageRotations(std::span<const float> inv_freq, RopePairing pairing,
                             std::uint32_t page_tokens)
    : inv_freq_(inv_freq.begin(), inv_freq.end()),
      pairing_(pairing),
      page_tokens_(page_tokens),
      stride_(4 * inv_freq.size()) {}

void PageRotations::cover(std::size_t pages) {
    const std::size_t known = this->pages();
    if (pages <= known || stride_ == 0) return;
    const std::size_t wanted = std::max({pages, 2 * known, std::size_t{64}});
    table_.resize(wanted * stride_);
    const std::size_t half = inv_freq_.size();
    for (std::size_t page = known; page < wanted; ++page) {
        float* a = table_.data() + page * stride_;
        float* b = a + 2 * half;
        for (std::size_t i = 0; i < half; ++i) {
            const double angle =
                static_cast<double>(page) * page_tokens_ * static_cast<double>(inv_freq_[i]);
            const bool adjacent = pairing_ == RopePairing::adjacent;
            const std::size_t first = adjacent ? 2 * i : i,
                              second = adjacent ? 2 * i + 1 : i + half;
            a[first] = a[second] = static_cast<float>(std::cos(angle));
            b[second] = static_cast<float>(std::sin(angle));
            b[first] = -b[second];
        }
    }
}

}  // namespace engine
