// A product is cut into panels of 16 outputs. Per panel, inputs go by in chunks: a chunk of the 16
// weight rows is unpacked into L1 once and applied to all activation rows of the task. With one row
// that is the whole cost of decoding; with many the unpacking is paid once for all of them.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/quantized_matmul.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/panel_dot-inl.h"
#include "engine/kernels/quantized_matmul.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
#pragma GCC target("avx512vnni")
#endif
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

PanelKernel ChoosePanelKernel(TensorType) {
    return nullptr;
}

#else

/// Blocks unpacked at a time: what fits the panel's share of the scratch, in whole stored blocks.
template <class Format>
constexpr std::size_t kChunkBlocks = kPanelScratchBytes / PanelLayout<Format>::kBytes / 8 * 8;

template <class Format>
void RunPanel(const PanelTask& task) {
    auto* panel = reinterpret_cast<std::uint8_t*>(task.scratch);
    std::fill_n(task.sums, task.rows * kPanel, 0.f);
    const std::size_t first_out = task.panel * kPanel;
    const std::size_t outs = std::min<std::size_t>(kPanel, task.w->rows() - first_out);
    const std::size_t bytes = row_bytes(task.w->type, task.w->dims[0]);
    const std::uint8_t* rows[kPanel];
    for (std::size_t o = 0; o < kPanel; ++o) {  // past the end, repeat the last row
        rows[o] = reinterpret_cast<const std::uint8_t*>(task.w->data) +
                  (first_out + std::min(o, outs - 1)) * bytes;
    }
    const std::uint8_t* ahead = task.next_follows ? rows[0] + kPanel * bytes : nullptr;
    const std::size_t blocks = task.x->blocks();
    for (std::size_t b = 0; b < blocks; b += kChunkBlocks<Format>) {
        const std::size_t chunk = std::min(kChunkBlocks<Format>, blocks - b);
        PackPanel<Format>(rows, b, chunk, ahead, panel);
        const UnpackedBlocks<Format> source[1] = {{panel}};
        DotRows(source, chunk, *task.x, b, task.first_row, task.rows, task.sums);
    }
}

PanelKernel ChoosePanelKernel(TensorType type) {
    return WithPanelFormat(type, []<class Format, TensorType>() -> PanelKernel {
        return RunPanel<Format>;  // floats: float_matmul.cc
    });
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

HWY_EXPORT(ChoosePanelKernel);

PanelKernel panel_kernel(TensorType type) {
    return HWY_DYNAMIC_DISPATCH(ChoosePanelKernel)(type);
}

}  // namespace engine
#endif  // HWY_ONCE
