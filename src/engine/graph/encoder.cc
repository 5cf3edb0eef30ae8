#include "engine/graph/encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"

namespace engine {

struct Encoder::Layer {
    std::uint32_t in_dim = 0;  ///< also the width of all its attention heads together
    Linear q, k, v, attn_out, up, down;
    Linear residual;           ///< no data: the residual is x itself
    Norm attn_norm, ffn_norm;  ///< before or after their block, as the config says
};

struct Encoder::Scratch {
    std::vector<float> x, normed, q, k, v, attended, residual, ffn, position;
    Activations x_activations, attended_activations, ffn_activations;
    AttentionScratch attention;
};

Encoder::Encoder(EncoderConfig config)
    : config_(std::move(config)), scratch_(std::make_unique<Scratch>()) {}
Encoder::~Encoder() = default;

base::Result<std::unique_ptr<Encoder>> Encoder::create(EncoderConfig config, TensorSet& tensors) {
    std::unique_ptr<Encoder> encoder(new Encoder(std::move(config)));
    DG_TRY(encoder->bind(tensors));
    return encoder;
}

std::vector<TensorView*> Encoder::products() {
    std::vector<TensorView*> matrices;
    for (Layer& l : layers_) {
        for (Linear* linear : {&l.q, &l.k, &l.v, &l.attn_out, &l.up, &l.down, &l.residual}) {
            if (linear->weight.data != nullptr) matrices.push_back(&linear->weight);
        }
    }
    if (pooler_.weight.data != nullptr) matrices.push_back(&pooler_.weight);
    if (score_.weight.data != nullptr) matrices.push_back(&score_.weight);
    return matrices;
}

base::Result<void> Encoder::bind(TensorSet& tensors) {
    const EncoderConfig& c = config_;
    const std::uint64_t dim = c.dim;
    embedding_ = DG_TRY(tensors.matrix("token_embd.weight", {dim, c.vocab_size}));
    if (tensors.has("position_inv_timescales.weight")) {
        inv_timescales_ = DG_TRY(tensors.vector("position_inv_timescales.weight", dim / 2));
    } else {
        positions_ = DG_TRY(tensors.matrix("position_embd.weight", {dim, c.context_trained}));
    }
    if (const TensorView* types = tensors.find("token_types.weight")) {
        DG_TRY(tensors.matrix("token_types.weight", {dim, types->dims[1]}));
        token_type_.resize(dim);
        dequantize_row(*types, 0, token_type_.data());
        second_type_.resize(dim);
        dequantize_row(*types, types->dims[1] > 1 ? 1 : 0, second_type_.data());
    }
    embedding_norm_.weight = DG_TRY(tensors.optional_vector("token_embd_norm.weight", dim));
    embedding_norm_.bias = DG_TRY(tensors.optional_vector("token_embd_norm.bias", dim));
    layers_.resize(c.layers);
    for (std::uint32_t i = 0; i < c.layers; ++i) DG_TRY(bind_layer(tensors, i));
    DG_TRY(bind_head(tensors));
    return tensors.check_all_used(c.architecture);
}

/// What comes after the layers: a pooler, or a classifier of one or two layers that gives a score.
base::Result<void> Encoder::bind_head(TensorSet& tensors) {
    const EncoderConfig& c = config_;
    const auto linear = [&](const std::string& name, std::uint64_t out) -> base::Result<Linear> {
        Linear found;
        found.weight = DG_TRY(tensors.matrix(name + ".weight", {c.hidden_dim, out}));
        found.bias = DG_TRY(tensors.optional_vector(name + ".bias", out));
        return found;
    };
    if (!ranks()) {
        if (tensors.has("pooler.weight")) pooler_ = DG_TRY(linear("pooler", c.out_dim));
        return {};
    }
    if (tensors.has("cls.weight")) pooler_ = DG_TRY(linear("cls", c.hidden_dim));
    score_ = DG_TRY(linear("cls.output", 1));
    return {};
}

base::Result<void> Encoder::bind_layer(TensorSet& tensors, std::uint32_t index) {
    const std::string prefix = fmt::format("blk.{}.", index);
    const auto linear = [&](const char* name, std::uint64_t in,
                            std::uint64_t out) -> base::Result<Linear> {
        Linear found;
        found.weight = DG_TRY(tensors.matrix(prefix + name + ".weight", {in, out}));
        found.bias = DG_TRY(tensors.optional_vector(prefix + name + ".bias", out));
        return found;
    };
    const auto norm = [&](const char* name, std::uint64_t dim) -> base::Result<Norm> {
        Norm found;
        found.weight = DG_TRY(tensors.vector(prefix + name + ".weight", dim));
        found.bias = DG_TRY(tensors.vector(prefix + name + ".bias", dim));
        return found;
    };
    const EncoderConfig& c = config_;
    const bool before = c.norms == NormPlacement::before;
    Layer& layer = layers_[index];
    layer.in_dim = index == 0 ? c.dim : c.hidden_dim;
    DG_TRY(bind_qkv(tensors, prefix, layer));
    layer.attn_out = DG_TRY(linear("attn_output", layer.in_dim, c.hidden_dim));
    if (layer.in_dim != c.hidden_dim) {
        layer.residual = DG_TRY(linear("residual_proj", layer.in_dim, c.hidden_dim));
    }
    layer.attn_norm =
        DG_TRY(before ? norm("attn_norm", layer.in_dim) : norm("attn_output_norm", c.hidden_dim));
    layer.ffn_norm = DG_TRY(norm(before ? "ffn_norm" : "layer_output_norm", c.hidden_dim));
    layer.up = DG_TRY(linear("ffn_up", c.hidden_dim, c.ffn_dim));
    layer.down = DG_TRY(linear("ffn_down", c.ffn_dim, c.hidden_dim));
    return {};
}

base::Result<void> Encoder::bind_qkv(TensorSet& tensors, const std::string& prefix, Layer& layer) {
    const std::uint64_t dim = layer.in_dim;
    const std::array<std::pair<Linear*, const char*>, 3> parts = {
        {{&layer.q, "attn_q"}, {&layer.k, "attn_k"}, {&layer.v, "attn_v"}}};
    if (tensors.has(prefix + "attn_qkv.weight")) {
        const TensorView all = DG_TRY(tensors.matrix(prefix + "attn_qkv.weight", {dim, 3 * dim}));
        const float* bias = DG_TRY(tensors.optional_vector(prefix + "attn_qkv.bias", 3 * dim));
        for (std::size_t i = 0; i < parts.size(); ++i) {
            *parts[i].first = {rows_of(all, i * dim, dim), bias ? bias + i * dim : nullptr};
        }
        return {};
    }
    for (const auto& [part, name] : parts) {
        part->weight = DG_TRY(tensors.matrix(prefix + name + ".weight", {dim, dim}));
        part->bias = DG_TRY(tensors.optional_vector(prefix + name + ".bias", dim));
    }
    return {};
}

std::vector<std::vector<float>> Encoder::run(base::ThreadPool& pool,
                                             std::span<const EncoderText> texts) {
    std::size_t tokens = 0;
    for (const EncoderText& text : texts) {
        DG_CHECK(!text.tokens.empty() && text.tokens.size() <= config_.context_trained);
        tokens += text.tokens.size();
    }
    Scratch& s = *scratch_;
    const std::size_t width = std::max(config_.dim, config_.hidden_dim);
    for (auto* buffer : {&s.x, &s.normed, &s.q, &s.k, &s.v, &s.attended, &s.residual}) {
        buffer->resize(std::max(buffer->size(), tokens * width));
    }
    s.ffn.resize(std::max(s.ffn.size(), tokens * config_.ffn_dim));
    embed_tokens(pool, texts);
    for (const Layer& layer : layers_) {
        attend(pool, texts, tokens, layer);
        feed_forward(pool, tokens, layer);
    }
    return pool_texts(pool, texts);
}

void Encoder::embed_tokens(base::ThreadPool& pool, std::span<const EncoderText> texts) {
    float* row = scratch_->x.data();
    for (const EncoderText& text : texts) {
        for (std::size_t t = 0; t < text.tokens.size(); ++t, row += config_.dim) {
            dequantize_row(embedding_, static_cast<std::size_t>(text.tokens[t]), row);
            for (std::size_t d = 0; d < config_.dim; ++d) row[d] *= config_.embedding_scale;
            const auto& type = t < text.second_at ? token_type_ : second_type_;
            for (std::size_t d = 0; d < type.size(); ++d) row[d] += type[d];
            add_position(row, t);
        }
    }
    if (embedding_norm_.weight != nullptr) {
        float* x = scratch_->x.data();
        normalise(pool, x, x, embedding_norm_, static_cast<std::size_t>(row - x) / config_.dim,
                  config_.dim);
    }
}

void Encoder::add_position(float* row, std::size_t position) {
    if (inv_timescales_ == nullptr) {
        std::vector<float>& learned = scratch_->position;
        learned.resize(config_.dim);
        dequantize_row(positions_, position, learned.data());
        for (std::size_t d = 0; d < config_.dim; ++d) row[d] += learned[d];
        return;
    }
    const std::size_t half = config_.dim / 2;
    for (std::size_t i = 0; i < half; ++i) {
        const float angle = static_cast<float>(position) * inv_timescales_[i];
        row[i] += std::sin(angle);
        row[half + i] += std::cos(angle);
    }
}

void Encoder::attend(base::ThreadPool& pool, std::span<const EncoderText> texts, std::size_t tokens,
                     const Layer& layer) {
    Scratch& s = *scratch_;
    const EncoderConfig& c = config_;
    const float* in = s.x.data();
    if (c.norms == NormPlacement::before) {
        normalise(pool, s.normed.data(), s.x.data(), layer.attn_norm, tokens, layer.in_dim);
        in = s.normed.data();
    }
    s.x_activations.assign(in, tokens, layer.in_dim);
    project(pool, s.q.data(), layer.q, s.x_activations, tokens);
    project(pool, s.k.data(), layer.k, s.x_activations, tokens);
    project(pool, s.v.data(), layer.v, s.x_activations, tokens);
    const std::uint32_t head_dim = layer.in_dim / c.heads;
    std::size_t first = 0;
    for (const EncoderText& text : texts) {
        const std::size_t at = first * layer.in_dim;
        attention_full(pool, s.attended.data() + at, s.q.data() + at, s.k.data() + at,
                       s.v.data() + at, text.tokens.size(), c.heads, head_dim,
                       1.f / std::sqrt(static_cast<float>(head_dim)), s.attention);
        first += text.tokens.size();
    }
    if (layer.residual.weight.data != nullptr) {
        s.x_activations.assign(s.x.data(), tokens, layer.in_dim);
        project(pool, s.residual.data(), layer.residual, s.x_activations, tokens);
        std::swap(s.x, s.residual);
    }
    s.attended_activations.assign(s.attended.data(), tokens, layer.in_dim);
    project(pool, s.normed.data(), layer.attn_out, s.attended_activations, tokens);
    add(pool, s.x.data(), s.normed.data(), tokens * c.hidden_dim);
    if (c.norms == NormPlacement::after) {
        normalise(pool, s.x.data(), s.x.data(), layer.attn_norm, tokens, c.hidden_dim);
    }
}

void Encoder::feed_forward(base::ThreadPool& pool, std::size_t tokens, const Layer& layer) {
    Scratch& s = *scratch_;
    const EncoderConfig& c = config_;
    const float* in = s.x.data();
    if (c.norms == NormPlacement::before) {
        normalise(pool, s.normed.data(), s.x.data(), layer.ffn_norm, tokens, c.hidden_dim);
        in = s.normed.data();
    }
    s.x_activations.assign(in, tokens, c.hidden_dim);
    project(pool, s.ffn.data(), layer.up, s.x_activations, tokens);
    activate(pool, s.ffn.data(), s.ffn.data(), tokens * c.ffn_dim, c.activation);
    s.ffn_activations.assign(s.ffn.data(), tokens, c.ffn_dim);
    project(pool, s.normed.data(), layer.down, s.ffn_activations, tokens);
    add(pool, s.x.data(), s.normed.data(), tokens * c.hidden_dim);
    if (c.norms == NormPlacement::after) {
        normalise(pool, s.x.data(), s.x.data(), layer.ffn_norm, tokens, c.hidden_dim);
    }
}

std::vector<std::vector<float>> Encoder::pool_texts(base::ThreadPool& pool,
                                                    std::span<const EncoderText> texts) {
    const std::size_t dim = config_.hidden_dim;
    std::vector<float> rows(texts.size() * dim);  // one per text
    const float* x = scratch_->x.data();
    for (std::size_t i = 0; i < texts.size(); ++i) {
        float* pooled = rows.data() + i * dim;
        const std::size_t length = texts[i].tokens.size();
        const std::size_t counted = config_.pooling == Pooling::mean ? length : 1;
        for (std::size_t t = 0; t < counted; ++t) {
            for (std::size_t d = 0; d < dim; ++d) pooled[d] += x[t * dim + d];
        }
        for (std::size_t d = 0; d < dim; ++d) pooled[d] /= static_cast<float>(counted);
        x += length * dim;
    }
    if (pooler_.weight.data != nullptr) {
        apply_head(pool, pooler_, rows, texts.size());
        activate(pool, rows.data(), rows.data(), rows.size(), Activation::tanh);
    }
    if (score_.weight.data != nullptr) apply_head(pool, score_, rows, texts.size());
    std::vector<std::vector<float>> vectors;
    const std::size_t out = rows.size() / texts.size();
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto at = rows.begin() + static_cast<std::ptrdiff_t>(i * out);
        vectors.emplace_back(at, at + static_cast<std::ptrdiff_t>(out));
        if (!ranks()) normalise_length(vectors.back());
    }
    return vectors;
}

