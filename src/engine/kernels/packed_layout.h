#pragma once
// Where things lie in a packed matrix; private to the packing (packed.cc) and its readers
// (packed_panel-inl.h).
//
// Sixteen weight rows make a panel, in six sections, each in order of the inputs. Per 32 inputs:
//   low     2, 4 or 8 bits of each code: dwords of inputs 4j..4j+3, the 16 rows side by side; with
//           4 bits, inputs 4j.. in the low and 16 + 4j.. in the high halves of the bytes; with 2,
//           as two bits of `high`
//   high    the next bit above, or the next two: a dword per row (two for two bits), where byte k
//           of bit j, or of bits 2 * (j % 4)..., is input 4j + k
//   scales  K types: the small integer scale of each group, 16 rows side by side; for Q2_K with the
//           group's minimum in the upper half
//   mins    K types with minimums: likewise
// and per stored block
//   d, m    its F16 scale and minimum scale, 16 rows side by side
// Float types: per input the 16 rows side by side, as stored.
// So every part is read with whole vectors, and codes come apart by masks and shifts.

#include <cstddef>

#include "engine/tensor/tensor_type.h"

namespace engine {

/// Version of the layout: stored files of another are made again.
constexpr unsigned kPackedLayoutVersion = 2;

/// Bytes per 32 inputs of 16 rows.
struct PackedShape {
    std::size_t low = 0;     ///< 64 per bit; 0: the type has no packed form of this kind
    std::size_t high = 0;    ///< 0, 64 (one bit) or 128 (two)
    std::size_t scales = 0;  ///< 16 per group; 0: d is the scale
    std::size_t mins = 0;
    bool has_m = false;
    std::size_t span = 1;  ///< how many 32 inputs one stored block has
};

constexpr PackedShape packed_shape(TensorType type) {
    switch (type) {
        case TensorType::q4_0:
            return {256, 0, 0, 0, false, 1};
        case TensorType::q4_1:
            return {256, 0, 0, 0, true, 1};
        case TensorType::q5_0:
            return {256, 64, 0, 0, false, 1};
        case TensorType::q5_1:
            return {256, 64, 0, 0, true, 1};
        case TensorType::q8_0:
            return {512, 0, 0, 0, false, 1};
        case TensorType::q2_k:
            return {128, 0, 32, 0, true, 8};
        case TensorType::q3_k:
            return {128, 64, 32, 0, false, 8};
        case TensorType::q4_k:
            return {256, 0, 16, 16, true, 8};
        case TensorType::q5_k:
            return {256, 64, 16, 16, true, 8};
        case TensorType::q6_k:
            return {256, 128, 32, 0, false, 8};
        default:
            return {};
    }
}

/// Byte offsets of a panel's sections, and its size, for rows of `blocks` times 32 inputs.
struct PackedPanel {
    std::size_t low, high, scales, mins, d, m, bytes;

    constexpr PackedPanel(const PackedShape& shape, std::size_t blocks)
        : low(0),
          high(low + blocks * shape.low),
          scales(high + blocks * shape.high),
          mins(scales + blocks * shape.scales),
          d(mins + blocks * shape.mins),
          m(d + blocks / shape.span * 32),
          bytes((m + (shape.has_m ? blocks / shape.span * 32 : 0) + 63) / 64 * 64) {}
};

}  // namespace engine
