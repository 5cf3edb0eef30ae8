#pragma once
// Requests whose answers chance decides, the same for the same seed.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/core/rng.h"
#include "unit/engine/serving/engine_fixture.h"

namespace test {

/// Begins with the token that begins a text.
inline std::vector<TokenId> random_tokens(base::Rng& rng, std::size_t count) {
    std::vector<TokenId> tokens = {1};
    while (tokens.size() < count) tokens.push_back(static_cast<TokenId>(3 + rng.below(500)));
    return tokens;
}

inline GenerateRequest sampled(std::vector<TokenId> prompt, std::uint64_t seed,
                               std::uint32_t max_tokens) {
    GenerateRequest request;
    request.prompt = std::move(prompt);
    request.sampling = {.temperature = 0.9f, .top_p = 0.95f, .seed = seed};
    request.max_tokens = max_tokens;
    request.ignore_eos = true;
    return request;
}

}  // namespace test
