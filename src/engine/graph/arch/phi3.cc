// Phi 3 and 3.5, mini and medium: Llama's shape with Q, K, V in one matrix and gate and up in
// another; long-context versions carry longrope factors.

#include "engine/graph/architecture.h"

namespace engine {

base::Result<DecoderConfig> describe_phi3(const Hparams& h, std::uint32_t context_tokens) {
    DG_TRY(refuse_experts(h));
    DecoderConfig c = DG_TRY(read_decoder_basics(h, context_tokens));
    c.activation = Activation::silu;
    c.rope_pairing = RopePairing::halves;
    c.fused_gate_up = true;
    // attention.sliding_window is not read: converters have stored wrong values for this family,
    // and a window that is too small loses more than one that is missing.
    return c;
}

}  // namespace engine
