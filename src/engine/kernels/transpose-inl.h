// Sixteen weight rows side by side: vectors whose lane r holds the same dword of row r.
// Included once per instruction set; the guard below toggles, as Highway's own -inl headers do.
#if defined(DG_ENGINE_KERNELS_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_TRANSPOSE_INL_H_
#undef DG_ENGINE_KERNELS_TRANSPOSE_INL_H_
#else
#define DG_ENGINE_KERNELS_TRANSPOSE_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/kernels/half-inl.h"
#include "engine/kernels/simd_targets.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Outputs computed side by side, on every target; a narrower vector takes several steps.
constexpr std::size_t kPanel = 16;

using DU32 = hn::CappedTag<std::uint32_t, kPanel>;
using DI32 = hn::CappedTag<std::int32_t, kPanel>;
using DF32 = hn::CappedTag<float, kPanel>;
using VU32 = hn::Vec<DU32>;
using VI32 = hn::Vec<DI32>;
using VF32 = hn::Vec<DF32>;
/// Lanes of one vector and vectors of one panel.
constexpr std::size_t kLanes = hn::MaxLanes(DU32());
constexpr std::size_t kParts = kPanel / kLanes;

/// 16 bytes at `at` of rows k, k + 4, k + 8, ... (one per 128-bit lane of the vector).
HWY_INLINE VU32 LoadEveryFourthRow(const std::uint8_t* const* rows, std::size_t k, std::size_t at) {
    const hn::Full128<std::uint8_t> d128;
    const auto row = [&](std::size_t r) HWY_ATTR { return hn::LoadU(d128, rows[r] + at); };
#if HWY_MAX_BYTES == 64
    const hn::Full256<std::uint8_t> d256;
    const hn::Full512<std::uint8_t> d512;
    return hn::BitCast(DU32(), hn::Combine(d512, hn::Combine(d256, row(k + 12), row(k + 8)),
                                           hn::Combine(d256, row(k + 4), row(k))));
#elif HWY_MAX_BYTES == 32
    const hn::Full256<std::uint8_t> d256;
    return hn::BitCast(DU32(), hn::Combine(d256, row(k + 4), row(k)));
#else
    return hn::BitCast(DU32(), row(k));
#endif
}

struct FourDwords {
    VU32 v[4];  ///< v[i], lane r: dword i of row r
};

/// The 16 bytes at `at` of each of kLanes rows, transposed by dwords.
DG_TILE_INLINE FourDwords LoadTransposed(const std::uint8_t* const* rows, std::size_t at) {
    const DU32 d;
    const hn::RepartitionToWide<DU32> d64;
    const VU32 r0 = LoadEveryFourthRow(rows, 0, at), r1 = LoadEveryFourthRow(rows, 1, at);
    const VU32 r2 = LoadEveryFourthRow(rows, 2, at), r3 = LoadEveryFourthRow(rows, 3, at);
    const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, r0, r1));
    const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, r2, r3));
    const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d, r0, r1));
    const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d, r2, r3));
    return {{hn::BitCast(d, hn::InterleaveLower(d64, low01, low23)),
             hn::BitCast(d, hn::InterleaveUpper(d64, low01, low23)),
             hn::BitCast(d, hn::InterleaveLower(d64, high01, high23)),
             hn::BitCast(d, hn::InterleaveUpper(d64, high01, high23))}};
}

/// The dword at `at` of each of kLanes rows.
DG_TILE_INLINE VU32 LoadDword(const std::uint8_t* const* rows, std::size_t at) {
    alignas(64) std::uint32_t dwords[kLanes];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kLanes; ++r) std::memcpy(&dwords[r], rows[r] + at, 4);
    return hn::Load(DU32(), dwords);
}

/// The 16 bits at `at` of each of kLanes rows, zero-extended.
DG_TILE_INLINE VU32 LoadHalfword(const std::uint8_t* const* rows, std::size_t at) {
    alignas(64) std::uint32_t dwords[kLanes];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kLanes; ++r) {
        std::uint16_t half = 0;
        std::memcpy(&half, rows[r] + at, 2);
        dwords[r] = half;
    }
    return hn::Load(DU32(), dwords);
}

/// The F16 in the low 16 bits of each lane, as float.
HWY_INLINE VF32 HalfToFloat(VU32 v) {
    const hn::Rebind<std::uint16_t, DF32> du16;
    const auto low = hn::And(v, hn::Set(DU32(), 0xffffu));
    return WidenHalves(DF32(), hn::DemoteTo(du16, hn::BitCast(DI32(), low)));
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // toggled guard
