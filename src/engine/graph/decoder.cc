#include "engine/graph/decoder.h"

#include <algorithm>
#include <cmath>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/graph/decoder_weights.h"

namespace engine {

std::span<float> Decoder::logits(base::ThreadPool& pool, std::span<const BatchRow> rows) {
    return predict(pool, run_layers(pool, rows));
}

std::span<float> Decoder::hidden_states(base::ThreadPool& pool, std::span<const BatchRow> rows) {
    const std::size_t wanted = run_layers(pool, rows);
    return {scratch_->normed.data(), wanted * config_.dim};
}

void Decoder::begin(base::ThreadPool& pool, PassInParts& pass, std::span<const BatchRow> rows) {
    DG_CHECK(rows.size() <= std::min(rows_max_, pass.rows_max()) && !rows.empty());
    pass.rows_.assign(rows.begin(), rows.end());
    pass.count_ = rows.size();
    pass.part_ = 0;
    const bool read = std::ranges::any_of(rows, &BatchRow::wants_output);
    pass.parts_ = read ? parts() : parts() - 1;  // nobody reads what follows the last cache write
    std::swap(scratch_->x, pass.x_);
    embed(pool, rows);
    std::swap(scratch_->x, pass.x_);
}

void Decoder::advance(base::ThreadPool& pool, PassInParts& pass) {
    DG_CHECK(!pass.done(), "a pass went on after its end");
    const std::uint32_t layer = pass.part_ / 2;
    std::swap(scratch_->x, pass.x_);  // the pass's rows take the place of a step's
    if (pass.part_ % 2 == 0) {
        place(pass.rows_);
        pass.count_ = attend(pool, pass.rows_, layer);
    } else {
        feed_forward(pool, pass.count_, layers_[layer]);
    }
    std::swap(scratch_->x, pass.x_);
    ++pass.part_;
}

void Decoder::advance(base::ThreadPool& pool, PassInParts& pass, PassInParts& other) {
    DG_CHECK(pass.part_ == other.part_ && !other.done(), "passes at two parts went on as one");
    const std::size_t rows = pass.rows_.size();
    DG_CHECK(rows + other.rows_.size() <= pass.rows_max());
    pass.rows_.insert(pass.rows_.end(), other.rows_.begin(), other.rows_.end());
    std::copy_n(other.x_.data(), other.count_ * config_.dim,
                pass.x_.data() + pass.count_ * config_.dim);
    pass.count_ += other.count_;
    advance(pool, pass);
    pass.rows_.resize(rows);
    ++other.part_;
    if (other.part_ + 1 == parts()) {  // after the last cache write only wanted rows are left
        other.count_ = static_cast<std::size_t>(
            std::ranges::count(other.rows_, true, &BatchRow::wants_output));
    }
    pass.count_ -= other.count_;
    std::copy_n(pass.x_.data() + pass.count_ * config_.dim, other.count_ * config_.dim,
                other.x_.data());
}

std::span<float> Decoder::logits(base::ThreadPool& pool, PassInParts& pass) {
    DG_CHECK(pass.done(), "a pass was read before its end");
    if (pass.count_ == 0) return {};
    std::swap(scratch_->x, pass.x_);
    norm_outputs(pool, pass.count_);
    std::swap(scratch_->x, pass.x_);
    return predict(pool, pass.count_);
}

/// Leaves the normed hidden states of the rows that want output in `normed`; returns their number.
std::size_t Decoder::run_layers(base::ThreadPool& pool, std::span<const BatchRow> rows) {
    DG_CHECK(rows.size() <= rows_max_ && !rows.empty());
    embed(pool, rows);
    place(rows);
    std::size_t count = 0;
    for (std::uint32_t layer = 0; layer < config_.layers; ++layer) {
        count = attend(pool, rows, layer);
        if (count == 0) return 0;
        feed_forward(pool, count, layers_[layer]);
    }
    norm_outputs(pool, count);
    return count;
}

void Decoder::norm_outputs(base::ThreadPool& pool, std::size_t count) {
    rms_norm(pool, scratch_->normed.data(), scratch_->x.data(), output_norm_, count, config_.dim,
             config_.norm_eps);
}

/// The logits of the first `count` rows of `normed`.
std::span<float> Decoder::predict(base::ThreadPool& pool, std::size_t count) {
    Scratch& s = *scratch_;
    const std::size_t size = count * config_.vocab_size;
    if (s.logits.size() < size) s.logits.resize(size);
    if (count == 0) return {};
    s.normed_activations.assign(s.normed.data(), count, config_.dim);
    wait_for_weights(config_.layers);
    const Product head = product_of(output_, output_bias_, s.normed_activations, s.logits.data());
    matmul_all(pool, std::span(&head, 1));
    if (config_.logit_soft_cap > 0.f) {
        soft_cap(pool, s.logits.data(), size, config_.logit_soft_cap);
    }
    return {s.logits.data(), size};
}

void Decoder::embed(base::ThreadPool& pool, std::span<const BatchRow> rows) {
    Scratch& s = *scratch_;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        dequantize_row(embedding_, static_cast<std::size_t>(rows[r].token),
                       s.x.data() + r * config_.dim);
    }
    if (config_.embedding_scale != 1.f) {
        scale(pool, s.x.data(), rows.size() * config_.dim, config_.embedding_scale);
    }
}

