#pragma once
// Where the small integers of a block lie. Each pair unpack/pack is the single statement of one
// format's bit order; codes are in element order.

#include <array>

#include "engine/tensor/blocks.h"

namespace engine {

using Codes32 = std::array<std::uint8_t, 32>;
using Codes256 = std::array<std::uint8_t, 256>;

inline void unpack_nibbles(const std::uint8_t* qs, Codes32& codes) {
    for (std::size_t j = 0; j < 16; ++j) {
        codes[j] = qs[j] & 15u;
        codes[j + 16] = static_cast<std::uint8_t>(qs[j] >> 4);
    }
}
inline void pack_nibbles(const Codes32& codes, std::uint8_t* qs) {
    for (std::size_t j = 0; j < 16; ++j) {
        qs[j] = static_cast<std::uint8_t>((codes[j] & 15u) | (codes[j + 16] & 15u) << 4);
    }
}
inline void unpack_fifth_bits(const std::uint8_t* qh, Codes32& codes) {
    for (std::size_t j = 0; j < 32; ++j) {
        codes[j] = static_cast<std::uint8_t>(codes[j] | (qh[j / 8] >> (j % 8) & 1u) << 4);
    }
}
inline void pack_fifth_bits(const Codes32& codes, std::uint8_t* qh) {
    for (std::size_t j = 0; j < 4; ++j) qh[j] = 0;
    for (std::size_t j = 0; j < 32; ++j) {
        qh[j / 8] = static_cast<std::uint8_t>(qh[j / 8] | (codes[j] >> 4 & 1u) << (j % 8));
    }
}

/// Element i of a 2-bit field array (Q2_K, Q3_K): 32 bytes serve 128 elements, 2 bits per 32.
struct TwoBitPlace {
    std::size_t byte;
    unsigned shift;
};
constexpr TwoBitPlace two_bit_place(std::size_t i) {
    return {i / 128 * 32 + i % 32, static_cast<unsigned>(2 * (i % 128 / 32))};
}
inline void unpack_two_bits(const std::uint8_t* qs, Codes256& codes) {
    for (std::size_t i = 0; i < 256; ++i) {
        const TwoBitPlace at = two_bit_place(i);
        codes[i] = qs[at.byte] >> at.shift & 3u;
    }
}
inline void pack_two_bits(const Codes256& codes, std::uint8_t* qs) {
    for (std::size_t i = 0; i < 64; ++i) qs[i] = 0;
    for (std::size_t i = 0; i < 256; ++i) {
        const TwoBitPlace at = two_bit_place(i);
        qs[at.byte] = static_cast<std::uint8_t>(qs[at.byte] | (codes[i] & 3u) << at.shift);
    }
}

/// One more bit per element in 32 bytes: element i is bit i / 32 of byte i % 32 (Q3_K, Q5_K).
inline void unpack_high_bits(const std::uint8_t* mask, unsigned to_bit, Codes256& codes) {
    for (std::size_t i = 0; i < 256; ++i) {
        codes[i] = static_cast<std::uint8_t>(codes[i] | (mask[i % 32] >> (i / 32) & 1u) << to_bit);
    }
}
inline void pack_high_bits(const Codes256& codes, unsigned from_bit, std::uint8_t* mask) {
    for (std::size_t i = 0; i < 32; ++i) mask[i] = 0;
    for (std::size_t i = 0; i < 256; ++i) {
        const unsigned bit = codes[i] >> from_bit & 1u;
        mask[i % 32] = static_cast<std::uint8_t>(mask[i % 32] | bit << (i / 32));
    }
}

/// Q4_K and Q5_K: 32 bytes serve 64 elements, first the low nibbles, then the high ones.
inline void unpack_nibbles_256(const std::uint8_t* qs, Codes256& codes) {
    for (std::size_t i = 0; i < 256; ++i) {
        codes[i] = qs[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15u;
    }
}
inline void pack_nibbles_256(const Codes256& codes, std::uint8_t* qs) {
    for (std::size_t i = 0; i < 128; ++i) {
        const std::size_t low = i / 32 * 64 + i % 32;
        qs[i] = static_cast<std::uint8_t>((codes[low] & 15u) | (codes[low + 32] & 15u) << 4);
    }
}

/// Q6_K: each half of 128 has 64 bytes of nibbles (low: first 64 elements, high: last 64) and 32
/// bytes of two-bit fields laid out as two_bit_place.
inline void unpack_six_bits(const BlockQ6_K& block, Codes256& codes) {
    for (std::size_t i = 0; i < 256; ++i) {
        const unsigned low = block.ql[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15u;
        const TwoBitPlace at = two_bit_place(i);
        codes[i] = static_cast<std::uint8_t>(low | (block.qh[at.byte] >> at.shift & 3u) << 4);
    }
}
inline void pack_six_bits(const Codes256& codes, BlockQ6_K& block) {
    Codes256 high{};
    for (std::size_t i = 0; i < 256; ++i) high[i] = static_cast<std::uint8_t>(codes[i] >> 4);
    pack_two_bits(high, block.qh);
    for (std::size_t i = 0; i < 128; ++i) {
        const std::size_t low = i / 64 * 128 + i % 64;
        block.ql[i] = static_cast<std::uint8_t>((codes[low] & 15u) | (codes[low + 64] & 15u) << 4);
    }
}

inline void pack_scale_min(const std::array<std::uint8_t, 8>& scales,
                           const std::array<std::uint8_t, 8>& mins, std::uint8_t* packed) {
    for (std::size_t j = 0; j < 4; ++j) {
        packed[j] = static_cast<std::uint8_t>(scales[j] | (scales[j + 4] >> 4) << 6);
        packed[j + 4] = static_cast<std::uint8_t>(mins[j] | (mins[j + 4] >> 4) << 6);
        packed[j + 8] = static_cast<std::uint8_t>((scales[j + 4] & 15u) | (mins[j + 4] & 15u) << 4);
    }
}

/// scales: 6 bits each, offset 32 already added.
inline void pack_q3_scales(const std::array<std::uint8_t, 16>& scales, std::uint8_t* packed) {
    for (std::size_t j = 0; j < 12; ++j) packed[j] = 0;
    for (std::size_t j = 0; j < 16; ++j) {
        const unsigned low = (scales[j] & 15u) << (j < 8 ? 0 : 4);
        packed[j % 8] = static_cast<std::uint8_t>(packed[j % 8] | low);
        const unsigned high = static_cast<unsigned>(scales[j] >> 4) << (2 * (j / 4));
        packed[8 + j % 4] = static_cast<std::uint8_t>(packed[8 + j % 4] | high);
    }
}

}  // namespace engine
