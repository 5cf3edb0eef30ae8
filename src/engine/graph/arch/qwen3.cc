// Qwen 3: normed query and key heads instead of Qwen 2's biases.

#include "engine/graph/architecture.h"

namespace engine {

base::Result<DecoderConfig> describe_qwen3(const Hparams& h, std::uint32_t context_tokens) {
    DG_TRY(refuse_experts(h));
    DecoderConfig c = DG_TRY(read_decoder_basics(h, context_tokens));
    c.activation = Activation::silu;
    c.rope_pairing = RopePairing::halves;
    c.qk_norm = true;
    return c;
}

}  // namespace engine
