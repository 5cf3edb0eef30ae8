#include "sphere/native/pool_demand.h"

#include <algorithm>

namespace sphere::native {

std::int64_t PoolDemand::number_of(base::Instant now) {
    return (now - base::Instant{}).count() / kWindow.count();
}

void PoolDemand::asked(base::Instant now) {
    const std::int64_t number = number_of(now);
    Window& window = windows_[static_cast<std::size_t>(number) % kWindows];
    if (window.number != number) window = {number, 0};
    ++window.asks;
}

std::uint32_t PoolDemand::wanted(base::Instant now) const {
    const std::int64_t current = number_of(now);
    std::uint32_t peak = 0;
    for (const Window& window : windows_) {
        if (window.number > current - static_cast<std::int64_t>(kWindows)) {
            peak = std::max(peak, window.asks);
        }
    }
    return std::min(most_, std::max(least_, peak));
}

}  // namespace sphere::native