/// rows [count][hidden_dim] become [count][rows of the head].
void Encoder::apply_head(base::ThreadPool& pool, const Linear& head, std::vector<float>& rows,
                         std::size_t count) {
    std::vector<float> out(count * head.weight.rows());
    scratch_->x_activations.assign(rows.data(), count, config_.hidden_dim);
    project(pool, out.data(), head, scratch_->x_activations, count);
    rows = std::move(out);
}

void Encoder::normalise(base::ThreadPool& pool, float* y, const float* x, const Norm& norm,
                        std::size_t rows, std::size_t dim) const {
    layer_norm(pool, y, x, norm.weight, norm.bias, rows, dim, config_.norm_eps);
}

void Encoder::project(base::ThreadPool& pool, float* y, const Linear& linear, Activations& x,
                      std::size_t rows) const {
    const std::size_t out = linear.weight.rows();
    matmul(pool, linear.weight, x, y, out);
    if (linear.bias != nullptr) add_bias(pool, y, linear.bias, rows, out);
}

void normalise_length(std::span<float> vector) {
    double square = 0.;
    for (const float value : vector)
        square += static_cast<double>(value) * static_cast<double>(value);
    if (square == 0.) return;
    const auto scale = static_cast<float>(1. / std::sqrt(square));
    for (float& value : vector) value *= scale;
}

}  // namespace engine
