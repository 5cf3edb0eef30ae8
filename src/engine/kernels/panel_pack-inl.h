// Unpacking: blocks of 16 weight rows become a panel, the one layout that the dot kernels read.
//
// A panel block covers 32 inputs of 16 rows. Its q part holds small integers as bytes, four inputs
// per dword and the 16 rows side by side: vector j has inputs 4j..4j+3. Nibble formats keep two
// vectors in one, inputs 4j.. in the low and 16 + 4j.. in the high halves of the bytes. Beside it
// lie a float scale per row (two for formats with groups of 16) and, where the format has them,
// float minimums. The value is scale * (q + kBias) + minimum; q is an unsigned byte (at most 127
// where products are summed in pairs of 16 bits) unless kSigned.
#if defined(DG_ENGINE_KERNELS_PANEL_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_PANEL_PACK_INL_H_
#undef DG_ENGINE_KERNELS_PANEL_PACK_INL_H_
#else
#define DG_ENGINE_KERNELS_PANEL_PACK_INL_H_
#endif

#include <hwy/cache_control.h>

#include <algorithm>
#include <type_traits>

#include "engine/kernels/transpose-inl.h"
#include "engine/tensor/blocks.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kVectorBytes = kPanel * 4;  ///< one dword of each row of a panel

/// Where a panel block, or the part of it that one vector covers, is written.
struct PanelOut {
    std::uint8_t* q;
    float* scale;
    float* min;

    DG_TILE_INLINE void set_q(std::size_t j, VU32 v) const {
        hn::StoreU(hn::BitCast(hn::Repartition<std::uint8_t, DU32>(), v),
                   hn::Repartition<std::uint8_t, DU32>(), q + j * kVectorBytes);
    }
    DG_TILE_INLINE void set_scale(VF32 v, std::size_t group = 0) const {
        hn::StoreU(v, DF32(), scale + group * kPanel);
    }
    DG_TILE_INLINE void set_min(VF32 v, std::size_t group = 0) const {
        hn::StoreU(v, DF32(), min + group * kPanel);
    }
};

/// A run of panel blocks in scratch memory.
template <class Format>
struct PanelLayout {
    static constexpr std::size_t kQBytes = (Format::kNibble ? 4 : 8) * kVectorBytes;
    static constexpr std::size_t kGroups = 32 / Format::kGroup;
    static constexpr std::size_t kScales = kGroups * kPanel;
    static constexpr std::size_t kBytes =
        kQBytes + kScales * sizeof(float) * (Format::kMin ? 2 : 1);

    static HWY_INLINE PanelOut block(std::uint8_t* panel, std::size_t b, std::size_t part) {
        std::uint8_t* at = panel + b * kBytes;
        auto* scale = reinterpret_cast<float*>(at + kQBytes) + part * kLanes;
        return {at + part * kLanes * 4, scale, scale + kScales};
    }
};

HWY_INLINE VU32 Low4(VU32 v) {
    return hn::And(v, hn::Set(DU32(), 0x0f0f0f0fu));
}
HWY_INLINE VU32 High4(VU32 v) {
    return Low4(hn::ShiftRight<4>(v));
}

/// Byte `kByte` of each lane as float: unsigned, or signed.
template <int kByte>
HWY_INLINE VF32 ByteToFloat(VU32 v) {
    const VU32 byte = hn::And(hn::ShiftRight<kByte * 8>(v), hn::Set(DU32(), 0xffu));
    return hn::ConvertTo(DF32(), hn::BitCast(DI32(), byte));
}
template <int kByte>
HWY_INLINE VF32 SignedByteToFloat(VU32 v) {
    const VI32 high = hn::BitCast(DI32(), hn::ShiftLeft<24 - kByte * 8>(v));
    return hn::ConvertTo(DF32(), hn::ShiftRight<24>(high));
}

