// Qwen 2 and 2.5: Llama's shape with biases on Q, K and V.

#include "engine/graph/architecture.h"

namespace engine {

base::Result<DecoderConfig> describe_qwen2(const Hparams& h, std::uint32_t context_tokens) {
    DG_TRY(refuse_experts(h));
    DecoderConfig c = DG_TRY(read_decoder_basics(h, context_tokens));
    c.activation = Activation::silu;
    c.rope_pairing = RopePairing::halves;
    return c;  // the biases are bound where the file has them
}

}  // namespace engine
