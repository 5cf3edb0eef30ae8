// Universal Sentence Encoder lite (Cer et al. 2018), in the GGUF form that model_files/README.md
// defines: two pre-norm layers, the first of which widens, then tanh of a projection of the mean.

#include "engine/graph/architecture.h"

namespace engine {

base::Result<EncoderConfig> describe_use_lite(const Hparams& h) {
    constexpr std::uint32_t kWidthMax = 1u << 16;
    EncoderConfig c;
    c.architecture = h.architecture();
    c.layers = DG_TRY(h.count("block_count", 64));
    c.dim = DG_TRY(h.count("embedding_length", kWidthMax));
    c.hidden_dim = DG_TRY(h.count("hidden_length", kWidthMax));
    c.out_dim = DG_TRY(h.count("embedding_length_out", kWidthMax));
    c.heads = DG_TRY(h.count("attention.head_count", c.dim));
    if (c.dim % c.heads != 0 || c.hidden_dim % c.heads != 0) {
        return base::fail_on(h.key("attention.head_count"), base::Code::data_loss,
                             "key {} is {}; it must divide the widths {} and {}",
                             h.key("attention.head_count"), c.heads, c.dim, c.hidden_dim);
    }
    c.ffn_dim = DG_TRY(h.count("feed_forward_length", kWidthMax));
    c.context_trained = DG_TRY(h.count("context_length", 1u << 20));
    c.vocab_size = DG_TRY(read_vocab_size(h));
    c.norm_eps = DG_TRY(h.real("attention.layer_norm_epsilon", 0.f, 1.f));
    c.embedding_scale = DG_TRY(h.real("embedding_scale", -1e6f, 1e6f));
    c.norms = NormPlacement::before;
    c.activation = Activation::relu;
    c.pooling = Pooling::mean;
    return c;
}

}  // namespace engine
