#include "base/core/rng.h"

#include <sys/random.h>

#include <bit>

#include "base/core/check.h"

namespace base {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

}  // namespace

Rng::Rng(std::uint64_t seed) {
    for (auto& word : state_) word = splitmix64(seed);
}

std::uint64_t Rng::next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

std::uint64_t Rng::below(std::uint64_t bound) {
    DG_DCHECK(bound > 0);
    // Values under 2^64 mod bound would make small results likelier: draw again.
    const std::uint64_t biased = (0 - bound) % bound;
    for (;;) {
        const std::uint64_t value = next();
        if (value >= biased) return value % bound;
    }
}

double Rng::uniform() {
    return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

std::uint64_t entropy64() {
    std::uint64_t value = 0;
    DG_CHECK(getrandom(&value, sizeof(value), 0) == sizeof(value), "the kernel gave no entropy");
    return value;
}

}  // namespace base