/// What attention must know of where the rows are.
void Decoder::place(std::span<const BatchRow> rows) {
    const std::uint32_t page_tokens = kv_geometry().page_tokens;
    std::uint32_t position_max = 0;
    scratch_->page_offsets.clear();
    for (const BatchRow& row : rows) {
        DG_DCHECK(row.position < row.kv->capacity_tokens());
        scratch_->page_offsets.push_back(row.position % page_tokens);
        position_max = std::max(position_max, row.position);
    }
    rotations_.cover(position_max / page_tokens + 1);
    rotations_local_.cover(position_max / page_tokens + 1);
}

/// The first half of a layer: x += attention of x, projected. Returns how many rows go on, which
/// are the first ones then: after the last cache write only those that somebody reads.
std::size_t Decoder::attend(base::ThreadPool& pool, std::span<const BatchRow> rows,
                            std::uint32_t index) {
    Scratch& s = *scratch_;
    const Layer& layer = layers_[index];
    std::size_t count = rows.size();
    wait_for_weights(index);
    rms_norm(pool, s.normed.data(), s.x.data(), layer.attn_norm, count, config_.dim,
             config_.norm_eps);
    s.normed_activations.assign(s.normed.data(), count, config_.dim);
    const Product qkv[] = {product_of(layer.q, layer.q_bias, s.normed_activations, s.q.data()),
                           product_of(layer.k, layer.k_bias, s.normed_activations, s.k.data()),
                           product_of(layer.v, layer.v_bias, s.normed_activations, s.v.data())};
    matmul_all(pool, qkv);
    store_keys_and_values(pool, rows, index);
    if (index + 1 == config_.layers) count = drop_unwanted_rows(rows);
    if (count > 0) add_attended(pool, count, layer);
    return count;
}

/// Norms q and k, rotates them by their offsets in their pages (attention turns queries by whole
/// pages), then appends k and v to each row's cache.
void Decoder::store_keys_and_values(base::ThreadPool& pool, std::span<const BatchRow> rows,
                                    std::uint32_t index) {
    Scratch& s = *scratch_;
    const Layer& layer = layers_[index];
    const DecoderConfig& c = config_;
    const std::size_t count = rows.size();
    if (c.qk_norm) {
        const std::uint32_t q_norms = c.qk_norm_whole ? 1 : c.heads;
        const std::uint32_t k_norms = c.qk_norm_whole ? 1 : c.kv_heads;
        rms_norm(pool, s.q.data(), s.q.data(), layer.q_norm, count * q_norms, c.q_dim() / q_norms,
                 c.norm_eps);
        rms_norm(pool, s.k.data(), s.k.data(), layer.k_norm, count * k_norms, c.kv_dim() / k_norms,
                 c.norm_eps);
    }
    const RopeTable& table = *layer.rope;
    const std::size_t rot_dim = table.inv_freq.size() * 2;
    rope(pool, s.q.data(), count, c.heads, c.head_dim, c.q_dim(), rot_dim, table.inv_freq,
         s.page_offsets, c.rope_pairing, table.magnitude);
    rope(pool, s.k.data(), count, c.kv_heads, c.head_dim, c.kv_dim(), rot_dim, table.inv_freq,
         s.page_offsets, c.rope_pairing, table.magnitude);

    s.attention.clear();
    for (std::size_t r = 0; r < count; ++r) {
        const BatchRow& row = rows[r];
        const KvLayerView& kv = row.kv->layer(index);
        kv_store(kv, row.position, s.k.data() + r * c.kv_dim(), s.v.data() + r * c.kv_dim(),
                 c.kv_heads, c.head_dim);
        const bool windowed = layer.window > 0 && row.position >= layer.window;
        s.attention.push_back({&kv, row.position, windowed ? row.position - layer.window + 1 : 0});
    }
}

/// Moves the rows that want output to the front of x, q and the attention list.
std::size_t Decoder::drop_unwanted_rows(std::span<const BatchRow> rows) {
    Scratch& s = *scratch_;
    std::size_t kept = 0;
    const auto move_row = [&](UnsetFloats& buffer, std::size_t from, std::size_t width) {
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
void Decoder::add_attended(base::ThreadPool& pool, std::size_t count, const Layer& layer) {
    Scratch& s = *scratch_;
    const DecoderConfig& c = config_;
    const AttentionShape shape{c.heads,           c.kv_heads,           c.head_dim,
                               c.attention_scale, c.attention_soft_cap, layer.rotations};
    attention(pool, s.attended.data(), c.q_dim(), s.q.data(), c.q_dim(), s.attention, shape,
              s.attention_scratch);
    s.attended_activations.assign(s.attended.data(), count, c.q_dim());
    add_projected(pool, layer.attn_out, layer.attn_out_bias, s.attended_activations, count,
                  layer.attn_post_norm);
}

/// x += input * w^T + bias, normed first where the model does so.
void Decoder::add_projected(base::ThreadPool& pool, const TensorView& w, const float* bias,
                            Activations& input, std::size_t count, const float* post_norm) {
    Scratch& s = *scratch_;
    Product product = product_of(w, bias, input, s.x.data());
    if (!config_.post_norms) {
        product.add = true;
        matmul_all(pool, std::span(&product, 1));
        return;
    }
    product.y = s.block_out.data();
    matmul_all(pool, std::span(&product, 1));
    rms_norm(pool, s.block_out.data(), s.block_out.data(), post_norm, count, config_.dim,
             config_.norm_eps);
    add(pool, s.x.data(), s.block_out.data(), count * config_.dim);
}

}  // namespace engine