/// Bits 4j..4j+3 of each lane spread to bit 4 of the four bytes.
template <int kJ>
HWY_INLINE VU32 FifthBits(VU32 bits) {
    const VU32 four = hn::And(hn::ShiftRight<kJ * 4>(bits), hn::Set(DU32(), 0xfu));
    const VU32 spread = hn::Mul(four, hn::Set(DU32(), 0x00204081u));
    return hn::ShiftLeft<4>(hn::And(spread, hn::Set(DU32(), 0x01010101u)));
}

/// Where the panel blocks of one stored block go, and what to ask memory for meanwhile: the same
/// stored block of the next 16 rows, in quarters, since a burst of 50 lines would stall the core.
template <class Format>
struct BlockWriter {
    std::uint8_t* panel;
    std::size_t first, part;
    const std::uint8_t* ahead;  ///< null: ask for nothing

    HWY_INLINE PanelOut operator()(std::size_t b) const {
        return PanelLayout<Format>::block(panel, first + b, part);
    }
    template <std::size_t kQuarter>
    HWY_INLINE void prefetch() const {
        constexpr std::size_t kBytes = Format::kStoredBytes * kPanel;
        constexpr std::size_t kFirst = kBytes * kQuarter / 4 / 64 * 64;
        constexpr std::size_t kEnd = kQuarter == 3 ? kBytes : kBytes * (kQuarter + 1) / 4 / 64 * 64;
        if (ahead == nullptr) return;
#pragma GCC unroll 16
        for (std::size_t i = kFirst; i < kEnd; i += 64) hwy::Prefetch(ahead + i);
    }
    HWY_INLINE void prefetch_all() const {
        prefetch<0>();
        prefetch<1>();
        prefetch<2>();
        prefetch<3>();
    }
};

// What the formats share. kSpan: panel blocks that one stored block fills.
template <class Stored, std::size_t kSpanBlocks, bool kIsNibble, std::size_t kGroupSize,
          bool kHasMin, int kBiasValue, std::size_t kHeader = 0>
struct FormatTraits {
    static constexpr std::size_t kStoredBytes = sizeof(Stored);
    static constexpr std::size_t kSpan = kSpanBlocks;
    static constexpr bool kNibble = kIsNibble;
    static constexpr std::size_t kGroup = kGroupSize;
    static constexpr bool kMin = kHasMin;
    static constexpr int kBias = kBiasValue;
    static constexpr bool kSigned = false;
    /// Bytes of F16 fields that a one-block format starts with; PackPanel hands them to Unpack.
    static constexpr std::size_t kHeaderBytes = kHeader;
};

HWY_INLINE void StoreFour(const PanelOut& out, std::size_t j, const FourDwords& q) {
    for (std::size_t i = 0; i < 4; ++i) out.set_q(j + i, q.v[i]);
}

struct FormatQ4_0 : FormatTraits<BlockQ4_0, 1, true, 32, false, -8, 2> {
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32 header,
                                      OutAt out_at) {
        const PanelOut out = out_at(0);
        StoreFour(out, 0, LoadTransposed(rows, at + 2));
        out.set_scale(HalfToFloat(header));
    }
};

