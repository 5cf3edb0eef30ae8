#pragma once
// Plain loops from stored blocks to floats and back: the referee of every fast kernel, and the
// quantiser behind `dougong models quantize`. Formats are those of blocks.h.

#include <cstddef>

#include "engine/tensor/tensor_type.h"

namespace engine {

/// out[0..elements) = the values stored in `row` (row_bytes(type, elements) bytes, any alignment).
/// Pre: elements is a multiple of the type's block.
void dequantize_row(TensorType type, const std::byte* row, std::size_t elements, float* out);

/// The reverse: fills row_bytes(type, elements) bytes. Block scales are searched for the least
/// squared error weighted by x^2 + mean(x^2), so that large values, which move outputs most, are
/// kept best. Values are finite or the result is unspecified; scales over the half-precision range
/// are clamped to it. Pre: as dequantize_row.
void quantize_row(TensorType type, const float* in, std::size_t elements, std::byte* row);

}  // namespace engine
