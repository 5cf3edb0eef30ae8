// Floats to stored blocks. Every encoder has the same three steps: fit scales to groups, round the
// scales to their stored form, then choose codes for the scales as they will be read back.

#include "engine/tensor/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/core/check.h"
#include "engine/tensor/code_layout.h"
#include "engine/tensor/fit.h"

namespace engine {
namespace {

constexpr float kHalfMax = 65504.f;

std::uint16_t to_half(float value) {
    return f32_to_f16(std::clamp(value, -kHalfMax, kHalfMax));
}

float inverse_or_zero(float value) {
    return value == 0.f ? 0.f : 1.f / value;
}

/// x^2 + mean(x^2): errors of large values count more, small ones are not forgotten.
void importance(const float* x, std::size_t n, float* weight) {
    float sum = 0.f;
    for (std::size_t i = 0; i < n; ++i) sum += x[i] * x[i];
    const float mean = sum / static_cast<float>(n);
    for (std::size_t i = 0; i < n; ++i) weight[i] = x[i] * x[i] + mean;
}

void encode(const float* x, BlockQ8_0& block) {
    // 8 bits are plenty: the plain scale, so that any program gives the same bytes.
    float extreme = 0.f;
    for (std::size_t i = 0; i < 32; ++i) extreme = std::max(extreme, std::abs(x[i]));
    const float d = extreme / 127.f;
    const float inverse = inverse_or_zero(d);
    block.d = to_half(d);
    for (std::size_t i = 0; i < 32; ++i) {
        block.qs[i] = static_cast<std::int8_t>(nearest_code(x[i], inverse, -127, 127));
    }
}

/// Codes are stored with `zero` added.
std::uint16_t encode_symmetric(const float* x, int zero, Codes32& codes) {
    float weight[32];
    importance(x, 32, weight);
    const std::uint16_t d = to_half(fit_symmetric(x, weight, 32, -zero, zero - 1).scale);
    const float inverse = inverse_or_zero(f16_to_f32(d));
    for (std::size_t i = 0; i < 32; ++i) {
        codes[i] = static_cast<std::uint8_t>(nearest_code(x[i], inverse, -zero, zero - 1) + zero);
    }
    return d;
}

struct HalfLine {
    std::uint16_t d, m;
};

HalfLine encode_affine(const float* x, int code_max, Codes32& codes) {
    float weight[32];
    importance(x, 32, weight);
    const AffineFit fit = fit_affine(x, weight, 32, code_max, false);
    const HalfLine line{to_half(fit.scale), to_half(fit.offset)};
    const float inverse = inverse_or_zero(f16_to_f32(line.d));
    const float offset = f16_to_f32(line.m);
    for (std::size_t i = 0; i < 32; ++i) {
        codes[i] = static_cast<std::uint8_t>(nearest_code(x[i] - offset, inverse, 0, code_max));
    }
    return line;
}

void encode(const float* x, BlockQ4_0& block) {
    Codes32 codes;
    block.d = encode_symmetric(x, 8, codes);
    pack_nibbles(codes, block.qs);
}

void encode(const float* x, BlockQ5_0& block) {
    Codes32 codes;
    block.d = encode_symmetric(x, 16, codes);
    pack_nibbles(codes, block.qs);
    pack_fifth_bits(codes, block.qh);
}

void encode(const float* x, BlockQ4_1& block) {
    Codes32 codes;
    const HalfLine line = encode_affine(x, 15, codes);
    block.d = line.d;
    block.m = line.m;
    pack_nibbles(codes, block.qs);
}

void encode(const float* x, BlockQ5_1& block) {
    Codes32 codes;
    const HalfLine line = encode_affine(x, 31, codes);
    block.d = line.d;
    block.m = line.m;
    pack_nibbles(codes, block.qs);
    pack_fifth_bits(codes, block.qh);
}

/// A K block of scaled groups with offsets: x ~ d * scale * code - dmin * min.
template <std::size_t kGroups>
struct OffsetGroups {
    std::uint16_t d = 0, dmin = 0;
    std::array<std::uint8_t, kGroups> scales{}, mins{};
    Codes256 codes{};
};

template <std::size_t kGroups>
OffsetGroups<kGroups> fit_offset_groups(const float* x, int code_max, int scale_max) {
    constexpr std::size_t kSize = 256 / kGroups;
    OffsetGroups<kGroups> out;
    std::array<float, kGroups> scale, min;
    for (std::size_t g = 0; g < kGroups; ++g) {
        float weight[kSize];
        importance(x + g * kSize, kSize, weight);
        const AffineFit fit = fit_affine(x + g * kSize, weight, kSize, code_max, true);
        scale[g] = fit.scale;
        min[g] = -fit.offset;
    }
    const auto levels = static_cast<float>(scale_max);
    out.d = to_half(*std::ranges::max_element(scale) / levels);
    out.dmin = to_half(*std::ranges::max_element(min) / levels);
    const float d = f16_to_f32(out.d), dmin = f16_to_f32(out.dmin);
    for (std::size_t g = 0; g < kGroups; ++g) {
        const int s = nearest_code(scale[g], inverse_or_zero(d), 0, scale_max);
        const int m = nearest_code(min[g], inverse_or_zero(dmin), 0, scale_max);
        out.scales[g] = static_cast<std::uint8_t>(s);
        out.mins[g] = static_cast<std::uint8_t>(m);
        const float inverse = inverse_or_zero(d * static_cast<float>(s));
        const float offset = dmin * static_cast<float>(m);
        for (std::size_t i = g * kSize; i < (g + 1) * kSize; ++i) {
            out.codes[i] =
                static_cast<std::uint8_t>(nearest_code(x[i] + offset, inverse, 0, code_max));
        }
    }
    return out;
}

/// A K block of 16 groups without offsets: x ~ d * scale * (code - zero).
struct PlainGroups {
    std::uint16_t d = 0;
    std::array<int, 16> scales{};
    Codes256 codes{};
};

PlainGroups fit_plain_groups(const float* x, int zero, int scale_min) {
    PlainGroups out;
    std::array<float, 16> scale;
    float extreme = 0.f;
    for (std::size_t g = 0; g < 16; ++g) {
        float weight[16];
        importance(x + g * 16, 16, weight);
        scale[g] = fit_symmetric(x + g * 16, weight, 16, -zero, zero - 1).scale;
        if (std::abs(scale[g]) > std::abs(extreme)) extreme = scale[g];
    }
    // The scales' own range is lopsided too: its far end goes to the largest of them.
    out.d = to_half(extreme / static_cast<float>(scale_min));
    const float d = f16_to_f32(out.d);
    for (std::size_t g = 0; g < 16; ++g) {
        out.scales[g] = nearest_code(scale[g], inverse_or_zero(d), scale_min, -scale_min - 1);
        const float inverse = inverse_or_zero(d * static_cast<float>(out.scales[g]));
        for (std::size_t i = g * 16; i < (g + 1) * 16; ++i) {
            out.codes[i] =
                static_cast<std::uint8_t>(nearest_code(x[i], inverse, -zero, zero - 1) + zero);
        }
    }
    return out;
}

void encode(const float* x, BlockQ2_K& block) {
    const auto groups = fit_offset_groups<16>(x, 3, 15);
    block.d = groups.d;
    block.dmin = groups.dmin;
    for (std::size_t g = 0; g < 16; ++g) {
        block.scales[g] = static_cast<std::uint8_t>(groups.scales[g] | groups.mins[g] << 4);
    }
    pack_two_bits(groups.codes, block.qs);
}

void encode(const float* x, BlockQ3_K& block) {
    const PlainGroups groups = fit_plain_groups(x, 4, -32);
    block.d = groups.d;
    std::array<std::uint8_t, 16> scales;
    for (std::size_t g = 0; g < 16; ++g) {
        scales[g] = static_cast<std::uint8_t>(groups.scales[g] + 32);
    }
    pack_q3_scales(scales, block.scales);
    pack_two_bits(groups.codes, block.qs);
    pack_high_bits(groups.codes, 2, block.hmask);
}

void encode(const float* x, BlockQ4_K& block) {
    const auto groups = fit_offset_groups<8>(x, 15, 63);
    block.d = groups.d;
    block.dmin = groups.dmin;
    pack_scale_min(groups.scales, groups.mins, block.scales);
    pack_nibbles_256(groups.codes, block.qs);
}

void encode(const float* x, BlockQ5_K& block) {
    const auto groups = fit_offset_groups<8>(x, 31, 63);
    block.d = groups.d;
    block.dmin = groups.dmin;
    pack_scale_min(groups.scales, groups.mins, block.scales);
    pack_nibbles_256(groups.codes, block.qs);
    pack_high_bits(groups.codes, 4, block.qh);
}

void encode(const float* x, BlockQ6_K& block) {
    const PlainGroups groups = fit_plain_groups(x, 32, -128);
    block.d = groups.d;
    for (std::size_t g = 0; g < 16; ++g) {
        block.scales[g] = static_cast<std::int8_t>(groups.scales[g]);
    }
    pack_six_bits(groups.codes, block);
}

template <class Block>
void encode_row(const float* in, std::size_t elements, std::byte* row) {
    DG_CHECK(elements % Block::kElements == 0, "a row holds whole blocks");
    for (std::size_t i = 0; i < elements; i += Block::kElements, row += sizeof(Block)) {
        Block block;
        encode(in + i, block);
        std::memcpy(row, &block, sizeof(block));
    }
}

template <std::uint16_t (*convert)(float)>
void encode_halves(const float* in, std::size_t elements, std::byte* row) {
    for (std::size_t i = 0; i < elements; ++i) {
        const std::uint16_t bits = convert(in[i]);
        std::memcpy(row + i * sizeof(bits), &bits, sizeof(bits));
    }
}

}  // namespace

void quantize_row(TensorType type, const float* in, std::size_t elements, std::byte* row) {
    switch (type) {
        case TensorType::f32:
            std::memcpy(row, in, elements * sizeof(float));
            return;
        case TensorType::f16:
            return encode_halves<f32_to_f16>(in, elements, row);
        case TensorType::bf16:
            return encode_halves<f32_to_bf16>(in, elements, row);
        case TensorType::q8_0:
            return encode_row<BlockQ8_0>(in, elements, row);
        case TensorType::q4_0:
            return encode_row<BlockQ4_0>(in, elements, row);
        case TensorType::q4_1:
            return encode_row<BlockQ4_1>(in, elements, row);
        case TensorType::q5_0:
            return encode_row<BlockQ5_0>(in, elements, row);
        case TensorType::q5_1:
            return encode_row<BlockQ5_1>(in, elements, row);
        case TensorType::q2_k:
            return encode_row<BlockQ2_K>(in, elements, row);
        case TensorType::q3_k:
            return encode_row<BlockQ3_K>(in, elements, row);
        case TensorType::q4_k:
            return encode_row<BlockQ4_K>(in, elements, row);
        case TensorType::q5_k:
            return encode_row<BlockQ5_K>(in, elements, row);
        case TensorType::q6_k:
            return encode_row<BlockQ6_K>(in, elements, row);
    }
    DG_CHECK(false, "unhandled TensorType");
}

}  // namespace engine
