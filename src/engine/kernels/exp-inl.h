// Vector exp and tanh for float, good to a few units in the last place, NaN kept.
#if defined(DG_ENGINE_KERNELS_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_EXP_INL_H_
#undef DG_ENGINE_KERNELS_EXP_INL_H_
#else
#define DG_ENGINE_KERNELS_EXP_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// e^x. Relative error < 3e-7 for results that are normal numbers; under e^-87 gives 0, over the
/// float range infinity. 2^n * e^r with |r| <= ln 2 / 2 and a degree 6 polynomial for e^r.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V FastExp(D d, V x) {
    const hn::RebindToSigned<D> di;
    const V low = hn::Set(d, -87.3f), high = hn::Set(d, 88.73f);
    const V clamped = hn::Min(hn::Max(x, low), high);
    const auto n = hn::NearestInt(hn::Mul(clamped, hn::Set(d, 1.44269504089f)));
    const V nf = hn::ConvertTo(d, n);
    // ln 2 in two parts, the first exact in few bits.
    V r = hn::NegMulAdd(nf, hn::Set(d, 0.693359375f), clamped);
    r = hn::NegMulAdd(nf, hn::Set(d, -2.12194440e-4f), r);
    V p = hn::Set(d, 1.0f / 720);
    p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
    p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
    p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
    p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
    p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
    p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
    // Two factors, so that 2^128 (results just under the float limit) does not overflow by itself.
    const auto half = hn::ShiftRight<1>(n);
    const auto bias = hn::Set(di, 127);
    const V scale0 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
    const V scale1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(n, half), bias)));
    const V result = hn::Mul(hn::Mul(p, scale0), scale1);
    const V kept = hn::IfThenZeroElse(hn::Lt(x, low), result);
    return hn::IfThenElse(hn::IsNaN(x), x, kept);
}

/// 2^x for x <= 0 (or NaN). Relative error < 3e-7 down to 2^-126; below that gives 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V FastExp2(D d, V x) {
    const hn::RebindToUnsigned<D> du;
    // Adding 1.5 * 2^23 leaves round(x) in the low bits, ready to be shifted into an exponent.
    const V magic = hn::Set(d, 12582912.f);
    const V shifted = hn::Add(x, magic);
    const V r = hn::Sub(x, hn::Sub(shifted, magic));
    // Minimax of 2^r over [-1/2, 1/2] with 2^0 exact (so that merging with nothing changes no
    // bit), relative error 9.2e-8.
    V p = hn::Set(d, 0x1.5bba14p-10f);
    p = hn::MulAdd(p, r, hn::Set(d, 0x1.3cea88p-7f));
    p = hn::MulAdd(p, r, hn::Set(d, 0x1.c6b752p-5f));
    p = hn::MulAdd(p, r, hn::Set(d, 0x1.ebf9bcp-3f));
    p = hn::MulAdd(p, r, hn::Set(d, 0x1.62e42ap-1f));
    p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
    const auto exponent = hn::ShiftLeft<23>(hn::BitCast(du, shifted));
    const V result = hn::BitCast(d, hn::Add(hn::BitCast(du, p), exponent));
    return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.f)), result);
}

/// tanh(x), relative error < 1e-6: an odd polynomial near 0, where 1 - 2 / (e^2x + 1) cancels.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V FastTanh(D d, V x) {
    const V one = hn::Set(d, 1.0f);
    const V square = hn::Mul(x, x);
    V p = hn::Set(d, 62.0f / 2835);
    p = hn::MulAdd(p, square, hn::Set(d, -17.0f / 315));
    p = hn::MulAdd(p, square, hn::Set(d, 2.0f / 15));
    p = hn::MulAdd(p, square, hn::Set(d, -1.0f / 3));
    const V near = hn::MulAdd(hn::Mul(p, square), x, x);
    const V e = FastExp(d, hn::Add(x, x));
    const V far = hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(e, one)));
    return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0.3f)), near, far);
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled guard
