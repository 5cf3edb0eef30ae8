#pragma once
// Panels of F32, F16 and BF16 weights times float activations, f32 accumulation.

#include "engine/kernels/quantized_matmul.h"

namespace engine {

/// As panel_kernel and packed_kernel, for the types whose elements are floats.
PanelKernel float_panel_kernel(TensorType type, bool packed);
/// How many distant panels of packed floats the kernel reads side by side for one row.
std::size_t float_panel_streams();

}  // namespace engine
