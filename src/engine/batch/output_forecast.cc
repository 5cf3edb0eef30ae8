#include "engine/batch/output_forecast.h"

#include <algorithm>
#include <cmath>

namespace engine {
namespace {

constexpr double kMemory = 1. / 32.;  // forgets over about 32 answers

}  // namespace

void OutputForecast::observe(std::uint32_t tokens) {
    ++observed_;
    const double share = std::max(kMemory, 1. / static_cast<double>(observed_ + 1));
    const double off = tokens - mean_;
    mean_ += share * off;
    deviation_ += share * (std::abs(off) - deviation_);
}

std::uint32_t OutputForecast::left(std::uint32_t generated, std::uint32_t tokens_max) const {
    const std::uint32_t room = tokens_max - std::min(tokens_max, generated);
    // One deviation above the mean; what is beyond that already goes on for another deviation.
    const double end = std::max(mean_ + deviation_, generated + std::max(deviation_, 16.));
    const auto likely = static_cast<std::uint32_t>(std::min(end - generated, 4e9));
    return std::min(room, likely);
}

}  // namespace engine
