// BERT encoders: MiniLM, BGE and their kin for embeddings, cross-encoders for ranking.

#include "engine/graph/architecture.h"

namespace engine {
namespace {

base::Result<Pooling> read_pooling(const Hparams& h) {
    const auto mean = static_cast<std::uint32_t>(Pooling::mean);
    const std::uint32_t type = DG_TRY(h.count_or("pooling_type", mean, 0, 255));
    if (type == mean) return Pooling::mean;
    if (type == static_cast<std::uint32_t>(Pooling::cls)) return Pooling::cls;
    if (type == static_cast<std::uint32_t>(Pooling::rank)) return Pooling::rank;
    return base::fail_on(h.key("pooling_type"), base::Code::unimplemented,
                         "key {} is {}; known are 1 (mean), 2 (cls) and 4 (rank)",
                         h.key("pooling_type"), type);
}

}  // namespace

base::Result<EncoderConfig> describe_bert(const Hparams& h) {
    EncoderConfig c;
    c.architecture = h.architecture();
    c.layers = DG_TRY(h.count("block_count", 1024));
    c.dim = DG_TRY(h.count("embedding_length", 1u << 20));
    c.hidden_dim = c.out_dim = c.dim;
    c.heads = DG_TRY(h.count("attention.head_count", c.dim));
    if (c.dim % c.heads != 0) {
        return base::fail_on(h.key("attention.head_count"), base::Code::data_loss,
                             "key {} is {}; it must divide the width {}",
                             h.key("attention.head_count"), c.heads, c.dim);
    }
    c.ffn_dim = DG_TRY(h.count("feed_forward_length", 1u << 20));
    c.context_trained = DG_TRY(h.count("context_length", 1u << 20));
    c.vocab_size = DG_TRY(read_vocab_size(h));
    c.norm_eps = DG_TRY(h.real("attention.layer_norm_epsilon", 0.f, 1.f));
    c.norms = NormPlacement::after;
    c.activation = Activation::gelu_erf;
    c.pooling = DG_TRY(read_pooling(h));
    if (c.pooling == Pooling::rank) c.out_dim = 1;
    return c;
}

}  // namespace engine
