// matmul: which kernel serves a weight type, and how its work is cut for the pool.

#include <algorithm>
#include <vector>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/float_matmul.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/quantized_matmul.h"
#include "engine/tensor/quantize.h"

namespace engine {
namespace {

/// Tasks per worker with few rows: a descheduled worker then holds back a quarter of its share.
constexpr std::size_t kTasksPerWorker = 4;
/// From so many rows on a task is worth its hand-out with few outputs.
constexpr std::size_t kManyRows = 32;

std::size_t divide_up(std::size_t n, std::size_t by) {
    return (n + by - 1) / by;
}

struct Product {
    const TensorView& w;
    Activations::Impl& x;
    float* y;
    std::size_t y_stride;

    std::size_t weight_row_bytes() const { return row_bytes(w.type, w.dims[0]); }
    /// How many of `groups` equal groups of outputs make one task.
    std::size_t groups_per_task(std::size_t groups, std::size_t threads) const {
        return x.rows >= kManyRows ? 1 : divide_up(groups, threads * kTasksPerWorker);
    }
};

/// `weights`: what `kernel` reads, the stored or the packed form.
void run_panels(base::ThreadPool& pool, PanelKernel kernel, const std::byte* weights,
                const Product& product) {
    Activations::Impl& x = product.x;
    const QuantizedRows& rows = quantized_form(pool, x);
    const std::size_t panels = divide_up(product.w.rows(), kPanelOuts);
    const std::size_t panels_per_task = product.groups_per_task(panels, pool.threads());
    const std::size_t panel_runs = divide_up(panels, panels_per_task);
    const std::size_t row_runs = divide_up(x.rows, kPanelRowsMax);
    x.scratch.resize(std::max(x.scratch.size(), pool.threads()));
    for (AlignedBuffer& buffer : x.scratch) buffer.reserve(kPanelScratchBytes);
    pool.run(panel_runs * row_runs, [&](std::size_t task, std::size_t worker) {
        PanelTask part;
        part.weights = weights;
        part.row_bytes = product.weight_row_bytes();
        part.outs = product.w.rows();
        part.x = &rows;
        part.first_row = task / panel_runs * kPanelRowsMax;
        part.rows = std::min(kPanelRowsMax, x.rows - part.first_row);
        part.y = product.y;
        part.y_stride = product.y_stride;
        part.scratch = x.scratch[worker].reserve(kPanelScratchBytes);
        const std::size_t first = task % panel_runs * panels_per_task;
        const std::size_t end = std::min(panels, first + panels_per_task);
        for (part.panel = first; part.panel < end; ++part.panel) {
            part.next_follows = part.panel + 1 < end;
            kernel(part);
        }
    });
}

void run_floats(base::ThreadPool& pool, const Product& product) {
    constexpr std::size_t kGroup = 16;
    const std::size_t outs = product.w.rows();
    const std::size_t per_task =
        product.groups_per_task(divide_up(outs, kGroup), pool.threads()) * kGroup;
    pool.run(divide_up(outs, per_task), [&](std::size_t task, std::size_t) {
        float_matmul({product.w.type, product.w.data, product.x.cols, task * per_task,
                      std::min(outs, (task + 1) * per_task), product.x.x, product.x.rows, product.y,
                      product.y_stride});
    });
}

/// Quantised weights where no vector kernel exists: dequantises each weight row.
void run_plain(base::ThreadPool& pool, const Product& product) {
    const QuantizedRows& rows = quantized_form(pool, product.x);
    pool.run(product.w.rows(), [&](std::size_t o, std::size_t) {
        std::vector<float> weights(rows.cols);
        dequantize_row(product.w, o, weights.data());
        for (std::size_t r = 0; r < product.x.rows; ++r) {
            float sum = 0;
            for (std::size_t b = 0; b < rows.blocks(); ++b) {
                float block_sum = 0;
                for (std::size_t i = b * 32; i < b * 32 + 32; ++i) {
                    block_sum += static_cast<float>(rows.q[r * rows.cols + i]) * weights[i];
                }
                sum += rows.scale[r * rows.blocks() + b] * block_sum;
            }
            product.y[r * product.y_stride + o] = sum;
        }
    });
}

bool stores_floats(TensorType type) {
    return block_shape(type).elements == 1;
}

}  // namespace

Activations::Activations() : impl_(std::make_unique<Impl>()) {}
Activations::~Activations() = default;
Activations::Activations(Activations&&) noexcept = default;
Activations& Activations::operator=(Activations&&) noexcept = default;

void Activations::assign(const float* x, std::size_t rows, std::size_t cols) {
    impl_->x = x;
    impl_->rows = rows;
    impl_->cols = cols;
    impl_->quantized = false;
}

void matmul(base::ThreadPool& pool, const TensorView& w, Activations& x, float* y,
            std::size_t y_stride) {
    const Product product{w, x.impl(), y, y_stride};
    DG_CHECK(product.x.cols == w.dims[0], "activations must be as wide as the weight's inputs");
    if (product.x.rows == 0 || w.rows() == 0) return;
    if (stores_floats(w.type)) return run_floats(pool, product);
    const PanelKernel packed = w.packed != nullptr ? packed_kernel(w.type) : nullptr;
    if (packed != nullptr) return run_panels(pool, packed, w.packed, product);
    if (const PanelKernel kernel = panel_kernel(w.type)) {
        return run_panels(pool, kernel, w.data, product);
    }
    run_plain(pool, product);
}

void dequantize_row(const TensorView& w, std::size_t row, float* out) {
    dequantize_row(w.type, w.data + row * row_bytes(w.type, w.dims[0]), w.dims[0], out);
}

}  // namespace engine
