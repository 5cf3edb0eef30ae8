// OLMoE: queries and keys are normed over all heads together; the router's weights stay as the
// softmax over all experts gave them.

#include "engine/graph/architecture.h"

namespace engine {

base::Result<DecoderConfig> describe_olmoe(const Hparams& h, std::uint32_t context_tokens) {
    DecoderConfig c = DG_TRY(read_decoder_basics(h, context_tokens));
    c.activation = Activation::silu;
    c.rope_pairing = RopePairing::halves;
    c.qk_norm = true;
    c.qk_norm_whole = true;
    c.experts = DG_TRY(require_experts(h, c.ffn_dim));
    c.experts.ffn_dim = c.ffn_dim;  // its feed_forward_length is an expert's
    return c;
}

}  // namespace engine
