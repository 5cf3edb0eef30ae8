#include "engine/graph/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/core/check.h"

namespace engine {
namespace {

/// The (fractional) frequency index that turns `rotations` times within the original context.
double index_of_rotations(const RopeSpec& spec, double rotations) {
    const double wavelength = spec.context_original / (rotations * 2. * std::numbers::pi);
    return spec.rot_dim * std::log(wavelength) / (2. * std::log(static_cast<double>(spec.base)));
}

/// 1 where a frequency keeps its original value, 0 where it is fully interpolated.
class YarnRamp {
public:
    explicit YarnRamp(const RopeSpec& spec)
        : low_(std::max(0., std::floor(index_of_rotations(spec, spec.yarn_beta_fast)))),
          high_(std::min(spec.rot_dim - 1.,
                         std::ceil(index_of_rotations(spec, spec.yarn_beta_slow)))) {}
    double operator()(std::size_t index) const {
        const double along = (static_cast<double>(index) - low_) / std::max(0.001, high_ - low_);
        return 1. - std::clamp(along, 0., 1.);
    }

private:
    double low_, high_;
};

double yarn_magnitude(double factor, double multiplier) {
    return factor <= 1. ? 1. : 1. + 0.1 * multiplier * std::log(factor);
}

double stretched_base(const RopeSpec& spec) {
    const double base = static_cast<double>(spec.base);
    if (spec.ntk_alpha <= 0.f || spec.rot_dim <= 2) return base;
    const double dim = spec.rot_dim;
    return base * std::pow(static_cast<double>(spec.ntk_alpha), dim / (dim - 2.));
}

}  // namespace

RopeTable make_rope_table(const RopeSpec& spec) {
    DG_CHECK(spec.rot_dim % 2 == 0);
    DG_CHECK(spec.divisors.empty() || spec.divisors.size() == spec.rot_dim / 2);
    const bool yarn = spec.scaling == RopeScaling::yarn && spec.yarn_ext_factor != 0.f;
    const double factor = spec.scaling == RopeScaling::none ? 1. : static_cast<double>(spec.factor);
    const double base = stretched_base(spec);

    RopeTable table;
    for (std::size_t i = 0; i < spec.rot_dim / 2; ++i) {
        const double divisor = spec.divisors.empty() ? 1. : static_cast<double>(spec.divisors[i]);
        const double original =
            std::pow(base, -2. * static_cast<double>(i) / spec.rot_dim) / divisor;
        const double kept =
            yarn ? YarnRamp(spec)(i) * static_cast<double>(spec.yarn_ext_factor) : 0.;
        table.inv_freq.push_back(
            static_cast<float>(original / factor * (1. - kept) + original * kept));
    }
    double magnitude = static_cast<double>(spec.attention_factor);
    if (yarn) {
        magnitude *= yarn_magnitude(factor, 1.);
        if (spec.yarn_log_multiplier != 0.f) {
            magnitude /= yarn_magnitude(factor, static_cast<double>(spec.yarn_log_multiplier));
        }
    }
    table.magnitude = static_cast<float>(magnitude);
    return table;
}

}  // namespace engine
