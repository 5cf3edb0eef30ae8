#pragma once
// F32, F16 and BF16 weights times float activations, f32 accumulation.

#include <cstddef>

#include "engine/tensor/tensor_type.h"

namespace engine {

/// Outputs [first_out, end_out) of one product, for all rows.
struct FloatTask {
    TensorType type = TensorType::f32;
    const std::byte* weights = nullptr;  ///< row 0 of the whole matrix
    std::size_t in = 0;
    std::size_t first_out = 0, end_out = 0;
    const float* x = nullptr;  ///< [rows, in]
    std::size_t rows = 0;
    float* y = nullptr;
    std::size_t y_stride = 0;
};

void float_matmul(const FloatTask& task);

}  // namespace engine
