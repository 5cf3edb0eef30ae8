// Unpackers of the formats whose stored block is 256 values in groups of 16 or 32 with scales of
// their own: Q2_K to Q6_K.
#if defined(DG_ENGINE_KERNELS_PANEL_FORMATS256_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_PANEL_FORMATS256_INL_H_
#undef DG_ENGINE_KERNELS_PANEL_FORMATS256_INL_H_
#else
#define DG_ENGINE_KERNELS_PANEL_FORMATS256_INL_H_
#endif

#include "engine/kernels/panel_layout-inl.h"
#include "engine/tensor/blocks.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Scales and minimums of Q4_K and Q5_K: bytes of s[0], s[1] are the eight scales, of m[.] the
/// mins.
struct GroupScales {
    VU32 s[2], m[2];
    VF32 d, dmin;
};
DG_TILE_INLINE GroupScales LoadGroupScales(const std::uint8_t* const* rows, std::size_t at) {
    const FourDwords head = LoadTransposed(rows, at);
    const VU32 low6 = hn::Set(DU32(), 0x3f3f3f3fu), top2 = hn::Set(DU32(), 0x30303030u);
    GroupScales g;
    g.s[0] = hn::And(head.v[1], low6);
    g.m[0] = hn::And(head.v[2], low6);
    g.s[1] = hn::Or(Low4(head.v[3]), hn::And(hn::ShiftRight<2>(head.v[1]), top2));
    g.m[1] = hn::Or(High4(head.v[3]), hn::And(hn::ShiftRight<2>(head.v[2]), top2));
    g.d = HalfToFloat(head.v[0]);
    g.dmin = hn::Neg(HalfToFloat(hn::ShiftRight<16>(head.v[0])));
    return g;
}
template <int kGroupIndex>
HWY_INLINE void StoreGroupScale(const GroupScales& g, const PanelOut& out) {
    constexpr int kWord = kGroupIndex / 4, kByte = kGroupIndex % 4;
    out.set_scale(hn::Mul(g.d, ByteToFloat<kByte>(g.s[kWord])));
    out.set_min(hn::Mul(g.dmin, ByteToFloat<kByte>(g.m[kWord])));
}

struct FormatQ4_K : FormatTraits<BlockQ4_K, 8, true, 32, true, 0, 4> {
    /// Stored bytes 32k..: low nibbles are group 2k, high nibbles group 2k + 1.
    template <int kPair, class OutAt>
    static DG_TILE_INLINE void Pair(const std::uint8_t* const* rows, std::size_t at,
                                    const GroupScales& scales, OutAt out_at) {
        out_at.template prefetch<kPair>();
        const FourDwords a = LoadTransposed(rows, at + 16 + kPair * 32);
        const FourDwords b = LoadTransposed(rows, at + 32 + kPair * 32);
        const PanelOut even = out_at(2 * kPair), odd = out_at(2 * kPair + 1);
        const VU32 high = hn::Set(DU32(), 0xf0f0f0f0u);
        for (std::size_t j = 0; j < 4; ++j) {
            even.set_q(j, hn::Or(Low4(a.v[j]), hn::And(hn::ShiftLeft<4>(b.v[j]), high)));
            odd.set_q(j, hn::Or(High4(a.v[j]), hn::And(b.v[j], high)));
        }
        StoreGroupScale<2 * kPair>(scales, even);
        StoreGroupScale<2 * kPair + 1>(scales, odd);
    }
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32,
                                      OutAt out_at) {
        const GroupScales scales = LoadGroupScales(rows, at);
        Pair<0>(rows, at, scales, out_at);
        Pair<1>(rows, at, scales, out_at);
        Pair<2>(rows, at, scales, out_at);
        Pair<3>(rows, at, scales, out_at);
    }
};

struct FormatQ5_K : FormatTraits<BlockQ5_K, 8, false, 32, true, 0, 5> {
    template <int kPair, class OutAt>
    static DG_TILE_INLINE void Pair(const std::uint8_t* const* rows, std::size_t at,
                                    const GroupScales& scales, OutAt out_at) {
        out_at.template prefetch<kPair>();
        const PanelOut even = out_at(2 * kPair), odd = out_at(2 * kPair + 1);
        const VU32 one = hn::Set(DU32(), 0x01010101u);
        for (std::size_t half = 0; half < 2; ++half) {
            const FourDwords q = LoadTransposed(rows, at + 48 + kPair * 32 + half * 16);
            const FourDwords h = LoadTransposed(rows, at + 16 + half * 16);
            for (std::size_t i = 0; i < 4; ++i) {
                const VU32 bit0 = hn::And(hn::ShiftRight<2 * kPair>(h.v[i]), one);
                const VU32 bit1 = hn::And(hn::ShiftRight<2 * kPair + 1>(h.v[i]), one);
                even.set_q(half * 4 + i, hn::Or(Low4(q.v[i]), hn::ShiftLeft<4>(bit0)));
                odd.set_q(half * 4 + i, hn::Or(High4(q.v[i]), hn::ShiftLeft<4>(bit1)));
            }
        }
        StoreGroupScale<2 * kPair>(scales, even);
        StoreGroupScale<2 * kPair + 1>(scales, odd);
    }
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32,
                                      OutAt out_at) {
        const GroupScales scales = LoadGroupScales(rows, at);
        Pair<0>(rows, at, scales, out_at);
        Pair<1>(rows, at, scales, out_at);
        Pair<2>(rows, at, scales, out_at);
        Pair<3>(rows, at, scales, out_at);
    }
};

