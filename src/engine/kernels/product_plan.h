#pragma once
// How one product of matmul_all is cut: into runs of panels times runs of rows. Private to
// matmul.cc; Activations keep the memory of the plans.

#include <cstddef>

#include "engine/kernels/kernels.h"
#include "engine/kernels/quantized_matmul.h"

namespace engine {

struct ProductPlan {
    const Product* product = nullptr;
    PanelKernel kernel = nullptr, up_kernel = nullptr;
    const QuantizedRows* quantized = nullptr;  ///< null: no kernel wants it
    const float* floats = nullptr;             ///< likewise
    std::size_t rows = 0;
    std::size_t together = 1;  ///< adjacent panels that both kernels can compute at once
    std::size_t streams = 1;   ///< distant ones that both kernels read side by side
    std::size_t panels = 0, panels_per_task = 0, panel_runs = 0;
    std::size_t tasks_end = 0;  ///< of this product, counted from the first one's
};

}  // namespace engine
