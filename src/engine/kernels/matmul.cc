// matmul: which kernel serves a weight type, and how the work of some products is cut for the pool.

#include <algorithm>
#include <vector>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/float_matmul.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/product_plan.h"
#include "engine/kernels/quantized_matmul.h"
#include "engine/tensor/quantize.h"

namespace engine {
namespace {

/// Tasks per worker with few rows: a descheduled worker then holds back a quarter of its share.
constexpr std::size_t kTasksPerWorker = 4;
/// From so many rows on one panel is worth its hand-out.
constexpr std::size_t kManyRows = 32;
constexpr std::size_t kWorkerBytes = kPanelScratchBytes + 2 * kPanelsMax * kPanelSumsBytes;
/// With fewer rows, reading the weights takes longer than what sharing activations saves.
constexpr std::size_t kTogetherRows = 3;

std::size_t divide_up(std::size_t n, std::size_t by) {
    return (n + by - 1) / by;
}

bool stores_floats(TensorType type) {
    return block_shape(type).elements == 1;
}

float plain_dot(const QuantizedRows& x, std::size_t row, const float* weights) {
    float sum = 0;
    for (std::size_t b = 0; b < x.blocks(); ++b) {
        float block_sum = 0;
        for (std::size_t i = b * 32; i < b * 32 + 32; ++i) {
            block_sum += static_cast<float>(x.q[row * x.cols + i]) * weights[i];
        }
        sum += x.scale[row * x.blocks() + b] * block_sum;
    }
    return sum;
}

/// Where no vector kernel exists: dequantises each weight row.
void plain_panel(const PanelTask& task) {
    const std::size_t inputs = task.w->dims[0], first_out = task.panel * kPanelOuts;
    const std::size_t outs = std::min<std::size_t>(kPanelOuts, task.w->rows() - first_out);
    std::vector<float> weights(inputs);
    for (std::size_t o = 0; o < outs; ++o) {
        dequantize_row(*task.w, first_out + o, weights.data());
        for (std::size_t r = 0; r < task.rows; ++r) {
            const std::size_t row = task.first_row + r;
            float sum = 0;
            if (stores_floats(task.w->type)) {
                for (std::size_t i = 0; i < inputs; ++i) {
                    sum += task.floats[row * inputs + i] * weights[i];
                }
            } else {
                sum = plain_dot(*task.x, row, weights.data());
            }
            task.sums[r * kPanelOuts + o] = sum;
        }
    }
}

PanelKernel kernel_for(const TensorView& w) {
    PanelKernel kernel = nullptr;
    if (stores_floats(w.type)) {
        kernel = float_panel_kernel(w.type, w.packed != nullptr);
    } else {
        if (w.packed != nullptr) kernel = packed_kernel(w.type);
        if (kernel == nullptr) kernel = panel_kernel(w.type);
    }
    return kernel != nullptr ? kernel : plain_panel;
}

std::size_t panels_together(const TensorView& w) {
    const bool packed = w.packed != nullptr && !stores_floats(w.type);
    return packed ? packed_panels_together() : 1;
}

std::size_t panel_streams(const TensorView& w) {
    return w.packed != nullptr && stores_floats(w.type) ? float_panel_streams() : 1;
}

/// What a product reads and how many panels it has; how they are cut is still open.
ProductPlan plan_product(base::ThreadPool& pool, const Product& product) {
    Activations::Impl& x = product.x->impl();
    const TensorView& w = *product.w;
    DG_CHECK(x.cols == w.dims[0], "activations must be as wide as the weight's inputs");
    DG_CHECK(product.up == nullptr || product.up->dims == w.dims, "gate and up have one shape");
    ProductPlan plan;
    plan.product = &product;
    plan.rows = std::min(product.rows, x.rows - std::min(product.first_row, x.rows));
    if (plan.rows == 0 || w.rows() == 0) return plan;
    plan.kernel = kernel_for(w);
    const TensorView& other = product.up != nullptr ? *product.up : w;
    if (product.up != nullptr) plan.up_kernel = kernel_for(other);
    if (stores_floats(w.type) || stores_floats(other.type)) plan.floats = float_form(pool, x);
    if (!stores_floats(w.type) || !stores_floats(other.type)) {
        plan.quantized = &quantized_form(pool, x);
    }
    plan.panels = divide_up(w.rows(), kPanelOuts);
    if (plan.rows >= kTogetherRows) {
        plan.together = std::min(panels_together(w), panels_together(other));
    }
    if (plan.rows == 1) plan.streams = std::min(panel_streams(w), panel_streams(other));
    return plan;
}

void cut(std::vector<ProductPlan>& plans, std::size_t threads) {
    std::size_t panels = 0;
    for (const ProductPlan& plan : plans) {
        panels += plan.panels * divide_up(plan.rows, kPanelRowsMax);
    }
    const std::size_t share =
        std::max<std::size_t>(1, divide_up(panels, threads * kTasksPerWorker));
    std::size_t tasks = 0;
    for (ProductPlan& plan : plans) {
        plan.panels_per_task = plan.rows >= kManyRows ? std::min(plan.together, share) : share;
        plan.panel_runs = divide_up(plan.panels, plan.panels_per_task);
        tasks += plan.panel_runs * divide_up(plan.rows, kPanelRowsMax);
        plan.tasks_end = tasks;
    }
}

/// Panels [first, end) of one product for one run of rows.
void run_task(const ProductPlan& plan, std::size_t task, std::byte* memory) {
    const Product& product = *plan.product;
    PanelTask part;
    part.x = plan.quantized;
    part.floats = plan.floats;
    const std::size_t done = task / plan.panel_runs * kPanelRowsMax;
    part.first_row = product.first_row + done;
    part.rows = std::min(kPanelRowsMax, plan.rows - done);
    part.scratch = memory;
    PanelStore store;
    auto* sums = reinterpret_cast<float*>(memory + kPanelScratchBytes);
    constexpr std::size_t kSums = kPanelSumsBytes / sizeof(float);
    auto* up_sums = sums + kPanelsMax * kSums;
    store.y_stride = product.y_stride;
    store.rows = part.rows;
    store.f = product.f;
    store.add = product.add;
    const std::size_t first = task % plan.panel_runs * plan.panels_per_task;
    const std::size_t end = std::min(plan.panels, first + plan.panels_per_task);
    // Streams: as many equal stretches of panels, one panel of each at a time; then the rest.
    const std::size_t stretch = plan.streams > 1 ? (end - first) / plan.streams : 0;
    for (part.panel = first; part.panel < end;) {
        const bool streaming = part.panel < first + stretch;
        part.panels = streaming ? plan.streams : std::min(plan.together, end - part.panel);
        part.panel_step = streaming ? stretch : 1;
        part.next_follows = part.panel + 1 < end;
        part.w = product.w;
        part.sums = sums;
        plan.kernel(part);
        if (product.up != nullptr) {
            part.w = product.up;
            part.sums = up_sums;
            plan.up_kernel(part);
        }
        for (std::size_t p = 0; p < part.panels; ++p) {
            const std::size_t out = (part.panel + p * part.panel_step) * kPanelOuts;
            store.sums = sums + p * kSums;
            store.up_sums = product.up != nullptr ? up_sums + p * kSums : nullptr;
            store.bias = product.bias != nullptr ? product.bias + out : nullptr;
            store.up_bias = product.up_bias != nullptr ? product.up_bias + out : nullptr;
            store.y = product.y + part.first_row * product.y_stride + out;
            store.outs = std::min<std::size_t>(kPanelOuts, product.w->rows() - out);
            store_panel(store);
        }
        part.panel += streaming ? 1 : part.panels;
        if (streaming && part.panel == first + stretch) part.panel = first + plan.streams * stretch;
    }
}

}  // namespace

void matmul_all(base::ThreadPool& pool, std::span<const Product> products) {
    if (products.empty()) return;
    Activations::Impl& memory = products.front().x->impl();
    std::vector<ProductPlan>& plans = memory.plans;
    plans.clear();
    for (const Product& product : products) {
        const ProductPlan plan = plan_product(pool, product);
        if (plan.panels > 0) plans.push_back(plan);
    }
    if (plans.empty()) return;
    cut(plans, pool.threads());
    memory.scratch.resize(std::max(memory.scratch.size(), pool.threads()));
    for (AlignedBuffer& buffer : memory.scratch) buffer.reserve(kWorkerBytes);
    pool.run(plans.back().tasks_end, [&](std::size_t task, std::size_t worker) {
        const auto plan =
            std::ranges::upper_bound(plans, task, std::less<>(), &ProductPlan::tasks_end);
        const std::size_t before = plan == plans.begin() ? 0 : std::prev(plan)->tasks_end;
        run_task(*plan, task - before, memory.scratch[worker].reserve(kWorkerBytes));
    });
}

void matmul(base::ThreadPool& pool, const TensorView& w, Activations& x, float* y,
            std::size_t y_stride) {
    Product product;
    product.w = &w;
    product.x = &x;
    product.y = y;
    product.y_stride = y_stride;
    matmul_all(pool, std::span(&product, 1));
}

void dequantize_row(const TensorView& w, std::size_t row, float* out) {
    dequantize_row(w.type, w.data + row * row_bytes(w.type, w.dims[0]), w.dims[0], out);
}

}  // namespace engine
