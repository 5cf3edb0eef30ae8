// Stored blocks to floats. The order of operations in each line is part of the reference: fast
// kernels and other programs agree with it to the last bit where they use the same order.

#include <cstring>

#include "base/core/check.h"
#include "engine/tensor/code_layout.h"
#include "engine/tensor/quantize.h"

namespace engine {
namespace {

void decode(const BlockQ8_0& block, float* out) {
    const float d = f16_to_f32(block.d);
    for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<float>(block.qs[i]) * d;
}

void decode_symmetric(const Codes32& codes, float d, int zero, float* out) {
    for (std::size_t i = 0; i < 32; ++i) {
        out[i] = static_cast<float>(static_cast<int>(codes[i]) - zero) * d;
    }
}

void decode_affine(const Codes32& codes, float d, float m, float* out) {
    for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<float>(codes[i]) * d + m;
}

void decode(const BlockQ4_0& block, float* out) {
    Codes32 codes;
    unpack_nibbles(block.qs, codes);
    decode_symmetric(codes, f16_to_f32(block.d), 8, out);
}

void decode(const BlockQ4_1& block, float* out) {
    Codes32 codes;
    unpack_nibbles(block.qs, codes);
    decode_affine(codes, f16_to_f32(block.d), f16_to_f32(block.m), out);
}

void decode(const BlockQ5_0& block, float* out) {
    Codes32 codes;
    unpack_nibbles(block.qs, codes);
    unpack_fifth_bits(block.qh, codes);
    decode_symmetric(codes, f16_to_f32(block.d), 16, out);
}

void decode(const BlockQ5_1& block, float* out) {
    Codes32 codes;
    unpack_nibbles(block.qs, codes);
    unpack_fifth_bits(block.qh, codes);
    decode_affine(codes, f16_to_f32(block.d), f16_to_f32(block.m), out);
}

void decode(const BlockQ2_K& block, float* out) {
    Codes256 codes;
    unpack_two_bits(block.qs, codes);
    const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
    for (std::size_t i = 0; i < 256; ++i) {
        const unsigned packed = block.scales[i / 16];
        const float scale = d * static_cast<float>(packed & 15u);
        const float min = dmin * static_cast<float>(packed >> 4);
        out[i] = scale * static_cast<float>(codes[i]) - min;
    }
}

void decode(const BlockQ3_K& block, float* out) {
    Codes256 codes;
    unpack_two_bits(block.qs, codes);
    unpack_high_bits(block.hmask, 2, codes);
    const float d = f16_to_f32(block.d);
    for (std::size_t i = 0; i < 256; ++i) {
        const float scale = d * static_cast<float>(unpack_q3_scale(block.scales, i / 16));
        out[i] = scale * static_cast<float>(static_cast<int>(codes[i]) - 4);
    }
}

void decode_scale_min(const Codes256& codes, const std::uint8_t* packed, float d, float dmin,
                      float* out) {
    for (std::size_t i = 0; i < 256; ++i) {
        const ScaleMin group = unpack_scale_min(packed, i / 32);
        const float scale = d * static_cast<float>(group.scale);
        const float min = dmin * static_cast<float>(group.min);
        out[i] = scale * static_cast<float>(codes[i]) - min;
    }
}

void decode(const BlockQ4_K& block, float* out) {
    Codes256 codes;
    unpack_nibbles_256(block.qs, codes);
    decode_scale_min(codes, block.scales, f16_to_f32(block.d), f16_to_f32(block.dmin), out);
}

void decode(const BlockQ5_K& block, float* out) {
    Codes256 codes;
    unpack_nibbles_256(block.qs, codes);
    unpack_high_bits(block.qh, 4, codes);
    decode_scale_min(codes, block.scales, f16_to_f32(block.d), f16_to_f32(block.dmin), out);
}

void decode(const BlockQ6_K& block, float* out) {
    Codes256 codes;
    unpack_six_bits(block, codes);
    const float d = f16_to_f32(block.d);
    for (std::size_t i = 0; i < 256; ++i) {
        const float scale = d * static_cast<float>(block.scales[i / 16]);
        out[i] = scale * static_cast<float>(static_cast<int>(codes[i]) - 32);
    }
}

template <class Block>
void decode_row(const std::byte* row, std::size_t elements, float* out) {
    DG_CHECK(elements % Block::kElements == 0, "a row holds whole blocks");
    for (std::size_t i = 0; i < elements; i += Block::kElements, row += sizeof(Block)) {
        Block block;
        std::memcpy(&block, row, sizeof(block));
        decode(block, out + i);
    }
}

template <float (*convert)(std::uint16_t)>
void decode_halves(const std::byte* row, std::size_t elements, float* out) {
    for (std::size_t i = 0; i < elements; ++i) {
        std::uint16_t bits;
        std::memcpy(&bits, row + i * sizeof(bits), sizeof(bits));
        out[i] = convert(bits);
    }
}

}  // namespace

void dequantize_row(TensorType type, const std::byte* row, std::size_t elements, float* out) {
    switch (type) {
        case TensorType::f32:
            std::memcpy(out, row, elements * sizeof(float));
            return;
        case TensorType::f16:
            return decode_halves<f16_to_f32>(row, elements, out);
        case TensorType::bf16:
            return decode_halves<bf16_to_f32>(row, elements, out);
        case TensorType::q8_0:
            return decode_row<BlockQ8_0>(row, elements, out);
        case TensorType::q4_0:
            return decode_row<BlockQ4_0>(row, elements, out);
        case TensorType::q4_1:
            return decode_row<BlockQ4_1>(row, elements, out);
        case TensorType::q5_0:
            return decode_row<BlockQ5_0>(row, elements, out);
        case TensorType::q5_1:
            return decode_row<BlockQ5_1>(row, elements, out);
        case TensorType::q2_k:
            return decode_row<BlockQ2_K>(row, elements, out);
        case TensorType::q3_k:
            return decode_row<BlockQ3_K>(row, elements, out);
        case TensorType::q4_k:
            return decode_row<BlockQ4_K>(row, elements, out);
        case TensorType::q5_k:
            return decode_row<BlockQ5_K>(row, elements, out);
        case TensorType::q6_k:
            return decode_row<BlockQ6_K>(row, elements, out);
    }
    DG_CHECK(false, "unhandled TensorType");
}

}  // namespace engine
