#pragma once
// Tensor names and value changes from a Hugging Face style checkpoint to GGUF.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "engine/model_files/source_model.h"

namespace engine {

/// What the checkpoint's family does to its tensors.
struct TensorRules {
    std::string architecture;  ///< as in the GGUF
    std::uint32_t heads = 0, kv_heads = 0;
    bool permute_qk = false;       ///< llama: rotary halves become adjacent pairs
    bool norms_plus_one = false;   ///< gemma: stored norms are offsets from one
    bool tied_embeddings = false;  ///< lm_head, when stored, repeats the embedding
    bool ranks = false;            ///< bert: pooler and classifier are a cross-encoder's head
};

/// The GGUF name; empty for tensors that are left out (position ids, poolers, vision towers);
/// nothing for a name the family does not have.
std::optional<std::string> gguf_tensor_name(std::string_view hf_name, const TensorRules& rules);

/// All tensors in output order: globals, then layer by layer. Errors: unimplemented (a tensor that
/// the family does not have, a dtype: named), data_loss (shape does not fit: named).
base::Result<std::vector<SourceTensor>> map_tensors(const Safetensors& weights,
                                                    const TensorRules& rules);

}  // namespace engine
