// Finds a decoder's weights in a file under the names GGUF gives them.

#include <fmt/format.h>

#include <utility>

#include "engine/graph/decoder_weights.h"

namespace engine {

Decoder::Decoder(DecoderConfig config, std::uint32_t rows_max)
    : config_(std::move(config)), rows_max_(rows_max), scratch_(std::make_unique<Scratch>()) {
    rope_ = make_rope_table(config_.rope);
    rope_local_ = config_.rope_local.rot_dim == 0 ? rope_ : make_rope_table(config_.rope_local);
    const std::uint32_t page_tokens = kv_geometry().page_tokens;
    rotations_ = PageRotations(rope_.inv_freq, config_.rope_pairing, page_tokens);
    rotations_local_ = PageRotations(rope_local_.inv_freq, config_.rope_pairing, page_tokens);
}

Decoder::~Decoder() = default;

void Decoder::allocate_scratch() {
    const std::size_t rows = rows_max_;
    Scratch& s = *scratch_;
    s.x.resize(rows * config_.dim);
    s.normed.resize(rows * config_.dim);
    s.block_out.resize(rows * config_.dim);
    s.q.resize(rows * config_.q_dim());
    s.k.resize(rows * config_.kv_dim());
    s.v.resize(rows * config_.kv_dim());
    s.attended.resize(rows * config_.q_dim());
    if (config_.experts.count == 0) s.gate.resize(rows * config_.ffn_dim);
    s.page_offsets.reserve(rows);
    s.attention.reserve(rows);
    if (config_.experts.count > 0) allocate_expert_scratch();
}

void Decoder::allocate_expert_scratch() {
    const ExpertsConfig& experts = config_.experts;
    const std::size_t rows = rows_max_, pairs = rows * experts.used;
    ExpertScratch& e = scratch_->experts;
    e.router_logits.resize(rows * experts.count);
    e.choices.resize(pairs);
    e.first_pair.resize(experts.count + 1);
    e.row_of.resize(pairs);
    e.pair_of.resize(pairs);
    e.hidden.resize(pairs * experts.ffn_dim);
    e.out.resize(pairs * config_.dim);
    if (experts.shared_ffn_dim > 0) {
        e.shared_weights.resize(rows);
        e.shared_gate.resize(rows * experts.shared_ffn_dim);
        e.shared_out.resize(rows * config_.dim);
    }
    e.terms.reserve(pairs + rows);
    e.products.reserve(experts.count + 1);
}

base::Result<std::unique_ptr<Decoder>> Decoder::create(DecoderConfig config, TensorSet& tensors,
                                                       std::uint32_t rows_max) {
    std::unique_ptr<Decoder> decoder(new Decoder(std::move(config), rows_max));
    DG_TRY(decoder->bind(tensors));
    decoder->allocate_scratch();  // after binding: now the widths are those of tensors in the file
    return decoder;
}

std::vector<TensorView*> Decoder::products() {
    std::vector<TensorView*> matrices;
    const auto put = [&](TensorView& w) {
        if (w.data != nullptr) matrices.push_back(&w);
    };
    for (Layer& l : layers_) {
        for (TensorView* w : {&l.q, &l.k, &l.v, &l.attn_out, &l.gate, &l.up, &l.down, &l.router,
                              &l.shared_router}) {
            put(*w);
        }
        for (Expert& expert : l.experts) {
            for (TensorView* w : {&expert.gate, &expert.up, &expert.down}) put(*w);
        }
    }
    matrices.push_back(&output_);
    return matrices;
}

double Decoder::output_share() const {
    const auto bytes = [](const TensorView& w) {
        return w.data == nullptr ? 0.
                                 : static_cast<double>(row_bytes(w.type, w.dims[0]) * w.rows());
    };
    double layers = 0.;
    for (const Layer& l : layers_) {
        for (const TensorView* w : {&l.q, &l.k, &l.v, &l.attn_out, &l.gate, &l.up, &l.down}) {
            layers += bytes(*w);
        }
        if (l.experts.empty()) continue;
        const Expert& any = l.experts.front();
        layers += config_.experts.used * (bytes(any.gate) + bytes(any.up) + bytes(any.down));
    }
    return bytes(output_) / (bytes(output_) + layers);
}

base::Result<void> Decoder::bind(TensorSet& tensors) {
    embedding_ = DG_TRY(tensors.matrix("token_embd.weight", {config_.dim, config_.vocab_size}));
    // Without an output matrix the model multiplies by its embeddings once more.
    output_ = tensors.has("output.weight")
                  ? DG_TRY(tensors.matrix("output.weight", {config_.dim, config_.vocab_size}))
                  : embedding_;
    output_norm_ = DG_TRY(tensors.vector("output_norm.weight", config_.dim));
    output_bias_ = DG_TRY(tensors.optional_vector("output.bias", config_.vocab_size));
    layers_.resize(config_.layers);
    for (std::uint32_t i = 0; i < config_.layers; ++i) DG_TRY(bind_layer(tensors, i));
    return tensors.check_all_used(config_.architecture);
}

base::Result<void> Decoder::bind_layer(TensorSet& tensors, std::uint32_t index) {
    const std::string prefix = fmt::format("blk.{}.", index);
    Layer& layer = layers_[index];
    layer.window = config_.window.empty() ? 0 : config_.window[index];
    layer.rope = layer.window > 0 ? &rope_local_ : &rope_;
    const PageRotations& rotations = layer.window > 0 ? rotations_local_ : rotations_;
    layer.rotations = rotations.rot_dim() > 0 ? &rotations : nullptr;
    DG_TRY(bind_attention(tensors, prefix, layer));
    DG_TRY(config_.experts.count > 0 ? bind_experts(tensors, prefix, layer)
                                     : bind_ffn(tensors, prefix, layer));
    if (config_.post_norms) {
        layer.attn_post_norm =
            DG_TRY(tensors.vector(prefix + "post_attention_norm.weight", config_.dim));
        layer.ffn_post_norm = DG_TRY(tensors.vector(prefix + "post_ffw_norm.weight", config_.dim));
    }
    return {};
}

base::Result<void> Decoder::bind_attention(TensorSet& tensors, const std::string& prefix,
                                           Layer& layer) {
    const std::uint64_t dim = config_.dim;
    layer.attn_norm = DG_TRY(tensors.vector(prefix + "attn_norm.weight", dim));
    layer.attn_out = DG_TRY(tensors.matrix(prefix + "attn_output.weight", {config_.q_dim(), dim}));
    layer.attn_out_bias = DG_TRY(tensors.optional_vector(prefix + "attn_output.bias", dim));
    if (config_.qk_norm) {
        const bool whole = config_.qk_norm_whole;
        layer.q_norm = DG_TRY(tensors.vector(prefix + "attn_q_norm.weight",
                                             whole ? config_.q_dim() : config_.head_dim));
        layer.k_norm = DG_TRY(tensors.vector(prefix + "attn_k_norm.weight",
                                             whole ? config_.kv_dim() : config_.head_dim));
    }
    if (tensors.has(prefix + "attn_qkv.weight")) return bind_fused_qkv(tensors, prefix, layer);
    layer.q = DG_TRY(tensors.matrix(prefix + "attn_q.weight", {dim, config_.q_dim()}));
    layer.k = DG_TRY(tensors.matrix(prefix + "attn_k.weight", {dim, config_.kv_dim()}));
    layer.v = DG_TRY(tensors.matrix(prefix + "attn_v.weight", {dim, config_.kv_dim()}));
    layer.q_bias = DG_TRY(tensors.optional_vector(prefix + "attn_q.bias", config_.q_dim()));
    layer.k_bias = DG_TRY(tensors.optional_vector(prefix + "attn_k.bias", config_.kv_dim()));
    layer.v_bias = DG_TRY(tensors.optional_vector(prefix + "attn_v.bias", config_.kv_dim()));
    return {};
}

base::Result<void> Decoder::bind_fused_qkv(TensorSet& tensors, const std::string& prefix,
                                           Layer& layer) {
    const std::uint64_t q_dim = config_.q_dim();
    const std::uint64_t kv_dim = config_.kv_dim();
    const std::uint64_t all = q_dim + 2 * kv_dim;
    const TensorView qkv = DG_TRY(tensors.matrix(prefix + "attn_qkv.weight", {config_.dim, all}));
    layer.q = rows_of(qkv, 0, q_dim);
    layer.k = rows_of(qkv, q_dim, kv_dim);
    layer.v = rows_of(qkv, q_dim + kv_dim, kv_dim);
    if (const float* bias = DG_TRY(tensors.optional_vector(prefix + "attn_qkv.bias", all))) {
        layer.q_bias = bias;
        layer.k_bias = bias + q_dim;
        layer.v_bias = bias + q_dim + kv_dim;
    }
    return {};
}

/// A shared expert is bound as the dense block.
base::Result<void> Decoder::bind_experts(TensorSet& tensors, const std::string& prefix,
                                         Layer& layer) {
    const std::uint64_t dim = config_.dim;
    const ExpertsConfig& c = config_.experts;
    const auto stack = [&](const char* name, std::uint64_t in, std::uint64_t out) {
        return tensors.matrix(prefix + name, {in, out, c.count});
    };
    layer.ffn_norm = DG_TRY(tensors.vector(prefix + "ffn_norm.weight", dim));
    layer.router = DG_TRY(tensors.matrix(prefix + "ffn_gate_inp.weight", {dim, c.count}));
    const TensorView gate = DG_TRY(stack("ffn_gate_exps.weight", dim, c.ffn_dim));
    const TensorView up = DG_TRY(stack("ffn_up_exps.weight", dim, c.ffn_dim));
    const TensorView down = DG_TRY(stack("ffn_down_exps.weight", c.ffn_dim, dim));
    for (std::uint64_t i = 0; i < c.count; ++i) {
        layer.experts.push_back({rows_of(gate, i * c.ffn_dim, c.ffn_dim),
                                 rows_of(up, i * c.ffn_dim, c.ffn_dim),
                                 rows_of(down, i * dim, dim)});
    }
    if (c.shared_ffn_dim == 0) return {};
    const std::uint64_t ffn = c.shared_ffn_dim;
    layer.shared_router = DG_TRY(tensors.matrix(prefix + "ffn_gate_inp_shexp.weight", {dim}));
    layer.gate = DG_TRY(tensors.matrix(prefix + "ffn_gate_shexp.weight", {dim, ffn}));
    layer.up = DG_TRY(tensors.matrix(prefix + "ffn_up_shexp.weight", {dim, ffn}));
    layer.down = DG_TRY(tensors.matrix(prefix + "ffn_down_shexp.weight", {ffn, dim}));
    return {};
}

base::Result<void> Decoder::bind_ffn(TensorSet& tensors, const std::string& prefix, Layer& layer) {
    const std::uint64_t dim = config_.dim;
    const std::uint64_t ffn = config_.ffn_dim;
    layer.ffn_norm = DG_TRY(tensors.vector(prefix + "ffn_norm.weight", dim));
    layer.down = DG_TRY(tensors.matrix(prefix + "ffn_down.weight", {ffn, dim}));
    layer.down_bias = DG_TRY(tensors.optional_vector(prefix + "ffn_down.bias", dim));
    if (config_.fused_gate_up) {
        const TensorView both = DG_TRY(tensors.matrix(prefix + "ffn_up.weight", {dim, 2 * ffn}));
        layer.gate = rows_of(both, 0, ffn);
        layer.up = rows_of(both, ffn, ffn);
        return {};
    }
    layer.gate = DG_TRY(tensors.matrix(prefix + "ffn_gate.weight", {dim, ffn}));
    layer.up = DG_TRY(tensors.matrix(prefix + "ffn_up.weight", {dim, ffn}));
    layer.gate_bias = DG_TRY(tensors.optional_vector(prefix + "ffn_gate.bias", ffn));
    layer.up_bias = DG_TRY(tensors.optional_vector(prefix + "ffn_up.bias", ffn));
    return {};
}

}  // namespace engine
