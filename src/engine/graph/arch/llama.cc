// Llama 1 to 3, and those who kept its shape: SmolLM2, TinyLlama, Mistral, Mixtral.

#include "engine/graph/architecture.h"

namespace engine {

base::Result<DecoderConfig> describe_llama(const Hparams& h, std::uint32_t context_tokens) {
    DecoderConfig c = DG_TRY(read_decoder_basics(h, context_tokens));
    c.activation = Activation::silu;
    c.rope_pairing = RopePairing::adjacent;  // GGUF files permute Q and K for it
    const std::uint32_t window =
        DG_TRY(h.count_or("attention.sliding_window", 0, 0, UINT32_MAX));  // Mistral 7B v0.1
    if (window > 0) c.window.assign(c.layers, window);
    c.experts = DG_TRY(read_experts(h, c.ffn_dim));  // Mixtral
    // Every expert is as wide as a dense block would be.
    if (!h.has("expert_feed_forward_length")) c.experts.ffn_dim = c.ffn_dim;
    c.experts.normalise = true;
    return c;
}

}  // namespace engine
