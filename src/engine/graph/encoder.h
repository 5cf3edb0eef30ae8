#pragma once
// The forward pass of every bidirectional text encoder: tokens of one text in, one vector out.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "engine/graph/encoder_config.h"
#include "engine/graph/tensor_set.h"
#include "engine/kernels/kernels.h"
#include "engine/tensor/tensor_view.h"

namespace base {
class ThreadPool;
}

namespace engine {

/// Divides by the Euclidean length; a zero vector stays zero.
void normalise_length(std::span<float> vector);

class Encoder {
public:
    /// Binds the weights. `tensors` (and what it views) must outlive the encoder. Errors:
    /// data_loss, unimplemented (name the tensor).
    static base::Result<std::unique_ptr<Encoder>> create(EncoderConfig config, TensorSet& tensors);
    ~Encoder();

    const EncoderConfig& config() const { return config_; }

    /// The matrices that rows are multiplied with, for their `packed` to be set.
    std::vector<TensorView*> products();

    /// [out_dim], of Euclidean length 1. Pre: 1 to context_trained tokens, all in the vocabulary.
    std::vector<float> embed(base::ThreadPool& pool, std::span<const std::int32_t> tokens);

private:
    struct Norm {
        const float* weight = nullptr;
        const float* bias = nullptr;
    };
    struct Linear {
        TensorView weight;
        const float* bias = nullptr;
    };
    struct Layer;
    struct Scratch;

    explicit Encoder(EncoderConfig config);
    base::Result<void> bind(TensorSet& tensors);
    base::Result<void> bind_layer(TensorSet& tensors, std::uint32_t index);
    base::Result<void> bind_qkv(TensorSet& tensors, const std::string& prefix, Layer& layer);

    void embed_tokens(base::ThreadPool& pool, std::span<const std::int32_t> tokens);
    void add_position(float* row, std::size_t position) const;
    void attend(base::ThreadPool& pool, std::size_t tokens, const Layer& layer);
    void feed_forward(base::ThreadPool& pool, std::size_t tokens, const Layer& layer);
    std::vector<float> pool_tokens(base::ThreadPool& pool, std::size_t tokens);
    void normalise(base::ThreadPool& pool, float* y, const float* x, const Norm& norm,
                   std::size_t rows, std::size_t dim) const;
    void project(base::ThreadPool& pool, float* y, const Linear& linear, Activations& x,
                 std::size_t rows) const;

    EncoderConfig config_;
    TensorView embedding_;
    TensorView positions_;                   ///< learned, one row per position; BERT
    const float* inv_timescales_ = nullptr;  ///< [dim / 2]; sines and cosines; USE
    std::vector<float> token_type_;          ///< row 0 of the type table: "sentence A"
    Norm embedding_norm_;
    Linear pooler_;  ///< tanh of a projection; no data when absent
    std::vector<Layer> layers_;
    std::unique_ptr<Scratch> scratch_;
};

}  // namespace engine
