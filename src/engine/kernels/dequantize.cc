#include "engine/kernels/dequantize.h"

#include <cstdint>
#include <cstring>

#include "engine/kernels/reference.h"

namespace engine {
namespace {

using Bytes = const std::uint8_t*;

float half_at(Bytes p) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, p, sizeof(bits));
    return reference::f16_to_f32(bits);
}

std::uint32_t word_at(Bytes p) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, p, sizeof(bits));
    return bits;
}

int signed_byte(std::uint8_t b) {
    return static_cast<std::int8_t>(b);
}

void q4_0(Bytes p, float* y) {
    const float d = half_at(p);
    for (int i = 0; i < 16; ++i) {
        y[i] = d * static_cast<float>((p[2 + i] & 15) - 8);
        y[i + 16] = d * static_cast<float>((p[2 + i] >> 4) - 8);
    }
}

void q4_1(Bytes p, float* y) {
    const float d = half_at(p), m = half_at(p + 2);
    for (int i = 0; i < 16; ++i) {
        y[i] = d * static_cast<float>(p[4 + i] & 15) + m;
        y[i + 16] = d * static_cast<float>(p[4 + i] >> 4) + m;
    }
}

int fifth_bit(std::uint32_t bits, int i) {
    return static_cast<int>(bits >> i & 1u) << 4;
}

void q5_0(Bytes p, float* y) {
    const float d = half_at(p);
    const std::uint32_t high = word_at(p + 2);
    for (int i = 0; i < 16; ++i) {
        y[i] = d * static_cast<float>(((p[6 + i] & 15) | fifth_bit(high, i)) - 16);
        y[i + 16] = d * static_cast<float>(((p[6 + i] >> 4) | fifth_bit(high, i + 16)) - 16);
    }
}

void q5_1(Bytes p, float* y) {
    const float d = half_at(p), m = half_at(p + 2);
    const std::uint32_t high = word_at(p + 4);
    for (int i = 0; i < 16; ++i) {
        y[i] = d * static_cast<float>((p[8 + i] & 15) | fifth_bit(high, i)) + m;
        y[i + 16] = d * static_cast<float>((p[8 + i] >> 4) | fifth_bit(high, i + 16)) + m;
    }
}

void q8_0(Bytes p, float* y) {
    const float d = half_at(p);
    for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(signed_byte(p[2 + i]));
}

void q2_k(Bytes p, float* y) {
    const float d = half_at(p + 80), m = half_at(p + 82);
    for (int i = 0; i < 256; ++i) {
        const int group = i / 16;
        const int q = p[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        y[i] = d * static_cast<float>(p[group] & 15) * static_cast<float>(q) -
               m * static_cast<float>(p[group] >> 4);
    }
}

/// Six-bit scale `group` of 16, packed as 16 low nibbles in 8 bytes, then 16 high pairs in 4.
int q3_k_scale(Bytes scales, int group) {
    const int low = scales[group % 8] >> (group / 8 * 4) & 15;
    const int high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
    return (low | high << 4) - 32;
}

void q3_k(Bytes p, float* y) {
    const float d = half_at(p + 108);
    for (int i = 0; i < 256; ++i) {
        const int low = p[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        const int high = p[i % 32] >> (i / 32) & 1;
        const int q = low - (high != 0 ? 0 : 4);
        y[i] = d * static_cast<float>(q3_k_scale(p + 96, i / 16)) * static_cast<float>(q);
    }
}

/// Six-bit scale and min of group 0..7 from the 12 packed bytes of Q4_K and Q5_K.
void scale_min_k4(Bytes scales, int group, int& scale, int& min) {
    if (group < 4) {
        scale = scales[group] & 63;
        min = scales[group + 4] & 63;
    } else {
        scale = (scales[group + 4] & 15) | (scales[group - 4] >> 6) << 4;
        min = (scales[group + 4] >> 4) | (scales[group] >> 6) << 4;
    }
}

void q45_k(Bytes p, bool five, float* y) {
    const float d = half_at(p), m = half_at(p + 2);
    const Bytes high = p + 16;
    const Bytes low = five ? p + 48 : p + 16;
    for (int group = 0; group < 8; ++group) {
        int scale = 0, min = 0;
        scale_min_k4(p + 4, group, scale, min);
        for (int i = 0; i < 32; ++i) {
            int q = low[group / 2 * 32 + i] >> (group % 2 * 4) & 15;
            if (five) q |= (high[i] >> group & 1) << 4;
            y[group * 32 + i] =
                d * static_cast<float>(scale) * static_cast<float>(q) - m * static_cast<float>(min);
        }
    }
}

void q6_k(Bytes p, float* y) {
    const float d = half_at(p + 208);
    for (int i = 0; i < 256; ++i) {
        const int half = i / 128, in_half = i % 128;
        const int low = p[half * 64 + in_half % 64] >> (in_half / 64 * 4) & 15;
        const int high = p[128 + half * 32 + in_half % 32] >> (in_half / 32 * 2) & 3;
        const int q = (low | high << 4) - 32;
        y[i] = d * static_cast<float>(signed_byte(p[192 + i / 16])) * static_cast<float>(q);
    }
}

template <class Block>
void each_block(TensorType type, Bytes p, std::size_t elements, float* out, Block block) {
    const BlockShape shape = block_shape(type);
    for (std::size_t i = 0; i < elements; i += shape.elements, p += shape.bytes) block(p, out + i);
}

}  // namespace

void dequantize(TensorType type, const std::byte* row, std::size_t elements, float* out) {
    const auto* p = reinterpret_cast<Bytes>(row);
    const auto blocks = [&](auto block) { each_block(type, p, elements, out, block); };
    switch (type) {
        case TensorType::f32:
            std::memcpy(out, p, elements * sizeof(float));
            return;
        case TensorType::f16:
            return blocks([](Bytes b, float* y) { *y = half_at(b); });
        case TensorType::bf16:
            return blocks([](Bytes b, float* y) {
                std::uint16_t bits = 0;
                std::memcpy(&bits, b, sizeof(bits));
                *y = reference::bf16_to_f32(bits);
            });
        case TensorType::q4_0:
            return blocks(q4_0);
        case TensorType::q4_1:
            return blocks(q4_1);
        case TensorType::q5_0:
            return blocks(q5_0);
        case TensorType::q5_1:
            return blocks(q5_1);
        case TensorType::q8_0:
            return blocks(q8_0);
        case TensorType::q2_k:
            return blocks(q2_k);
        case TensorType::q3_k:
            return blocks(q3_k);
        case TensorType::q4_k:
            return blocks([](Bytes b, float* y) { q45_k(b, false, y); });
        case TensorType::q5_k:
            return blocks([](Bytes b, float* y) { q45_k(b, true, y); });
        case TensorType::q6_k:
            return blocks(q6_k);
    }
}

}  // namespace engine