struct FormatQ6_K : FormatTraits<BlockQ6_K, 8, false, 16, false, -32, 6> {
    /// Blocks kHalf * 4 + 0..3. Low bits: 64 bytes, nibble t / 2 of bytes 32 * (t % 2)..; top bits:
    /// 32 bytes, bits 2t, 2t + 1.
    template <int kHalf, class OutAt>
    static DG_TILE_INLINE void Half(const std::uint8_t* const* rows, std::size_t at, VF32 d,
                                    VU32 scales0, VU32 scales1, OutAt out_at) {
        out_at.template prefetch<2 * kHalf>();
        const VU32 two = hn::Set(DU32(), 0x30303030u);
        for (std::size_t part = 0; part < 2; ++part) {
            const FourDwords a = LoadTransposed(rows, at + kHalf * 64 + part * 16);
            const FourDwords b = LoadTransposed(rows, at + kHalf * 64 + 32 + part * 16);
            const FourDwords h = LoadTransposed(rows, at + 128 + kHalf * 32 + part * 16);
            for (std::size_t i = 0; i < 4; ++i) {
                const std::size_t j = part * 4 + i;
                const auto put = [&](std::size_t t, VU32 low, VU32 high) HWY_ATTR {
                    out_at(kHalf * 4 + t).set_q(j, hn::Or(low, hn::And(high, two)));
                };
                put(0, Low4(a.v[i]), hn::ShiftLeft<4>(h.v[i]));
                put(1, Low4(b.v[i]), hn::ShiftLeft<2>(h.v[i]));
                put(2, High4(a.v[i]), h.v[i]);
                put(3, High4(b.v[i]), hn::ShiftRight<2>(h.v[i]));
            }
        }
        out_at.template prefetch<2 * kHalf + 1>();
        const auto scale = [&](std::size_t t, VF32 first, VF32 second) HWY_ATTR {
            out_at(kHalf * 4 + t).set_scale(hn::Mul(d, first), 0);
            out_at(kHalf * 4 + t).set_scale(hn::Mul(d, second), 1);
        };
        scale(0, SignedByteToFloat<0>(scales0), SignedByteToFloat<1>(scales0));
        scale(1, SignedByteToFloat<2>(scales0), SignedByteToFloat<3>(scales0));
        scale(2, SignedByteToFloat<0>(scales1), SignedByteToFloat<1>(scales1));
        scale(3, SignedByteToFloat<2>(scales1), SignedByteToFloat<3>(scales1));
    }
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32,
                                      OutAt out_at) {
        const FourDwords scales = LoadTransposed(rows, at + 192);
        const VF32 d = HalfToFloat(LoadHalfword(rows, at + 208));
        Half<0>(rows, at, d, scales.v[0], scales.v[1], out_at);
        Half<1>(rows, at, d, scales.v[2], scales.v[3], out_at);
    }
};

