#pragma once
// The stored form of every TensorType: packed structs exact to the GGUF block formats, and the
// 16-bit float conversions. Half-precision fields hold IEEE binary16 bits. The structs need an
// alignment of 2; tensors in a file are aligned to 32.

#include <bit>
#include <cstddef>
#include <cstdint>

namespace engine {

/// IEEE binary16 to float, exactly: subnormals, infinities and NaN payloads included.
inline float f16_to_f32(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    const std::uint32_t magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) {  // infinity or NaN: all exponent bits stay set
        return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    }
    if (magnitude < 0x0400u) {  // zero or subnormal: an integer count of 2^-24
        const float value = static_cast<float>(magnitude) * 0x1p-24f;
        return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
    }
    return std::bit_cast<float>(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
}

/// Nearest binary16, ties to even; over 65504 rounds to infinity; NaN stays NaN (quiet).
inline std::uint16_t f32_to_f16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return static_cast<std::uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    }
    if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {
        // Below 2^-14 the result counts 2^-24 steps. Adding 0.5 puts such a step at the float's
        // last bit, so the addition itself rounds to nearest even.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<std::uint16_t>(
            sign | (std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5f)));
    }
    const std::uint32_t odd = magnitude >> 13 & 1u;
    const std::uint32_t rounded = magnitude - ((127u - 15u) << 23) + 0xfffu + odd;
    return static_cast<std::uint16_t>(sign | rounded >> 13);
}

inline float bf16_to_f32(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Nearest bfloat16, ties to even; NaN stays NaN (quiet).
inline std::uint16_t f32_to_bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
    return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// 32 values per block. A nibble array holds value j in the low half of byte j and value j + 16 in
// the high half.

/// x = d * q, q in [-127, 127].
struct BlockQ8_0 {
    static constexpr std::size_t kElements = 32;
    std::uint16_t d;
    std::int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

/// x = d * (q - 8).
struct BlockQ4_0 {
    static constexpr std::size_t kElements = 32;
    std::uint16_t d;
    std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

/// x = d * q + m.
struct BlockQ4_1 {
    static constexpr std::size_t kElements = 32;
    std::uint16_t d, m;
    std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

/// x = d * (q - 16); bit j of qh (little-endian) is bit 4 of value j.
struct BlockQ5_0 {
    static constexpr std::size_t kElements = 32;
    std::uint16_t d;
    std::uint8_t qh[4];
    std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

/// x = d * q + m.
struct BlockQ5_1 {
    static constexpr std::size_t kElements = 32;
    std::uint16_t d, m;
    std::uint8_t qh[4];
    std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

// 256 values per block, in 16 groups of 16 (Q2_K, Q3_K, Q6_K) or 8 groups of 32 (Q4_K, Q5_K), each
// with a small integer scale. Where a value's bits lie is in quantize.cc (unpack_* / pack_*).

/// x = d * (scales & 15) * q - dmin * (scales >> 4), q in [0, 3].
struct BlockQ2_K {
    static constexpr std::size_t kElements = 256;
    std::uint8_t scales[16];
    std::uint8_t qs[64];
    std::uint16_t d, dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

/// x = d * (scale - 32) * (q - 4), scale 6 bits, q in [0, 7] with its top bit in hmask.
struct BlockQ3_K {
    static constexpr std::size_t kElements = 256;
    std::uint8_t hmask[32];
    std::uint8_t qs[64];
    std::uint8_t scales[12];
    std::uint16_t d;
};
static_assert(sizeof(BlockQ3_K) == 110);

/// x = d * scale * q - dmin * min, scale and min 6 bits, q in [0, 15].
struct BlockQ4_K {
    static constexpr std::size_t kElements = 256;
    std::uint16_t d, dmin;
    std::uint8_t scales[12];
    std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

/// As Q4_K with q in [0, 31], top bit in qh.
struct BlockQ5_K {
    static constexpr std::size_t kElements = 256;
    std::uint16_t d, dmin;
    std::uint8_t scales[12];
    std::uint8_t qh[32];
    std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

/// x = d * scale * (q - 32), scale 8 bits signed, q in [0, 63] with its top two bits in qh.
struct BlockQ6_K {
    static constexpr std::size_t kElements = 256;
    std::uint8_t ql[128];
    std::uint8_t qh[64];
    std::int8_t scales[16];
    std::uint16_t d;
};
static_assert(sizeof(BlockQ6_K) == 210);

/// Scale and min of group `j` (0..7) from the 12 packed bytes of Q4_K and Q5_K.
struct ScaleMin {
    std::uint8_t scale, min;
};
inline ScaleMin unpack_scale_min(const std::uint8_t* packed, std::size_t j) {
    if (j < 4) {
        return {static_cast<std::uint8_t>(packed[j] & 63u),
                static_cast<std::uint8_t>(packed[j + 4] & 63u)};
    }
    return {static_cast<std::uint8_t>((packed[j + 4] & 15u) | (packed[j - 4] >> 6) << 4),
            static_cast<std::uint8_t>(packed[j + 4] >> 4 | (packed[j] >> 6) << 4)};
}

/// Scale of group `j` (0..15) of Q3_K, in [-32, 31].
inline int unpack_q3_scale(const std::uint8_t* packed, std::size_t j) {
    const unsigned low = j < 8 ? packed[j] & 15u : static_cast<unsigned>(packed[j - 8] >> 4);
    const unsigned high = packed[8 + j % 4] >> (2 * (j / 4)) & 3u;
    return static_cast<int>(low | high << 4) - 32;
}

}  // namespace engine
