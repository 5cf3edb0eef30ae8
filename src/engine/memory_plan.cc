#include "engine/memory_plan.h"

#include <algorithm>

#include "engine/packed_weights.h"

namespace engine {
namespace {

constexpr std::uint64_t kCachedPerRunning = 4;
constexpr std::uint64_t kKvBytesWhenUnknown = 1ull << 30;
/// A model that cannot hold so much of one conversation is refused rather than opened.
constexpr std::uint32_t kContextTokensUseful = 512;

std::uint64_t stored_bytes(std::span<const TensorView> tensors) {
    std::uint64_t bytes = 0;
    for (const TensorView& tensor : tensors) bytes += tensor.bytes();
    return bytes;
}

/// Packed matrices are read instead of their stored form, whose pages go back to the system.
std::uint64_t weights_bytes(std::span<TensorView* const> products, const GgufFile& file) {
    const auto planned = plan_packed(products, 0);
    std::uint64_t replaced = 0;
    for (const PlannedMatrix& matrix : planned) replaced += matrix.view->bytes();
    const std::uint64_t stored = stored_bytes(file.tensors());
    return packed_bytes_of(planned) + (stored > replaced ? stored - replaced : 0);
}

std::uint64_t scratch_bytes(const DecoderConfig& c, const EngineOptions& options) {
    const ExpertsConfig& e = c.experts;
    // Every expert that a row takes has its own hidden and output rows.
    const std::uint64_t experts =
        std::uint64_t{e.used} * (c.dim + e.ffn_dim) + (e.shared_ffn_dim > 0 ? c.dim : 0);
    // A row's state: of a step, of a pass in parts, normed, and what a block adds to it.
    const std::uint64_t row = std::uint64_t{c.dim} * 4 + std::uint64_t{c.q_dim()} * 2 +
                              std::uint64_t{c.kv_dim()} * 2 + std::uint64_t{c.ffn_dim} * 2 +
                              experts + e.shared_ffn_dim;
    const std::uint64_t quantized_row = c.dim + c.q_dim() + c.ffn_dim + experts + e.shared_ffn_dim;
    return options.batch_tokens_max * (row * sizeof(float) + quantized_row) +
           std::uint64_t{options.running_max} * c.vocab_size * sizeof(float);
}

std::uint64_t scratch_bytes(const EncoderConfig& c, std::uint64_t rows) {
    const std::uint64_t width = std::max(c.dim, c.hidden_dim);
    return rows * (width * 7 + c.ffn_dim) * sizeof(float);
}

std::uint64_t mib(std::uint64_t bytes) {
    return (bytes + (1u << 20) - 1) >> 20;
}

}  // namespace

MemoryNeed memory_need(Model& model, const GgufFile& file, const EngineOptions& options,
                       const MemoryBudget& budget) {
    MemoryNeed need;
    if (model.encoder != nullptr) {
        need.weights_bytes = weights_bytes(model.encoder->products(), file);
        // A text is never cut: the longest one is a pass of its own.
        need.scratch_bytes = scratch_bytes(
            model.encoder->config(), std::max(options.batch_tokens_max, model.context_tokens));
        return need;
    }
    need.weights_bytes = weights_bytes(model.decoder->products(), file);
    need.scratch_bytes = scratch_bytes(model.decoder->config(), options);
    const KvGeometry geometry = model.decoder->kv_geometry(options.kv_type);
    const std::uint64_t page = geometry.page_bytes();
    // All running sequences at their longest, and a few times that for what they leave behind.
    const std::uint64_t useful = std::uint64_t{geometry.pages_for(model.context_tokens)} *
                                 options.running_max * page *
                                 (options.prefix_cache ? kCachedPerRunning : 1);
    const std::uint64_t share = budget.total > 0 ? budget.total / 4 : kKvBytesWhenUnknown;
    const std::uint64_t wished = budget.kv > 0 ? budget.kv : share;
    need.kv_page_bytes = page;
    need.kv_bytes = std::min(wished, useful) / page * page;
    const std::uint32_t least = std::min(model.context_tokens, kContextTokensUseful);
    need.kv_bytes_least = std::min(std::uint64_t{geometry.pages_for(least)} * page,
                                   budget.kv > 0 ? std::max(need.kv_bytes, page) : UINT64_MAX);
    return need;
}

base::Result<std::uint32_t> plan_kv_pages(std::string_view model, const MemoryNeed& need,
                                          const MemoryBudget& budget) {
    const std::uint64_t page = need.kv_page_bytes;
    if (page > 0 && budget.kv > 0 && budget.kv < page) {
        return base::fail_on("kv_bytes_max", base::Code::resource_exhausted,
                             "one KV page of {} takes {} bytes and kv_bytes_max is {}; raise it",
                             model, page, budget.kv);
    }
    if (budget.total > 0 && need.least() > budget.total) {
        return base::fail_on(
            "memory", base::Code::resource_exhausted,
            "model {} needs {} MiB (weights {}, scratch {}, KV at least {}) and {} MiB can be "
            "had; free memory, raise the memory limit, or take a smaller model, quantization or "
            "context",
            model, mib(need.least()), mib(need.weights_bytes), mib(need.scratch_bytes),
            mib(need.kv_bytes_least), budget.total >> 20);
    }
    if (page == 0) return 0u;
    std::uint64_t bytes = std::max(need.kv_bytes, need.kv_bytes_least);
    if (budget.total > 0) {
        bytes = std::min(bytes, budget.total - need.weights_bytes - need.scratch_bytes);
    }
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes / page, UINT32_MAX));
}

}  // namespace engine
