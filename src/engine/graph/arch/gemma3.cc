// Gemma 3, text part: five layers with a sliding window and their own RoPE base to each global one,
// norms before and after every block, scaled embeddings.

#include <cmath>

#include "engine/graph/architecture.h"

namespace engine {
namespace {

base::Result<std::vector<std::uint32_t>> read_windows(const Hparams& h, std::uint32_t layers) {
    const std::uint32_t window = DG_TRY(h.count_or("attention.sliding_window", 0, 0, UINT32_MAX));
    if (window == 0) return std::vector<std::uint32_t>();
    const std::string key = h.key("attention.sliding_window_pattern");
    const GgufEntry* entry = h.file().find(key);
    if (entry == nullptr || entry->type != GgufType::array) {
        const std::uint32_t period =
            DG_TRY(h.count_or("attention.sliding_window_pattern", 6, 1, 1024));
        return windows_except_every(period, window, layers);
    }
    return base::fail_on(key, base::Code::unimplemented,
                         "key {} lists layers one by one; only a period is supported", key);
}

}  // namespace

base::Result<DecoderConfig> describe_gemma3(const Hparams& h, std::uint32_t context_tokens) {
    DG_TRY(refuse_experts(h));
    DecoderConfig c = DG_TRY(read_decoder_basics(h, context_tokens));
    c.activation = Activation::gelu_tanh;
    c.rope_pairing = RopePairing::halves;
    c.qk_norm = true;
    c.post_norms = true;
    c.embedding_scale = std::sqrt(static_cast<float>(c.dim));
    constexpr std::uint32_t kLayersOf27B = 62;  // scales by width per head instead; no key says so
    if (c.layers == kLayersOf27B) {
        c.attention_scale = 1.f / std::sqrt(static_cast<float>(c.dim / c.heads));
    }
    c.window = DG_TRY(read_windows(h, c.layers));
    // Local layers keep the base Gemma 2 was trained with, and no scaling.
    c.rope_local.rot_dim = c.rope.rot_dim;
    c.rope_local.base = DG_TRY(h.real_or("rope.freq_base_swa", 10'000.f, 1.f, 1e30f));
    return c;
}

}  // namespace engine
