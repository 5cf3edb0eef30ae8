#pragma once
// Rotary position embedding (Su et al. 2021) with every scaling variant folded into one table of
// radians per position, computed once when a model is opened.

#include <cstdint>
#include <vector>

namespace engine {

enum class RopeScaling { none, linear, yarn, longrope };

/// What a model file says about its rotations.
struct RopeSpec {
    std::uint32_t rot_dim = 0;  ///< rotated values per head; even
    float base = 10'000.f;
    float ntk_alpha = 0.f;  ///< > 0 stretches the base (NTK-aware scaling)
    RopeScaling scaling = RopeScaling::none;
    float factor = 1.f;                  ///< context stretched by this; linear and yarn
    std::uint32_t context_original = 0;  ///< before stretching; yarn and longrope
    float attention_factor = 1.f;        ///< multiplies the magnitude
    float yarn_ext_factor = 1.f;         ///< share of the ramp between the two frequencies
    float yarn_beta_fast = 32.f;         ///< rotations over the context above which nothing scales
    float yarn_beta_slow = 1.f;          ///< and below which everything does
    float yarn_log_multiplier = 0.f;     ///< "mscale_all_dim"; 0 = off
    /// Per frequency, divides it: llama3 (`rope_freqs`), longrope. Empty: all ones.
    std::vector<float> divisors;
};

struct RopeTable {
    std::vector<float> inv_freq;  ///< [rot_dim / 2], radians per position
    float magnitude = 1.f;        ///< multiplies both outputs of a rotation
};

/// Pre: rot_dim is even; divisors is empty or holds rot_dim / 2 values.
/// Sources: Peng et al. 2023 (YaRN), sections 3.1 to 3.4 and appendix A; Ding et al. 2024
/// (longrope).
RopeTable make_rope_table(const RopeSpec& spec);

}  // namespace engine
