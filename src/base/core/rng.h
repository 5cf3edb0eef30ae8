#pragma once
// Chance comes in through this type: a seed gives the same numbers on every machine and compiler,
// which std::uniform_*_distribution does not promise.

#include <array>
#include <cstdint>

namespace base {

/// xoshiro256** seeded through splitmix64 (Blackman and Vigna 2018). Not for secrets. One thread.
class Rng {
public:
    explicit Rng(std::uint64_t seed);

    std::uint64_t next();
    /// Uniform in [0, bound), without modulo bias. Pre: bound > 0.
    std::uint64_t below(std::uint64_t bound);
    /// Uniform in [0, 1) with 53 random bits.
    double uniform();

private:
    std::array<std::uint64_t, 4> state_{};
};

/// 64 bits from the operating system, for seeds and ids. Ends the process when the kernel has none.
std::uint64_t entropy64();

}  // namespace base
