#include "engine/sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace engine {
namespace {

base::Result<void> in_range(const char* name, float value, float low, float high) {
    if (value >= low && value <= high) return {};  // false for NaN
    return base::fail_on(name, base::Code::invalid_argument, "{} is {}; allowed are {} to {}", name,
                         value, low, high);
}

bool all_finite(std::span<const float> values) {
    float probe = 0.f;  // stays 0 unless a value is infinite or NaN; no branch in the loop
    for (const float value : values) probe += value * 0.f;
    return probe == 0.f;
}

double log_sum_exp(std::span<const float> logits) {
    const float max = *std::ranges::max_element(logits);
    double sum = 0.;
    for (const float logit : logits) sum += static_cast<double>(std::exp(logit - max));
    return static_cast<double>(max) + std::log(sum);
}

TokenId argmax(std::span<const float> logits) {
    return static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
}

std::vector<std::pair<TokenId, float>> most_likely(std::span<const float> logits, std::size_t count,
                                                   double log_total) {
    std::vector<TokenId> ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    count = std::min(count, ids.size());
    const auto better = [&](TokenId a, TokenId b) {
        const float la = logits[static_cast<std::size_t>(a)];
        const float lb = logits[static_cast<std::size_t>(b)];
        return la > lb || (la == lb && a < b);
    };
    const auto end = ids.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(ids.begin(), end, ids.end(), better);
    std::vector<std::pair<TokenId, float>> top;
    for (auto id = ids.begin(); id != end; ++id) {
        const double logit = static_cast<double>(logits[static_cast<std::size_t>(*id)]);
        if (std::isinf(logit)) break;  // forbidden, as are those after it
        top.emplace_back(*id, static_cast<float>(logit - log_total));
    }
    return top;
}

}  // namespace

base::Result<void> validate(const SamplingParams& params, std::uint32_t vocab_size) {
    DG_TRY(in_range("temperature", params.temperature, 0.f, 100.f));
    DG_TRY(in_range("top_p", params.top_p, 0.f, 1.f));
    DG_TRY(in_range("min_p", params.min_p, 0.f, 1.f));
    DG_TRY(in_range("typical_p", params.typical_p, 0.f, 1.f));
    DG_TRY(in_range("repetition_penalty", params.repetition_penalty, 0.01f, 100.f));
    DG_TRY(in_range("presence_penalty", params.presence_penalty, -100.f, 100.f));
    DG_TRY(in_range("frequency_penalty", params.frequency_penalty, -100.f, 100.f));
    for (const auto& [id, bias] : params.logit_bias) {
        if (id < 0 || static_cast<std::uint32_t>(id) >= vocab_size) {
            return base::fail_on("logit_bias", base::Code::invalid_argument,
                                 "logit_bias names token {}; the model has ids 0 to {}", id,
                                 vocab_size - 1);
        }
        DG_TRY(in_range("logit_bias", bias, -1000.f, 1000.f));
    }
    return {};
}

Sampler::Sampler(const SamplingParams& params, std::uint64_t seed, std::span<const TokenId> prompt)
    : params_(params), rng_(seed) {
    if (params_.repetition_penalty == 1.f) return;
    for (const TokenId id : prompt) ++seen_[id];
}

base::Result<SampledToken> Sampler::sample(std::span<float> logits,
                                           std::optional<std::uint32_t> top_logprobs) {
    DG_TRY(prepare(logits));
    SampledToken token = choose(logits, top_logprobs);
    remember(token.id);
    return token;
}

base::Result<void> Sampler::prepare(std::span<float> logits) const {
    if (!all_finite(logits)) {
        return base::fail(base::Code::internal,
                          "the model produced logits that are not finite numbers; verify the "
                          "model file (dougong models verify) and report this if it is intact");
    }
    apply_bias_and_penalties(logits);
    return {};
}

SampledToken Sampler::choose(std::span<const float> logits,
                             std::optional<std::uint32_t> top_logprobs) {
    SampledToken token;
    token.id = params_.temperature == 0.f ? argmax(logits) : draw(logits);
    if (top_logprobs) {
        const double log_total = log_sum_exp(logits);
        const double logit = static_cast<double>(logits[static_cast<std::size_t>(token.id)]);
        token.logprob = static_cast<float>(logit - log_total);
        if (*top_logprobs > 0) token.top = most_likely(logits, *top_logprobs, log_total);
    }
    return token;
}

void Sampler::remember(TokenId id) {
    ++generated_[id];
    if (params_.repetition_penalty != 1.f) ++seen_[id];
}

