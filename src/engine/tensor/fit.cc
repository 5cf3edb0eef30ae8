#include "engine/tensor/fit.h"

#include <algorithm>
#include <cmath>

namespace engine {
namespace {

// Candidate scales step a few percent around the one that maps the extreme value to the extreme
// code: a little clipping of the extreme usually lowers the error of all others.
constexpr int kStepsPerSide = 8;
constexpr float kStep = 0.1f;  // in codes

// Below this a group counts as zero: its scale would be lost in half precision anyway.
constexpr float kTiny = 1e-20f;

/// The scale that is optimal for the codes `inverse` gives, and how much error it saves compared
/// with all zeros: (sum w x q)^2 / sum w q^2.
struct Candidate {
    float scale = 0.f;
    float saved = 0.f;
};

Candidate try_symmetric(const float* x, const float* weight, std::size_t n, float inverse,
                        int code_min, int code_max) {
    float xq = 0.f, qq = 0.f;
    for (std::size_t i = 0; i < n; ++i) {
        const auto q = static_cast<float>(nearest_code(x[i], inverse, code_min, code_max));
        xq += weight[i] * x[i] * q;
        qq += weight[i] * q * q;
    }
    if (qq <= 0.f) return {};
    return {xq / qq, xq * xq / qq};
}

struct AffineSums {
    float w = 0.f, x = 0.f, xx = 0.f, q = 0.f, qq = 0.f, xq = 0.f;
};

AffineSums affine_sums(const float* x, const float* weight, std::size_t n, float inverse,
                       float offset, int code_max) {
    AffineSums sums;
    for (std::size_t i = 0; i < n; ++i) {
        const auto q = static_cast<float>(nearest_code(x[i] - offset, inverse, 0, code_max));
        const float w = weight[i];
        sums.w += w;
        sums.x += w * x[i];
        sums.xx += w * x[i] * x[i];
        sums.q += w * q;
        sums.qq += w * q * q;
        sums.xq += w * x[i] * q;
    }
    return sums;
}

/// Solves the 2x2 normal equations; false when the codes do not determine a line.
bool solve_line(const AffineSums& sums, bool offset_at_most_zero, AffineFit& fit) {
    const float determinant = sums.w * sums.qq - sums.q * sums.q;
    if (!(determinant > 0.f)) return false;
    fit.scale = (sums.w * sums.xq - sums.x * sums.q) / determinant;
    fit.offset = (sums.qq * sums.x - sums.q * sums.xq) / determinant;
    if (offset_at_most_zero && fit.offset > 0.f) {
        fit.offset = 0.f;
        fit.scale = sums.qq > 0.f ? sums.xq / sums.qq : 0.f;
    }
    return fit.scale > 0.f;
}

float affine_error(const AffineSums& s, const AffineFit& fit) {
    // sum w (x - scale q - offset)^2, expanded so that codes need not be visited again.
    return s.xx - 2.f * (fit.scale * s.xq + fit.offset * s.x) + fit.scale * fit.scale * s.qq +
           2.f * fit.scale * fit.offset * s.q + fit.offset * fit.offset * s.w;
}

}  // namespace

int nearest_code(float value, float inverse, int code_min, int code_max) {
    const float code = std::nearbyint(value * inverse);
    if (!(code > static_cast<float>(code_min))) return code_min;  // NaN lands here
    return code < static_cast<float>(code_max) ? static_cast<int>(code) : code_max;
}

SymmetricFit fit_symmetric(const float* x, const float* weight, std::size_t n, int code_min,
                           int code_max) {
    float extreme = 0.f;
    for (std::size_t i = 0; i < n; ++i) {
        if (std::abs(x[i]) > std::abs(extreme)) extreme = x[i];
    }
    if (std::abs(extreme) < kTiny) return {};
    Candidate best;
    for (const int end : {code_min, code_max}) {
        for (int step = -kStepsPerSide; step <= kStepsPerSide; ++step) {
            const float code = static_cast<float>(end) + kStep * static_cast<float>(step);
            const Candidate candidate =
                try_symmetric(x, weight, n, code / extreme, code_min, code_max);
            if (candidate.saved > best.saved) best = candidate;
        }
    }
    return {best.scale};
}

AffineFit fit_affine(const float* x, const float* weight, std::size_t n, int code_max,
                     bool offset_at_most_zero) {
    const auto [low, high] = std::minmax_element(x, x + n);
    const float min = offset_at_most_zero ? std::min(*low, 0.f) : *low;
    const float max = std::max(*high, min);
    if (max - min < kTiny) return {0.f, min};
    AffineFit best{(max - min) / static_cast<float>(code_max), min};
    const AffineSums plain = affine_sums(x, weight, n, 1.f / best.scale, min, code_max);
    float best_error = affine_error(plain, best);
    for (int step = -kStepsPerSide; step <= kStepsPerSide; ++step) {
        const float codes = static_cast<float>(code_max) + kStep * static_cast<float>(step);
        const AffineSums sums = affine_sums(x, weight, n, codes / (max - min), min, code_max);
        AffineFit fit;
        if (!solve_line(sums, offset_at_most_zero, fit)) continue;
        // The refined line moves some codes: score it with the codes it will really get.
        const AffineSums refined = affine_sums(x, weight, n, 1.f / fit.scale, fit.offset, code_max);
        const float error = affine_error(refined, fit);
        if (error < best_error) {
            best_error = error;
            best = fit;
        }
    }
    return best;
}

}  // namespace engine
