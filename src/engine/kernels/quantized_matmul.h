#pragma once
// Quantised weights times quantised activation rows.

#include <cstddef>
#include <cstdint>

#include "engine/kernels/activations.h"
#include "engine/tensor/tensor_type.h"

namespace engine {

/// Outputs [16 * panel, ...) of one product, for a range of rows.
struct PanelTask {
    const std::byte* weights = nullptr;  ///< the whole matrix, as stored or packed
    std::size_t row_bytes = 0;           ///< of one weight row
    std::size_t outs = 0;                ///< weight rows in all
    std::size_t panel = 0;
    bool next_follows = false;  ///< the caller will run panel + 1 right after this one
    const QuantizedRows* x = nullptr;
    std::size_t first_row = 0, rows = 0;  ///< of x and y; rows <= kPanelRowsMax
    float* y = nullptr;                   ///< row 0
    std::size_t y_stride = 0;
    std::byte* scratch = nullptr;  ///< kPanelScratchBytes, 64-byte aligned
};

constexpr std::size_t kPanelOuts = 16;
constexpr std::size_t kPanelRowsMax = 128;
constexpr std::size_t kPanelScratchBytes = (24 + 8) * 1024;

using PanelKernel = void (*)(const PanelTask&);

/// The fast kernel of this machine for a quantised type; null for F32, F16 and BF16, and for all
/// types where there are no vector instructions we know.
PanelKernel panel_kernel(TensorType type);
/// The same for tasks whose `weights` are in packed form (packed.h); `row_bytes` is not used.
PanelKernel packed_kernel(TensorType type);

}  // namespace engine
