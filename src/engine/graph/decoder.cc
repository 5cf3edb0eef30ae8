#include "engine/graph/decoder.h"

#include <algorithm>
#include <cmath>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/graph/decoder_weights.h"

namespace engine {
namespace {

/// y = x * w^T + bias. A null bias is none.
void project(base::ThreadPool& pool, const TensorView& w, const float* bias, Activations& x,
             float* y, std::size_t rows) {
    const std::size_t out = w.rows();
    matmul(pool, w, x, y, out);
    if (bias != nullptr) add_bias(pool, y, bias, rows, out);
}

}  // namespace

std::span<float> Decoder::logits(base::ThreadPool& pool, std::span<const BatchRow> rows) {
    const std::size_t wanted = run_layers(pool, rows);
    Scratch& s = *scratch_;
    const std::size_t count = wanted * config_.vocab_size;
    if (s.logits.size() < count) s.logits.resize(count);
    if (wanted == 0) return {};
    s.normed_activations.assign(s.normed.data(), wanted, config_.dim);
    project(pool, output_, output_bias_, s.normed_activations, s.logits.data(), wanted);
    if (config_.logit_soft_cap > 0.f) {
        soft_cap(pool, s.logits.data(), count, config_.logit_soft_cap);
    }
    return {s.logits.data(), count};
}

std::span<float> Decoder::hidden_states(base::ThreadPool& pool, std::span<const BatchRow> rows) {
    const std::size_t wanted = run_layers(pool, rows);
    return {scratch_->normed.data(), wanted * config_.dim};
}

/// Leaves the normed hidden states of the rows that want output in `normed`; returns their number.
std::size_t Decoder::run_layers(base::ThreadPool& pool, std::span<const BatchRow> rows) {
    DG_CHECK(rows.size() <= rows_max_ && !rows.empty());
    Scratch& s = *scratch_;
    std::size_t count = rows.size();
    embed(pool, rows);
    for (std::uint32_t index = 0; index < config_.layers; ++index) {
        const Layer& layer = layers_[index];
        rms_norm(pool, s.normed.data(), s.x.data(), layer.attn_norm, count, config_.dim,
                 config_.norm_eps);
        s.normed_activations.assign(s.normed.data(), count, config_.dim);
        project(pool, layer.q, layer.q_bias, s.normed_activations, s.q.data(), count);
        project(pool, layer.k, layer.k_bias, s.normed_activations, s.k.data(), count);
        project(pool, layer.v, layer.v_bias, s.normed_activations, s.v.data(), count);
        store_keys_and_values(pool, rows, index);
        // After the last cache write only the rows somebody reads are worth computing.
        if (index + 1 == config_.layers) count = drop_unwanted_rows(rows);
        if (count == 0) return 0;
        attend(pool, count, layer);
        feed_forward(pool, count, layer);
    }
    rms_norm(pool, s.normed.data(), s.x.data(), output_norm_, count, config_.dim, config_.norm_eps);
    return count;
}

void Decoder::embed(base::ThreadPool& pool, std::span<const BatchRow> rows) {
    Scratch& s = *scratch_;
    s.positions.clear();
    for (std::size_t r = 0; r < rows.size(); ++r) {
        DG_DCHECK(rows[r].position < rows[r].kv->capacity_tokens());
        dequantize_row(embedding_, static_cast<std::size_t>(rows[r].token),
                       s.x.data() + r * config_.dim);
        s.positions.push_back(rows[r].position + rows[r].kv->position_offset());
    }
    if (config_.embedding_scale != 1.f) {
        scale(pool, s.x.data(), rows.size() * config_.dim, config_.embedding_scale);
    }
}

/// Norms and rotates q and k, then appends k and v to each row's cache.
void Decoder::store_keys_and_values(base::ThreadPool& pool, std::span<const BatchRow> rows,
                                    std::uint32_t index) {
    Scratch& s = *scratch_;
    const Layer& layer = layers_[index];
    const DecoderConfig& c = config_;
    const std::size_t count = rows.size();
    if (c.qk_norm) {
        rms_norm(pool, s.q.data(), s.q.data(), layer.q_norm, count * c.heads, c.head_dim,
                 c.norm_eps);
        rms_norm(pool, s.k.data(), s.k.data(), layer.k_norm, count * c.kv_heads, c.head_dim,
                 c.norm_eps);
    }
    const RopeTable& table = *layer.rope;
    const std::size_t rot_dim = table.inv_freq.size() * 2;
    rope(pool, s.q.data(), count, c.heads, c.head_dim, c.q_dim(), rot_dim, table.inv_freq,
         s.positions, c.rope_pairing, table.magnitude);
    rope(pool, s.k.data(), count, c.kv_heads, c.head_dim, c.kv_dim(), rot_dim, table.inv_freq,
         s.positions, c.rope_pairing, table.magnitude);

    s.attention.clear();
    for (std::size_t r = 0; r < count; ++r) {
        const BatchRow& row = rows[r];
        const KvLayerView& kv = row.kv->layer(index);
        kv_store(kv, row.position, s.k.data() + r * c.kv_dim(), s.v.data() + r * c.kv_dim(),
                 c.kv_dim());
        const bool windowed = layer.window > 0 && row.position >= layer.window;
        s.attention.push_back({&kv, row.position, windowed ? row.position - layer.window + 1 : 0});
    }
}

/// Moves the rows that want output to the front of x, q and the attention list.
std::size_t Decoder::drop_unwanted_rows(std::span<const BatchRow> rows) {
    Scratch& s = *scratch_;
    std::size_t kept = 0;
    const auto move_row = [&](std::vector<float>& buffer, std::size_t from, std::size_t width) {
        std::copy_n(buffer.data() + from * width, width, buffer.data() + kept * width);
    };
    for (std::size_t r = 0; r < rows.size(); ++r) {
        if (!rows[r].wants_output) continue;
        if (kept != r) {
            move_row(s.x, r, config_.dim);
            move_row(s.q, r, config_.q_dim());
            s.attention[kept] = s.attention[r];
        }
        ++kept;
    }
    s.attention.resize(kept);
    return kept;
}

/// x += attention(q) projected back to the model's width.
void Decoder::attend(base::ThreadPool& pool, std::size_t count, const Layer& layer) {
    Scratch& s = *scratch_;
    const DecoderConfig& c = config_;
    const AttentionShape shape{c.heads, c.kv_heads, c.head_dim, c.attention_scale,
                               c.attention_soft_cap};
    attention(pool, s.attended.data(), c.q_dim(), s.q.data(), c.q_dim(), s.attention, shape);
    s.attended_activations.assign(s.attended.data(), count, c.q_dim());
    project(pool, layer.attn_out, layer.attn_out_bias, s.attended_activations, s.block_out.data(),
            count);
    if (c.post_norms) {
        rms_norm(pool, s.block_out.data(), s.block_out.data(), layer.attn_post_norm, count, c.dim,
                 c.norm_eps);
    }
    add(pool, s.x.data(), s.block_out.data(), count * c.dim);
}

/// x += down(activation(gate(norm(x))) * up(norm(x))).
void Decoder::feed_forward(base::ThreadPool& pool, std::size_t count, const Layer& layer) {
    Scratch& s = *scratch_;
    const DecoderConfig& c = config_;
    rms_norm(pool, s.normed.data(), s.x.data(), layer.ffn_norm, count, c.dim, c.norm_eps);
    s.normed_activations.assign(s.normed.data(), count, c.dim);
    project(pool, layer.gate, layer.gate_bias, s.normed_activations, s.gate.data(), count);
    project(pool, layer.up, layer.up_bias, s.normed_activations, s.up.data(), count);
    gated(pool, s.gate.data(), s.gate.data(), s.up.data(), count * c.ffn_dim, c.activation);
    s.gate_activations.assign(s.gate.data(), count, c.ffn_dim);
    project(pool, layer.down, layer.down_bias, s.gate_activations, s.block_out.data(), count);
    if (c.post_norms) {
        rms_norm(pool, s.block_out.data(), s.block_out.data(), layer.ffn_post_norm, count, c.dim,
                 c.norm_eps);
    }
    add(pool, s.x.data(), s.block_out.data(), count * c.dim);
}

}  // namespace engine
