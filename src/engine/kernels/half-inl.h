// F16 to float and back in vectors. Highway's software conversions (targets without the
// instructions) leave out infinity and NaN and round down; these do neither.
#if defined(DG_ENGINE_KERNELS_HALF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_HALF_INL_H_
#undef DG_ENGINE_KERNELS_HALF_INL_H_
#else
#define DG_ENGINE_KERNELS_HALF_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "engine/tensor/blocks.h"

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// F16 bits, one per lane of `d`, as float.
template <class D, class V16 = hn::Vec<hn::Rebind<std::uint16_t, D>>>
HWY_INLINE hn::Vec<D> WidenHalves(D d, V16 bits) {
#if HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SCALAR
    const hn::RebindToUnsigned<D> du;
    const auto wide = hn::PromoteTo(du, bits);
    const auto sign = hn::ShiftLeft<16>(hn::And(wide, hn::Set(du, 0x8000u)));
    const auto magnitude = hn::ShiftLeft<13>(hn::And(wide, hn::Set(du, 0x7fffu)));
    // As float bits the exponent is 112 too low; multiplying also normalises subnormals.
    const auto finite = hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p112f));
    const auto special = hn::BitCast(d, hn::Or(magnitude, hn::Set(du, 0x7f800000u)));
    const auto result = hn::IfThenElse(hn::Ge(finite, hn::Set(d, 65536.f)), special, finite);
    return hn::Or(result, hn::BitCast(d, sign));
#else
    return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), bits));
#endif
}

template <class D>
HWY_INLINE hn::Vec<D> LoadHalves(D d, const std::uint16_t* p) {
    return WidenHalves(d, hn::LoadU(hn::Rebind<std::uint16_t, D>(), p));
}

/// Nearest F16 of each lane, ties to even.
template <class D>
HWY_INLINE void StoreHalves(D d, hn::Vec<D> v, std::uint16_t* to) {
#if HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SCALAR
    float values[hn::MaxLanes(d)];
    hn::StoreU(v, d, values);
    for (std::size_t i = 0; i < hn::MaxLanes(d); ++i) to[i] = f32_to_f16(values[i]);
#else
    const hn::Rebind<hwy::float16_t, D> dh;
    const hn::Rebind<std::uint16_t, D> du;
    hn::StoreU(hn::BitCast(du, hn::DemoteTo(dh, v)), du, to);
#endif
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled guard
