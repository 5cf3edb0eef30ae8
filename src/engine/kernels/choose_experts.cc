// The router's choice of experts. Few values per row, so plain loops.

#include <algorithm>
#include <cmath>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/kernels.h"

namespace engine {
namespace {

/// NaN counts as lowest, so that a broken row still picks distinct experts and stays NaN.
bool above(float a, float b) {
    return a > b || (std::isnan(b) && !std::isnan(a));
}

bool holds(std::span<const ExpertChoice> chosen, std::size_t expert) {
    return std::ranges::any_of(chosen, [&](const auto& c) { return c.expert == expert; });
}

void choose(std::span<ExpertChoice> out, std::span<const float> logits, bool normalise) {
    for (std::size_t j = 0; j < out.size(); ++j) {
        std::size_t best = logits.size();
        for (std::size_t e = 0; e < logits.size(); ++e) {
            if (best < logits.size() && !above(logits[e], logits[best])) continue;
            if (!holds(out.first(j), e)) best = e;
        }
        out[j].expert = static_cast<std::uint32_t>(best);
    }
    const float highest = logits[out[0].expert];
    float all = 0.f;
    for (const float logit : logits) all += std::exp(logit - highest);
    float kept = 0.f;
    for (ExpertChoice& choice : out) {
        choice.weight = std::exp(logits[choice.expert] - highest);
        kept += choice.weight;
    }
    for (ExpertChoice& choice : out) choice.weight /= normalise ? kept : all;
}

}  // namespace

void choose_experts(base::ThreadPool& pool, std::span<ExpertChoice> out, const float* logits,
                    std::size_t experts, std::size_t used, bool normalise) {
    DG_CHECK(used > 0 && used <= experts, "a row picks some of the experts");
    constexpr std::size_t kRowsPerTask = 16;
    const std::size_t rows = out.size() / used;
    pool.run((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::size_t task, std::size_t) {
        const std::size_t end = std::min(rows, (task + 1) * kRowsPerTask);
        for (std::size_t r = task * kRowsPerTask; r < end; ++r) {
            choose(out.subspan(r * used, used), {logits + r * experts, experts}, normalise);
        }
    });
}

}  // namespace engine
