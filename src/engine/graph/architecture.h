#pragma once
// The list of model architectures, and what their descriptions share. A new one is a new file in
// arch/ with one function, and one line in architecture.cc.

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "base/core/result.h"
#include "engine/graph/decoder_config.h"
#include "engine/graph/encoder_config.h"
#include "engine/graph/hparams.h"
#include "engine/graph/tensor_set.h"

namespace engine {

/// `context_tokens` is what the engine will serve: longrope picks its table by it.
using DecoderDescription = base::Result<DecoderConfig> (*)(const Hparams&,
                                                           std::uint32_t context_tokens);
using EncoderDescription = base::Result<EncoderConfig> (*)(const Hparams&);

struct Architecture {
    std::string_view name;  ///< as in general.architecture
    std::variant<DecoderDescription, EncoderDescription> describe;
};

/// Errors: unimplemented (names the architecture and those that are known).
base::Result<Architecture> find_architecture(std::string_view name);

// One per file in arch/.
base::Result<DecoderConfig> describe_llama(const Hparams& hparams, std::uint32_t context_tokens);
base::Result<DecoderConfig> describe_qwen2(const Hparams& hparams, std::uint32_t context_tokens);
base::Result<DecoderConfig> describe_qwen3(const Hparams& hparams, std::uint32_t context_tokens);
base::Result<DecoderConfig> describe_qwen2moe(const Hparams& hparams, std::uint32_t context_tokens);
base::Result<DecoderConfig> describe_qwen3moe(const Hparams& hparams, std::uint32_t context_tokens);
base::Result<DecoderConfig> describe_olmoe(const Hparams& hparams, std::uint32_t context_tokens);
base::Result<DecoderConfig> describe_gemma3(const Hparams& hparams, std::uint32_t context_tokens);
base::Result<DecoderConfig> describe_phi3(const Hparams& hparams, std::uint32_t context_tokens);
base::Result<EncoderConfig> describe_bert(const Hparams& hparams);
base::Result<EncoderConfig> describe_use_lite(const Hparams& hparams);

/// Sizes, epsilon, head geometry and global RoPE, which every decoder family spells the same way.
base::Result<DecoderConfig> read_decoder_basics(const Hparams& hparams,
                                                std::uint32_t context_tokens);
/// Number and width of experts; count 0 when the file names none. Errors: data_loss; unimplemented
/// (a router that is not a softmax).
base::Result<ExpertsConfig> read_experts(const Hparams& hparams, std::uint32_t ffn_dim);
/// The same where the family cannot do without.
base::Result<ExpertsConfig> require_experts(const Hparams& hparams, std::uint32_t ffn_dim);
/// Errors: unimplemented, for a family that has no experts as far as we know.
base::Result<void> refuse_experts(const Hparams& hparams);
/// Rows of the embedding matrix: the vocabulary the weights know.
base::Result<std::uint32_t> read_vocab_size(const Hparams& hparams);
/// Every `period`th layer sees everything, the others `window` positions.
std::vector<std::uint32_t> windows_except_every(std::uint32_t period, std::uint32_t window,
                                                std::uint32_t layers);

}  // namespace engine
