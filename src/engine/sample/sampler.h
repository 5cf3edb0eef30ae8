#pragma once
// From logits to the next token. One Sampler serves one request: it owns the request's random
// numbers and the counts that penalties need, so a seed gives the same tokens in any batch.
//
// Order: logit bias, repetition penalty, presence and frequency penalties | log-probabilities are
// taken here | temperature, top-k, typical, top-p, min-p, draw. Each truncation renormalises what
// the one before kept. Ties go to the lower id everywhere.

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "base/core/rng.h"
#include "engine/engine.h"

namespace engine {

/// Errors: invalid_argument; the subject is the parameter's name, the message its allowed range.
base::Result<void> validate(const SamplingParams& params, std::uint32_t vocab_size);

struct SampledToken {
    TokenId id = 0;
    float logprob = 0.f;                         ///< set when alternatives were asked for
    std::vector<std::pair<TokenId, float>> top;  ///< most likely first
};

class Sampler {
public:
    /// Pre: validate(params) passed. The repetition penalty also looks at `prompt`.
    Sampler(const SamplingParams& params, std::uint64_t seed, std::span<const TokenId> prompt);

    /// Chooses a token and remembers it. Overwrites `logits` [vocab_size]. top_logprobs: none skips
    /// the log-probabilities, which cost a pass over the vocabulary. Errors: internal when a logit
    /// is not finite (a damaged model or a kernel bug; nothing was chosen).
    base::Result<SampledToken> sample(std::span<float> logits,
                                      std::optional<std::uint32_t> top_logprobs);

    /// `sample` in its three parts, for a caller that forbids tokens between the first two by
    /// setting their logits to -infinity. Log-probabilities are then those among the tokens left,
    /// so that a token without alternative has 0. Pre of choose: some logit is finite.
    base::Result<void> prepare(std::span<float> logits) const;
    SampledToken choose(std::span<const float> logits, std::optional<std::uint32_t> top_logprobs);
    void remember(TokenId id);

private:
    struct Candidate {
        float logit = 0.f;  ///< after temperature
        TokenId id = 0;
        double weight = 0.;  ///< exp(logit - max): a probability before normalising
    };

    void apply_bias_and_penalties(std::span<float> logits) const;
    TokenId draw(std::span<const float> logits);
    void keep_top_k();
    void keep_typical();
    void keep_top_p();
    void keep_min_p();
    /// Keeps the smallest sorted prefix under `better` that holds `share` of all weight.
    template <class Better>
    void keep_mass(double share, Better better);
    double weight_total() const;

    SamplingParams params_;
    base::Rng rng_;
    std::unordered_map<TokenId, std::uint32_t> generated_;  ///< how often each id was chosen
    std::unordered_map<TokenId, std::uint32_t> seen_;       ///< prompt and generated
    std::vector<Candidate> candidates_;                     ///< scratch, kept between tokens
};

}  // namespace engine
