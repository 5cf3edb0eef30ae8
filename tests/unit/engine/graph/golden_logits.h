#pragma once
// Golden log-probabilities as tests/golden/engine/llama_reference.cc writes them, and how far a
// model's own logits are from them.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace test {

struct GoldenSequence {
    std::vector<std::int32_t> ids;
    std::uint32_t k = 0;
    std::vector<std::uint16_t> top_ids;  ///< [position][k], most likely first
    std::vector<float> top_logprobs;     ///< [position][k]
};

/// Adds a test failure when the bytes are not whole.
std::vector<GoldenSequence> parse_golden_top(const std::string& bytes);

struct Agreement {
    std::uint64_t positions = 0, top1_same = 0;
    std::uint64_t top1_tied = 0;  ///< not the same, but the reference has both within 1 %
    double kl_sum = 0., kl_max = 0.;
    double top1_share() const {
        return static_cast<double>(top1_same) / static_cast<double>(positions);
    }
    double kl_mean() const { return kl_sum / static_cast<double>(positions); }
};

/// Adds one sequence. KL(reference || ours) over the reference's k best and one bucket for the
/// rest, which bounds the full divergence from below and is within the rest's mass of it.
void compare(const GoldenSequence& reference, std::span<const float> logits, std::uint32_t vocab,
             Agreement& agreement);

}  // namespace test
