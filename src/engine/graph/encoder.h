#pragma once
// The forward pass of every bidirectional text encoder: tokens of some texts in, one vector for
// each out. Rows of all texts lie one after the other without padding; only attention sees texts.

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

/// A text, or two that are to be seen together (a query and a document).
struct EncoderText {
    std::span<const std::int32_t> tokens;
    std::size_t second_at = SIZE_MAX;  ///< first token of the second one
};

class Encoder {
public:
    /// Binds the weights. `tensors` (and what it views) must outlive the encoder. Errors:
    /// data_loss, unimplemented (name the tensor).
    static base::Result<std::unique_ptr<Encoder>> create(EncoderConfig config, TensorSet& tensors);
    ~Encoder();

    const EncoderConfig& config() const { return config_; }

    /// The matrices that rows are multiplied with, for their `packed` to be set.
    std::vector<TensorView*> products();

    bool ranks() const { return config_.pooling == Pooling::rank; }
    /// One vector per text: [out_dim] of Euclidean length 1, or [1], a score, when this ranks. The
    /// same bits whatever texts come along. Pre: each has 1 to context_trained tokens, all in the
    /// vocabulary.
    std::vector<std::vector<float>> run(base::ThreadPool& pool, std::span<const EncoderText> texts);

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

    base::Result<void> bind_head(TensorSet& tensors);

    void embed_tokens(base::ThreadPool& pool, std::span<const EncoderText> texts);
    void add_position(float* row, std::size_t position);
    void attend(base::ThreadPool& pool, std::span<const EncoderText> texts, std::size_t tokens,
                const Layer& layer);
    void feed_forward(base::ThreadPool& pool, std::size_t tokens, const Layer& layer);
    std::vector<std::vector<float>> pool_texts(base::ThreadPool& pool,
                                               std::span<const EncoderText> texts);
    void apply_head(base::ThreadPool& pool, const Linear& head, std::vector<float>& rows,
                    std::size_t count);
    void normalise(base::ThreadPool& pool, float* y, const float* x, const Norm& norm,
                   std::size_t rows, std::size_t dim) const;
    void project(base::ThreadPool& pool, float* y, const Linear& linear, Activations& x,
                 std::size_t rows) const;

    EncoderConfig config_;
    TensorView embedding_;
    TensorView positions_;                   ///< learned, one row per position; BERT
    const float* inv_timescales_ = nullptr;  ///< [dim / 2]; sines and cosines; USE
    /// Rows 0 and 1 of the type table, for the first and the second text; a table of one row serves
    /// both.
    std::vector<float> token_type_, second_type_;
    Norm embedding_norm_;
    Linear pooler_;  ///< tanh of a projection; no data when absent
    Linear score_;   ///< of models that rank
    std::vector<Layer> layers_;
    std::unique_ptr<Scratch> scratch_;
};

}  // namespace engine
