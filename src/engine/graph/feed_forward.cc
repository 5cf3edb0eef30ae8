// The second half of a decoder layer: one dense block, or a few of many experts per row.
//
// Rows are grouped by expert, so that each expert's weights are read once for all its rows; all
// experts' products (and the shared one's) run as one loop over the pool. A row's outputs are added
// in order of its choice, best first, so that its result does not depend on who came along.

#include <algorithm>
#include <cmath>

#include "base/exec/thread_pool.h"
#include "engine/graph/decoder_weights.h"

namespace engine {

void Decoder::feed_forward(base::ThreadPool& pool, std::size_t count, const Layer& layer) {
    Scratch& s = *scratch_;
    rms_norm(pool, s.normed.data(), s.x.data(), layer.ffn_norm, count, config_.dim,
             config_.norm_eps);
    s.normed_activations.assign(s.normed.data(), count, config_.dim);
    if (layer.experts.empty()) return run_dense(pool, count, layer);
    run_experts(pool, count, layer);
}

/// x += down(activation(gate(normed)) * up(normed)).
void Decoder::run_dense(base::ThreadPool& pool, std::size_t count, const Layer& layer) {
    Scratch& s = *scratch_;
    Product gate = product_of(layer.gate, layer.gate_bias, s.normed_activations, s.gate.data());
    gate.up = &layer.up;
    gate.up_bias = layer.up_bias;
    gate.f = config_.activation;
    matmul_all(pool, std::span(&gate, 1));
    s.gate_activations.assign(s.gate.data(), count, config_.ffn_dim);
    add_projected(pool, layer.down, layer.down_bias, s.gate_activations, count,
                  layer.ffn_post_norm);
}

/// x += sum of each row's experts, weighted, and of the shared one.
void Decoder::run_experts(base::ThreadPool& pool, std::size_t count, const Layer& layer) {
    Scratch& s = *scratch_;
    ExpertScratch& e = s.experts;
    const std::size_t pairs = count * config_.experts.used;
    route(pool, count, layer);
    e.pair_activations.assign_rows(s.normed_activations, std::span(e.row_of).first(pairs));
    plan_expert_products(layer, false);
    matmul_all(pool, e.products);
    e.hidden_activations.assign(e.hidden.data(), pairs, config_.experts.ffn_dim);
    e.shared_activations.assign(e.shared_gate.data(), count, config_.experts.shared_ffn_dim);
    plan_expert_products(layer, true);
    matmul_all(pool, e.products);
    add_expert_outputs(pool, count, layer);
}

/// Chooses each row's experts and numbers the pairs: counted by expert, then placed in row order.
void Decoder::route(base::ThreadPool& pool, std::size_t count, const Layer& layer) {
    Scratch& s = *scratch_;
    ExpertScratch& e = s.experts;
    const std::uint32_t used = config_.experts.used, experts = config_.experts.count;
    const Product routers[] = {
        product_of(layer.router, nullptr, s.normed_activations, e.router_logits.data()),
        product_of(layer.shared_router, nullptr, s.normed_activations, e.shared_weights.data())};
    matmul_all(pool, std::span(routers).first(layer.shared_router.data != nullptr ? 2 : 1));
    const auto choices = std::span(e.choices).first(count * used);
    choose_experts(pool, choices, e.router_logits.data(), experts, used, config_.experts.normalise);
    std::ranges::fill(e.first_pair, 0u);
    for (const ExpertChoice& choice : choices) ++e.first_pair[choice.expert + 1];
    for (std::uint32_t i = 0; i < experts; ++i) e.first_pair[i + 1] += e.first_pair[i];
    for (std::size_t i = 0; i < choices.size(); ++i) {
        // Counts each expert's beginning up to its end, which is the next one's beginning.
        const std::uint32_t pair = e.first_pair[choices[i].expert]++;
        e.row_of[pair] = static_cast<std::uint32_t>(i / used);
        e.pair_of[i] = pair;
    }
    std::shift_right(e.first_pair.begin(), e.first_pair.end(), 1);
    e.first_pair[0] = 0;
}

/// One product per expert that has rows, and the shared expert's; `down`: of the second matrices.
void Decoder::plan_expert_products(const Layer& layer, bool down) {
    Scratch& s = *scratch_;
    ExpertScratch& e = s.experts;
    const auto with_up = [&](Product gate, const TensorView& up) {
        gate.up = &up;
        gate.f = config_.activation;
        return gate;
    };
    e.products.clear();
    if (layer.shared_router.data != nullptr) {  // the largest first
        e.products.push_back(
            down ? product_of(layer.down, nullptr, e.shared_activations, e.shared_out.data())
                 : with_up(
                       product_of(layer.gate, nullptr, s.normed_activations, e.shared_gate.data()),
                       layer.up));
    }
    for (std::size_t i = 0; i < layer.experts.size(); ++i) {
        const Expert& expert = layer.experts[i];
        if (e.first_pair[i] == e.first_pair[i + 1]) continue;
        Product product =
            down ? product_of(expert.down, nullptr, e.hidden_activations, e.out.data())
                 : with_up(product_of(expert.gate, nullptr, e.pair_activations, e.hidden.data()),
                           expert.up);
        product.first_row = e.first_pair[i];
        product.rows = e.first_pair[i + 1] - e.first_pair[i];
        e.products.push_back(product);
    }
}

void Decoder::add_expert_outputs(base::ThreadPool& pool, std::size_t count, const Layer& layer) {
    Scratch& s = *scratch_;
    ExpertScratch& e = s.experts;
    const std::size_t dim = config_.dim, used = config_.experts.used;
    e.terms.clear();
    for (std::size_t r = 0; r < count; ++r) {
        for (std::size_t i = r * used; i < (r + 1) * used; ++i) {
            e.terms.push_back({e.out.data() + e.pair_of[i] * dim, e.choices[i].weight});
        }
        if (layer.shared_router.data == nullptr) continue;
        const float weight = 1.f / (1.f + std::exp(-e.shared_weights[r]));
        e.terms.push_back({e.shared_out.data() + r * dim, weight});
    }
    add_weighted(pool, s.x.data(), e.terms, e.terms.size() / count, dim);
}

}  // namespace engine