void Sampler::apply_bias_and_penalties(std::span<float> logits) const {
    for (const auto& [id, bias] : params_.logit_bias) logits[static_cast<std::size_t>(id)] += bias;
    for (const auto& [id, count] : seen_) {
        if (static_cast<std::size_t>(id) >= logits.size()) continue;
        float& logit = logits[static_cast<std::size_t>(id)];
        logit =
            logit > 0.f ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
    }
    if (params_.presence_penalty == 0.f && params_.frequency_penalty == 0.f) return;
    for (const auto& [id, count] : generated_) {
        logits[static_cast<std::size_t>(id)] -=
            params_.presence_penalty + params_.frequency_penalty * static_cast<float>(count);
    }
}

TokenId Sampler::draw(std::span<const float> logits) {
    const float max = *std::ranges::max_element(logits);
    // Bounded, because 0 * infinity would make the best token's logit NaN.
    const float inverse_temperature =
        std::min(1.f / params_.temperature, std::numeric_limits<float>::max());
    candidates_.resize(logits.size());
    std::size_t count = 0;
    for (std::size_t id = 0; id < logits.size(); ++id) {
        if (logits[id] == -std::numeric_limits<float>::infinity()) continue;  // forbidden
        // Subtracting first keeps the product finite at tiny temperatures: it goes to -inf.
        const float logit = (logits[id] - max) * inverse_temperature;
        candidates_[count++] = {logit, static_cast<TokenId>(id), 0.};
    }
    candidates_.resize(count);
    keep_top_k();
    for (Candidate& c : candidates_) c.weight = static_cast<double>(std::exp(c.logit));
    keep_typical();
    keep_top_p();
    keep_min_p();

    double left = rng_.uniform() * weight_total();
    TokenId last = candidates_.front().id;
    for (const Candidate& c : candidates_) {
        if (c.weight == 0.) continue;
        last = c.id;
        left -= c.weight;
        if (left < 0.) break;
    }
    return last;
}

double Sampler::weight_total() const {
    return std::accumulate(candidates_.begin(), candidates_.end(), 0.,
                           [](double sum, const Candidate& c) { return sum + c.weight; });
}

namespace {
constexpr auto kMoreLikely = [](const auto& a, const auto& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
};
}  // namespace

void Sampler::keep_top_k() {
    if (params_.top_k == 0 || params_.top_k >= candidates_.size()) return;
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(params_.top_k);
    std::nth_element(candidates_.begin(), end, candidates_.end(), kMoreLikely);
    candidates_.erase(end, candidates_.end());
    std::ranges::sort(candidates_, kMoreLikely);  // nth_element's order is the library's own
}

template <class Better>
void Sampler::keep_mass(double share, Better better) {
    const double wanted = share * weight_total();
    const std::size_t count = candidates_.size();
    // Most distributions put nearly all weight on a few tokens: sort only as far as needed.
    std::size_t sorted = 0;
    double mass = 0.;
    for (std::size_t chunk = 64; sorted < count; chunk *= 4) {
        const std::size_t end = std::min(count, sorted + chunk);
        const auto at = [&](std::size_t i) {
            return candidates_.begin() + static_cast<std::ptrdiff_t>(i);
        };
        std::partial_sort(at(sorted), at(end), candidates_.end(), better);
        for (std::size_t i = sorted; i < end; ++i) {
            mass += candidates_[i].weight;
            if (mass >= wanted) {
                candidates_.erase(at(i + 1), candidates_.end());
                return;
            }
        }
        sorted = end;
    }
}

void Sampler::keep_typical() {
    if (params_.typical_p >= 1.f) return;
    // Meister et al. 2023: prefer tokens whose surprise is near the distribution's entropy.
    const double log_total = std::log(weight_total());
    double entropy = 0.;
    for (const Candidate& c : candidates_) {
        const double logprob = static_cast<double>(c.logit) - log_total;
        if (c.weight > 0.) entropy -= std::exp(logprob) * logprob;
    }
    const auto distance = [=](const Candidate& c) {
        return std::abs(log_total - static_cast<double>(c.logit) - entropy);
    };
    keep_mass(static_cast<double>(params_.typical_p), [=](const Candidate& a, const Candidate& b) {
        const double da = distance(a);
        const double db = distance(b);
        return da < db || (da == db && a.id < b.id);
    });
}

void Sampler::keep_top_p() {
    if (params_.top_p >= 1.f) return;
    keep_mass(static_cast<double>(params_.top_p), kMoreLikely);  // Holtzman et al. 2020
}

void Sampler::keep_min_p() {
    if (params_.min_p <= 0.f) return;
    double best = 0.;
    for (const Candidate& c : candidates_) best = std::max(best, c.weight);
    const double floor = best * static_cast<double>(params_.min_p);
    std::erase_if(candidates_, [=](const Candidate& c) { return c.weight < floor; });
}

}  // namespace engine
