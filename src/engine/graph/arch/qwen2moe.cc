// Qwen 1.5 and 2 with experts: Qwen 2's attention; beside the chosen experts one that every row
// takes, under a gate of its own. The router's weights stay as the softmax over all gave them.

#include "engine/graph/architecture.h"

namespace engine {

base::Result<DecoderConfig> describe_qwen2moe(const Hparams& h, std::uint32_t context_tokens) {
    DecoderConfig c = DG_TRY(read_decoder_basics(h, context_tokens));
    c.activation = Activation::silu;
    c.rope_pairing = RopePairing::halves;
    c.experts = DG_TRY(require_experts(h, c.ffn_dim));
    c.experts.shared_ffn_dim =
        DG_TRY(h.count_or("expert_shared_feed_forward_length", c.ffn_dim, 1, 1u << 20));
    return c;
}

}  // namespace engine
