#pragma once
// Least-squares fits of small integer codes to a group of values: the search inside quantize_row.
// Exhaustive search is too slow, so a handful of scales around the obvious one is tried, each is
// refined to the optimum for the codes it gives, and the best is kept.

#include <cstddef>
#include <cstdint>

namespace engine {

/// x[i] ~ scale * code, code in [code_min, code_max].
struct SymmetricFit {
    float scale = 0.f;
};
/// Weighted least squares over candidate scales. code_min < 0 < code_max; the lopsided range is
/// used by giving the largest value the sign of code_min. weight: per value, >= 0.
SymmetricFit fit_symmetric(const float* x, const float* weight, std::size_t n, int code_min,
                           int code_max);

/// x[i] ~ scale * code + offset, code in [0, code_max], scale >= 0.
struct AffineFit {
    float scale = 0.f;
    float offset = 0.f;
};
/// offset_at_most_zero: for formats that store its negation unsigned.
AffineFit fit_affine(const float* x, const float* weight, std::size_t n, int code_max,
                     bool offset_at_most_zero);

/// Nearest code for value * inverse, clamped.
int nearest_code(float value, float inverse, int code_min, int code_max);

}  // namespace engine
