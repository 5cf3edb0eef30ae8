#pragma once
// The forward pass of every decoder-only model. One call takes rows of several sequences at once:
// chunks of prompts and single decode rows side by side. A row's result does not depend on which
// rows come along.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/core/result.h"
#include "engine/graph/batch_row.h"
#include "engine/graph/decoder_config.h"
#include "engine/graph/pass_in_parts.h"
#include "engine/graph/tensor_set.h"
#include "engine/graph/weight_gate.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/page_rotations.h"
#include "engine/kv/kv_sequence.h"
#include "engine/tensor/tensor_view.h"

namespace base {
class ThreadPool;
}

namespace engine {

class Decoder {
public:
    /// Binds the weights. `tensors` (and what it views) must outlive the decoder. Errors:
    /// data_loss, unimplemented (name the tensor).
    static base::Result<std::unique_ptr<Decoder>> create(DecoderConfig config, TensorSet& tensors,
                                                         std::uint32_t rows_max);
    ~Decoder();

    const DecoderConfig& config() const { return config_; }
    KvGeometry kv_geometry(KvType type = KvType::f16) const {
        return {.layers = config_.layers,
                .kv_heads = config_.kv_heads,
                .head_dim = config_.head_dim,
                .type = type};
    }

    /// Passes wait there for each layer's weights. Null: all are there.
    void set_gate(const WeightGate* gate) { gate_ = gate; }
    /// The matrices that rows are multiplied with, for their `packed` to be set.
    std::vector<TensorView*> products();

    /// Of the weights that one row reads: what part the logits take.
    double output_share() const;

    /// Logits [rows that want output][vocab_size], in row order; writable, valid until the next
    /// call. Pre: rows.size() <= rows_max, token ids are in the vocabulary.
    std::span<float> logits(base::ThreadPool& pool, std::span<const BatchRow> rows);
    /// The same rows' hidden states after the last norm, [rows that want output][dim].
    std::span<float> hidden_states(base::ThreadPool& pool, std::span<const BatchRow> rows);

    /// Two for each layer: attention, then the rest.
    std::uint32_t parts() const { return 2 * config_.layers; }
    /// Starts a pass over `rows` that goes part by part; `pass` forgets what it held. Pre:
    /// 0 < rows.size() <= pass.rows_max(); otherwise as logits().
    void begin(base::ThreadPool& pool, PassInParts& pass, std::span<const BatchRow> rows);
    /// Computes the next part. What each row gets is bit for bit what a whole pass gives it,
    /// whatever other passes ran since the last part. Pre: !pass.done(), no row's sequence lost or
    /// moved a page since begin().
    void advance(base::ThreadPool& pool, PassInParts& pass);
    /// Computes the next part of two passes at once: each weight is read once for the rows of both,
    /// which get the bits they get apart. Pre: both are at the same part, which neither ends
    /// before, and their rows together are no more than pass.rows_max().
    void advance(base::ThreadPool& pool, PassInParts& pass, PassInParts& other);
    /// As logits(rows), of a pass that is done.
    std::span<float> logits(base::ThreadPool& pool, PassInParts& pass);

private:
    struct Expert;
    struct Layer;
    struct ExpertScratch;
    struct Scratch;
    Decoder(DecoderConfig config, std::uint32_t rows_max);
    void allocate_scratch();
    void allocate_expert_scratch();
    base::Result<void> bind(TensorSet& tensors);
    base::Result<void> bind_layer(TensorSet& tensors, std::uint32_t index);
    base::Result<void> bind_attention(TensorSet& tensors, const std::string& prefix, Layer& layer);
    base::Result<void> bind_ffn(TensorSet& tensors, const std::string& prefix, Layer& layer);
    base::Result<void> bind_experts(TensorSet& tensors, const std::string& prefix, Layer& layer);
    base::Result<void> bind_fused_qkv(TensorSet& tensors, const std::string& prefix, Layer& layer);

    std::size_t run_layers(base::ThreadPool& pool, std::span<const BatchRow> rows);
    void embed(base::ThreadPool& pool, std::span<const BatchRow> rows);
    void place(std::span<const BatchRow> rows);
    std::size_t attend(base::ThreadPool& pool, std::span<const BatchRow> rows, std::uint32_t layer);
    void norm_outputs(base::ThreadPool& pool, std::size_t count);
    std::span<float> predict(base::ThreadPool& pool, std::size_t count);
    void store_keys_and_values(base::ThreadPool& pool, std::span<const BatchRow> rows,
                               std::uint32_t layer);
    std::size_t drop_unwanted_rows(std::span<const BatchRow> rows);
    void add_attended(base::ThreadPool& pool, std::size_t count, const Layer& layer);
    void add_projected(base::ThreadPool& pool, const TensorView& w, const float* bias,
                       Activations& x, std::size_t count, const float* post_norm);
    void feed_forward(base::ThreadPool& pool, std::size_t count, const Layer& layer);
    void run_dense(base::ThreadPool& pool, std::size_t count, const Layer& layer);
    void run_experts(base::ThreadPool& pool, std::size_t count, const Layer& layer);
    void route(base::ThreadPool& pool, std::size_t count, const Layer& layer);
    void plan_expert_products(const Layer& layer, bool down);
    void add_expert_outputs(base::ThreadPool& pool, std::size_t count, const Layer& layer);

    void wait_for_weights(std::uint32_t stage) const {
        if (gate_ != nullptr) gate_->wait(stage);
    }

    DecoderConfig config_;
    std::uint32_t rows_max_;
    const WeightGate* gate_ = nullptr;
    TensorView embedding_, output_;
    const float* output_norm_ = nullptr;
    const float* output_bias_ = nullptr;
    std::vector<Layer> layers_;
    RopeTable rope_, rope_local_;
    PageRotations rotations_, rotations_local_;
    std::unique_ptr<Scratch> scratch_;
};

}  // namespace engine
