// Unpackers of the formats whose stored block is 32 values: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
#if defined(DG_ENGINE_KERNELS_PANEL_FORMATS32_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_PANEL_FORMATS32_INL_H_
#undef DG_ENGINE_KERNELS_PANEL_FORMATS32_INL_H_
#else
#define DG_ENGINE_KERNELS_PANEL_FORMATS32_INL_H_
#endif

#include "engine/kernels/panel_layout-inl.h"
#include "engine/tensor/blocks.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct FormatQ4_0 : FormatTraits<BlockQ4_0, 1, true, 32, false, -8, 4, 2> {
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32 header,
                                      OutAt out_at) {
        const PanelOut out = out_at(0);
        StoreFour(out, 0, LoadTransposed(rows, at + 2));
        out.set_scale(HalfToFloat(header));
    }
};

struct FormatQ4_1 : FormatTraits<BlockQ4_1, 1, true, 32, true, 0, 4, 4> {
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32 header,
                                      OutAt out_at) {
        const PanelOut out = out_at(0);
        StoreFour(out, 0, LoadTransposed(rows, at + 4));
        out.set_scale(HalfToFloat(header));
        out.set_min(HalfToFloat(hn::ShiftRight<16>(header)));
    }
};

/// Bytes 0..31 of a five-bit block from its nibbles and the dword of top bits.
DG_TILE_INLINE void StoreFiveBits(const PanelOut& out, const FourDwords& low, VU32 high) {
    out.set_q(0, hn::Or(Low4(low.v[0]), FifthBits<0>(high)));
    out.set_q(1, hn::Or(Low4(low.v[1]), FifthBits<1>(high)));
    out.set_q(2, hn::Or(Low4(low.v[2]), FifthBits<2>(high)));
    out.set_q(3, hn::Or(Low4(low.v[3]), FifthBits<3>(high)));
    out.set_q(4, hn::Or(High4(low.v[0]), FifthBits<4>(high)));
    out.set_q(5, hn::Or(High4(low.v[1]), FifthBits<5>(high)));
    out.set_q(6, hn::Or(High4(low.v[2]), FifthBits<6>(high)));
    out.set_q(7, hn::Or(High4(low.v[3]), FifthBits<7>(high)));
}

struct FormatQ5_0 : FormatTraits<BlockQ5_0, 1, false, 32, false, -16, 5, 2> {
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32 header,
                                      OutAt out_at) {
        const PanelOut out = out_at(0);
        StoreFiveBits(out, LoadTransposed(rows, at + 6), LoadDword(rows, at + 2));
        out.set_scale(HalfToFloat(header));
    }
};

struct FormatQ5_1 : FormatTraits<BlockQ5_1, 1, false, 32, true, 0, 5, 4> {
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32 header,
                                      OutAt out_at) {
        const PanelOut out = out_at(0);
        StoreFiveBits(out, LoadTransposed(rows, at + 8), LoadDword(rows, at + 4));
        out.set_scale(HalfToFloat(header));
        out.set_min(HalfToFloat(hn::ShiftRight<16>(header)));
    }
};

#if HWY_TARGET == HWY_AVX3_DL
// The byte dot product wants one side unsigned: q + 128 it is.
struct FormatQ8_0 : FormatTraits<BlockQ8_0, 1, false, 32, false, -128, 8, 2> {
    static constexpr std::uint32_t kFlip = 0x80808080u;
#else
struct FormatQ8_0 : FormatTraits<BlockQ8_0, 1, false, 32, false, 0, 8, 2> {
    static constexpr bool kSigned = true;
    static constexpr std::size_t kCodeMax = 128;
    static constexpr std::uint32_t kFlip = 0;
#endif
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32 header,
                                      OutAt out_at) {
        const PanelOut out = out_at(0);
        const FourDwords a = LoadTransposed(rows, at + 2), b = LoadTransposed(rows, at + 18);
        const VU32 flip = hn::Set(DU32(), kFlip);
        for (std::size_t i = 0; i < 4; ++i) {
            out.set_q(i, hn::Xor(a.v[i], flip));
            out.set_q(4 + i, hn::Xor(b.v[i], flip));
        }
        out.set_scale(HalfToFloat(header));
    }
};

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // toggled guard
