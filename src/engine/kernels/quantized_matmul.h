#pragma once
// The unit of work of a product: one panel of weights (16 outputs) times some activation rows.

#include <cstddef>
#include <cstdint>

#include "engine/kernels/activations.h"
#include "engine/kernels/kernels.h"
#include "engine/tensor/tensor_type.h"

namespace engine {

/// Sums of outputs [16 * panel, ...) of one product, for a range of rows.
struct PanelTask {
    const TensorView* w = nullptr;
    std::size_t panel = 0;
    std::size_t panels = 1;               ///< `panel`, `panel` + panel_step, ...
    std::size_t panel_step = 1;           ///< more than 1: the panels are streams, far apart
    bool next_follows = false;            ///< the caller will run the panels after these next
    const QuantizedRows* x = nullptr;     ///< for quantised types; else `floats`
    const float* floats = nullptr;        ///< [.., inputs]
    std::size_t first_row = 0, rows = 0;  ///< of x; rows <= kPanelRowsMax
    /// [panels][kPanelRowsMax, kPanelOuts], of which the first `rows`; past the last output: any.
    float* sums = nullptr;
    std::byte* scratch = nullptr;  ///< kPanelScratchBytes, 64-byte aligned
};

constexpr std::size_t kPanelOuts = 16;
constexpr std::size_t kPanelsMax = 4;
constexpr std::size_t kPanelRowsMax = 128;
constexpr std::size_t kPanelScratchBytes = 24 * 1024;
constexpr std::size_t kPanelSumsBytes = kPanelRowsMax * kPanelOuts * sizeof(float);

using PanelKernel = void (*)(const PanelTask&);

/// The fast kernel of this machine for weights as stored; null where there are no vector
/// instructions we know.
PanelKernel panel_kernel(TensorType type);
/// The same for weights in packed form (packed.h); null also for types that have none.
PanelKernel packed_kernel(TensorType type);

/// How many adjacent panels packed kernels of quantised types take at once at most; others take
/// one.
std::size_t packed_panels_together();

/// What follows a panel's sums; see Product. `y`, `bias` and `up_bias` begin at the panel's first
/// output, `y` at the task's first row.
struct PanelStore {
    const float* sums = nullptr;
    const float* up_sums = nullptr;
    const float* bias = nullptr;
    const float* up_bias = nullptr;
    float* y = nullptr;
    std::size_t y_stride = 0, rows = 0, outs = 0;
    Activation f = Activation::silu;
    bool add = false;
};
void store_panel(const PanelStore& store);

}  // namespace engine
