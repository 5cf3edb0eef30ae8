// Qwen 3 with experts: Qwen 3's attention; the chosen experts' weights sum to 1.

#include "engine/graph/architecture.h"

namespace engine {

base::Result<DecoderConfig> describe_qwen3moe(const Hparams& h, std::uint32_t context_tokens) {
    DecoderConfig c = DG_TRY(read_decoder_basics(h, context_tokens));
    c.activation = Activation::silu;
    c.rope_pairing = RopePairing::halves;
    c.qk_norm = true;
    c.experts = DG_TRY(require_experts(h, c.ffn_dim));
    c.experts.normalise = true;
    return c;
}

}  // namespace engine
