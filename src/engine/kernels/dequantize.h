#pragma once
// Rows of every TensorType as floats, in plain loops.

#include <cstddef>

#include "engine/tensor/tensor_type.h"

namespace engine {

/// out[0..elements) from a row stored as `type`. Pre: elements is a multiple of the block's.
void dequantize(TensorType type, const std::byte* row, std::size_t elements, float* out);

}  // namespace engine
