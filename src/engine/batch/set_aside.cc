#include "engine/batch/set_aside.h"

#include <algorithm>

namespace engine {

std::optional<std::size_t> choose_victim(std::span<const Candidate> running) {
    std::optional<std::size_t> victim;
    for (std::size_t i = 0; i < running.size(); ++i) {
        const Candidate& one = running[i];
        if (one.pages_freed == 0) continue;
        const bool goes_first =
            !victim || one.priority < running[*victim].priority ||
            (one.priority == running[*victim].priority && one.id > running[*victim].id);
        if (goes_first) victim = i;
    }
    return victim;
}

bool swap_is_cheaper(const SwapCosts& costs) {
    if (costs.bytes == 0 || costs.bytes_per_second <= 0.) return false;
    return 2. * static_cast<double>(costs.bytes) / costs.bytes_per_second < costs.recompute_seconds;
}

void SwapRate::observe(std::uint64_t bytes, double seconds) {
    if (bytes == 0 || seconds <= 0.) return;
    constexpr double kShare = 0.25;
    const double rate = static_cast<double>(bytes) / seconds;
    bytes_per_second_ += kShare * (rate - bytes_per_second_);
}

}  // namespace engine