struct FormatQ3_K : FormatTraits<BlockQ3_K, 8, false, 16, false, -4, 3> {
    template <int kHalf, class OutAt>
    static DG_TILE_INLINE void Half(const std::uint8_t* const* rows, std::size_t at, VF32 d,
                                    VU32 scales0, VU32 scales1, OutAt out_at) {
        out_at.template prefetch<2 * kHalf>();
        const VU32 low2 = hn::Set(DU32(), 0x03030303u), top = hn::Set(DU32(), 0x01010101u);
        for (std::size_t part = 0; part < 2; ++part) {
            const FourDwords q = LoadTransposed(rows, at + 32 + kHalf * 32 + part * 16);
            const FourDwords h = LoadTransposed(rows, at + part * 16);
            for (std::size_t i = 0; i < 4; ++i) {
                const std::size_t j = part * 4 + i;
                const auto put = [&](std::size_t t, VU32 low, VU32 bit) HWY_ATTR {
                    const VU32 third = hn::ShiftLeft<2>(hn::And(bit, top));
                    out_at(kHalf * 4 + t).set_q(j, hn::Or(hn::And(low, low2), third));
                };
                put(0, q.v[i], hn::ShiftRight<kHalf * 4 + 0>(h.v[i]));
                put(1, hn::ShiftRight<2>(q.v[i]), hn::ShiftRight<kHalf * 4 + 1>(h.v[i]));
                put(2, hn::ShiftRight<4>(q.v[i]), hn::ShiftRight<kHalf * 4 + 2>(h.v[i]));
                put(3, hn::ShiftRight<6>(q.v[i]), hn::ShiftRight<kHalf * 4 + 3>(h.v[i]));
            }
        }
        const VF32 centre = hn::Set(DF32(), 32.f);
        out_at.template prefetch<2 * kHalf + 1>();
        const auto scale = [&](std::size_t t, VF32 first, VF32 second) HWY_ATTR {
            out_at(kHalf * 4 + t).set_scale(hn::Mul(d, hn::Sub(first, centre)), 0);
            out_at(kHalf * 4 + t).set_scale(hn::Mul(d, hn::Sub(second, centre)), 1);
        };
        scale(0, ByteToFloat<0>(scales0), ByteToFloat<1>(scales0));
        scale(1, ByteToFloat<2>(scales0), ByteToFloat<3>(scales0));
        scale(2, ByteToFloat<0>(scales1), ByteToFloat<1>(scales1));
        scale(3, ByteToFloat<2>(scales1), ByteToFloat<3>(scales1));
    }
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32,
                                      OutAt out_at) {
        const VU32 s0 = LoadDword(rows, at + 96), s1 = LoadDword(rows, at + 100);
        const VU32 s2 = LoadDword(rows, at + 104);
        const VF32 d = HalfToFloat(LoadHalfword(rows, at + 108));
        const VU32 two = hn::Set(DU32(), 0x30303030u);
        const auto join = [&](VU32 low, VU32 high)
                              HWY_ATTR { return hn::Or(low, hn::And(high, two)); };
        Half<0>(rows, at, d, join(Low4(s0), hn::ShiftLeft<4>(s2)),
                join(Low4(s1), hn::ShiftLeft<2>(s2)), out_at);
        Half<1>(rows, at, d, join(High4(s0), s2), join(High4(s1), hn::ShiftRight<2>(s2)), out_at);
    }
};

struct FormatQ2_K : FormatTraits<BlockQ2_K, 8, false, 16, true, 0, 2> {
    template <int kHalf, class OutAt>
    static DG_TILE_INLINE void Half(const std::uint8_t* const* rows, std::size_t at, VF32 d,
                                    VF32 dmin, VU32 scales0, VU32 scales1, OutAt out_at) {
        out_at.template prefetch<2 * kHalf>();
        const VU32 low2 = hn::Set(DU32(), 0x03030303u);
        for (std::size_t part = 0; part < 2; ++part) {
            const FourDwords q = LoadTransposed(rows, at + 16 + kHalf * 32 + part * 16);
            for (std::size_t i = 0; i < 4; ++i) {
                const std::size_t j = part * 4 + i;
                out_at(kHalf * 4 + 0).set_q(j, hn::And(q.v[i], low2));
                out_at(kHalf * 4 + 1).set_q(j, hn::And(hn::ShiftRight<2>(q.v[i]), low2));
                out_at(kHalf * 4 + 2).set_q(j, hn::And(hn::ShiftRight<4>(q.v[i]), low2));
                out_at(kHalf * 4 + 3).set_q(j, hn::And(hn::ShiftRight<6>(q.v[i]), low2));
            }
        }
        out_at.template prefetch<2 * kHalf + 1>();
        const auto scale = [&](std::size_t t, std::size_t group, VF32 s, VF32 m) HWY_ATTR {
            out_at(kHalf * 4 + t).set_scale(hn::Mul(d, s), group);
            out_at(kHalf * 4 + t).set_min(hn::Mul(dmin, m), group);
        };
        const VU32 s0 = Low4(scales0), m0 = High4(scales0), s1 = Low4(scales1), m1 = High4(scales1);
        scale(0, 0, ByteToFloat<0>(s0), ByteToFloat<0>(m0));
        scale(0, 1, ByteToFloat<1>(s0), ByteToFloat<1>(m0));
        scale(1, 0, ByteToFloat<2>(s0), ByteToFloat<2>(m0));
        scale(1, 1, ByteToFloat<3>(s0), ByteToFloat<3>(m0));
        scale(2, 0, ByteToFloat<0>(s1), ByteToFloat<0>(m1));
        scale(2, 1, ByteToFloat<1>(s1), ByteToFloat<1>(m1));
        scale(3, 0, ByteToFloat<2>(s1), ByteToFloat<2>(m1));
        scale(3, 1, ByteToFloat<3>(s1), ByteToFloat<3>(m1));
    }
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32,
                                      OutAt out_at) {
        const FourDwords scales = LoadTransposed(rows, at);
        const VU32 header = LoadDword(rows, at + 80);
        const VF32 d = HalfToFloat(header);
        const VF32 dmin = hn::Neg(HalfToFloat(hn::ShiftRight<16>(header)));
        Half<0>(rows, at, d, dmin, scales.v[0], scales.v[1], out_at);
        Half<1>(rows, at, d, dmin, scales.v[2], scales.v[3], out_at);
    }
};

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // toggled guard
