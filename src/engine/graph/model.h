#pragma once
// A model ready to compute: its file's description resolved to a graph with bound weights.

#include <cstdint>
#include <memory>

#include "base/core/result.h"
#include "engine/graph/decoder.h"
#include "engine/graph/encoder.h"
#include "engine/graph/tensor_set.h"
#include "engine/model_files/gguf.h"

namespace engine {

struct ModelLimits {
    std::uint32_t context_tokens_max = 0;  ///< 0 = the model's own, at most 8192
    std::uint32_t batch_rows_max = 256;    ///< rows of one decoder call
};

/// Exactly one of decoder and encoder is set. One thread at a time.
struct Model {
    std::unique_ptr<TensorSet> tensors;
    std::unique_ptr<Decoder> decoder;
    std::unique_ptr<Encoder> encoder;
    std::uint32_t context_tokens = 0;  ///< longest sequence or text
};

/// `file` must outlive the model. Errors: unimplemented (architecture or variant: named), data_loss
/// (key or tensor: named), invalid_argument (a longer context than the model was trained for).
base::Result<Model> load_model(const GgufFile& file, const ModelLimits& limits);

}  // namespace engine
