#include <algorithm>
#include <cmath>

#include "memory/recall/signals.h"

namespace memory::recall {
namespace {

constexpr float kNeighbourWeights[kReach] = {.3f, .15f};
constexpr float kDeviationsAtZero = -1.f, kDeviationsAtOne = 4.f;
/// Cosines this much alike say nothing.
constexpr double kDeviationMin = 1e-4;

}  // namespace

std::vector<float> vector_signal(const Candidates& candidates, std::span<const float> cosines) {
    std::vector<float> out = spread_mean(candidates, cosines, kNeighbourWeights);
    double sum = 0, squares = 0;
    for (const float value : out) {
        sum += static_cast<double>(value);
        squares += static_cast<double>(value) * static_cast<double>(value);
    }
    const double n = std::max<double>(1., static_cast<double>(out.size()));
    const double mean = sum / n;
    const double deviation = std::sqrt(std::max(0., squares / n - mean * mean));
    if (deviation < kDeviationMin) return std::vector<float>(out.size());
    for (float& value : out) {
        const auto z = static_cast<float>((static_cast<double>(value) - mean) / deviation);
        value =
            std::clamp((z - kDeviationsAtZero) / (kDeviationsAtOne - kDeviationsAtZero), 0.f, 1.f);
    }
    return out;
}

}  // namespace memory::recall