struct FormatQ4_1 : FormatTraits<BlockQ4_1, 1, true, 32, true, 0, 4> {
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

struct FormatQ5_0 : FormatTraits<BlockQ5_0, 1, false, 32, false, -16, 2> {
    template <class OutAt>
    static DG_TILE_INLINE void Unpack(const std::uint8_t* const* rows, std::size_t at, VU32 header,
                                      OutAt out_at) {
        const PanelOut out = out_at(0);
        StoreFiveBits(out, LoadTransposed(rows, at + 6), LoadDword(rows, at + 2));
        out.set_scale(HalfToFloat(header));
    }
};

struct FormatQ5_1 : FormatTraits<BlockQ5_1, 1, false, 32, true, 0, 4> {
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
struct FormatQ8_0 : FormatTraits<BlockQ8_0, 1, false, 32, false, -128, 2> {
    static constexpr std::uint32_t kFlip = 0x80808080u;
#else
struct FormatQ8_0 : FormatTraits<BlockQ8_0, 1, false, 32, false, 0, 2> {
    static constexpr bool kSigned = true;
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

struct FormatQ4_K : FormatTraits<BlockQ4_K, 8, true, 32, true, 0> {
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

struct FormatQ5_K : FormatTraits<BlockQ5_K, 8, false, 32, true, 0> {
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

struct FormatQ6_K : FormatTraits<BlockQ6_K, 8, false, 16, false, -32> {
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

struct FormatQ3_K : FormatTraits<BlockQ3_K, 8, false, 16, false, -4> {
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

struct FormatQ2_K : FormatTraits<BlockQ2_K, 8, false, 16, true, 0> {
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

/// The first kHeaderBytes of some blocks of 16 rows, zero-extended: lanes are rows. Collected well
/// before they are read: a vector load that has to wait for sixteen small stores is slow.
template <class Format>
struct Headers {
    static constexpr std::size_t kBlocks = 8;
    alignas(64) std::uint32_t dwords[kBlocks][kPanel];

    DG_TILE_INLINE void collect(const std::uint8_t* const* rows, std::size_t at,
                                std::size_t blocks) {
        for (std::size_t r = 0; r < kPanel; ++r) {
            const std::uint8_t* from = rows[r] + at;
            if (blocks == kBlocks) {
#pragma GCC unroll 8
                for (std::size_t b = 0; b < kBlocks; ++b) dwords[b][r] = read(from, b);
            } else {
                for (std::size_t b = 0; b < blocks; ++b) dwords[b][r] = read(from, b);
            }
        }
    }
    static HWY_INLINE std::uint32_t read(const std::uint8_t* from, std::size_t b) {
        std::conditional_t<Format::kHeaderBytes == 2, std::uint16_t, std::uint32_t> bits = 0;
        std::memcpy(&bits, from + b * Format::kStoredBytes, sizeof(bits));
        return bits;
    }
    HWY_INLINE VU32 at(std::size_t b, std::size_t part) const {
        return hn::Load(DU32(), dwords[b] + part * kLanes);
    }
};

/// Unpacks `blocks` panel blocks from `first` on (multiples of Format::kSpan) of 16 rows. `ahead`
/// is what the caller reads after these rows, laid out alike: asked for a line at a time, since
/// sixteen short streams are more than hardware prefetchers follow. Null: nothing follows.
template <class Format>
void PackPanel(const std::uint8_t* const* rows, std::size_t first, std::size_t blocks,
               const std::uint8_t* ahead, std::uint8_t* panel) {
    constexpr std::size_t kStep = Format::kHeaderBytes > 0 ? Headers<Format>::kBlocks : 1;
    const std::size_t first_stored = first / Format::kSpan, stored_blocks = blocks / Format::kSpan;
    Headers<Format> headers;
    for (std::size_t step = 0; step < stored_blocks; step += kStep) {
        const std::size_t count = std::min(kStep, stored_blocks - step);
        if constexpr (Format::kHeaderBytes > 0) {
            headers.collect(rows, (first_stored + step) * Format::kStoredBytes, count);
        }
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t stored = first_stored + step + i;
            const std::uint8_t* next =
                ahead == nullptr ? nullptr : ahead + stored * Format::kStoredBytes * kPanel;
            for (std::size_t part = 0; part < kParts; ++part) {
                const VU32 header =
                    Format::kHeaderBytes > 0 ? headers.at(i, part) : hn::Zero(DU32());
                const BlockWriter<Format> writer{panel, (step + i) * Format::kSpan, part,
                                                 part == 0 ? next : nullptr};
                if constexpr (Format::kSpan == 1) writer.prefetch_all();
                Format::Unpack(rows + part * kLanes, stored * Format::kStoredBytes, header, writer);
            }
        }
    }
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // toggled guard
