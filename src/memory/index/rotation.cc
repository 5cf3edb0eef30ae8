#include "memory/index/rotation.h"

#include <bit>
#include <cmath>

#include "base/core/rng.h"

namespace memory::index {
namespace {

/// The same everywhere, so that results do not depend on when an index was made.
constexpr std::uint64_t kSeed = 20'261'121;

/// Pre: size is a power of two.
void hadamard(float* v, std::size_t size) {
    for (std::size_t half = 1; half < size; half *= 2) {
        for (std::size_t begin = 0; begin < size; begin += 2 * half) {
            for (std::size_t i = begin; i < begin + half; ++i) {
                const float a = v[i], b = v[i + half];
                v[i] = a + b;
                v[i + half] = a - b;
            }
        }
    }
    const float scale = 1 / std::sqrt(static_cast<float>(size));
    for (std::size_t i = 0; i < size; ++i) v[i] *= scale;
}

}  // namespace

Rotation::Rotation(std::uint32_t dims) : dims_(dims) {
    base::Rng rng(kSeed);
    for (std::size_t i = 0; i < kRounds * dims; ++i) {
        signs_.push_back((rng.next() & 1) != 0 ? 1.f : -1.f);
    }
}

void Rotation::apply(std::span<float> vector) const {
    for (std::size_t round = 0; round < kRounds; ++round) {
        for (std::uint32_t d = 0; d < dims_; ++d) vector[d] *= signs_[round * dims_ + d];
        // Pieces from the front, then from the back, so that each mixes with the others.
        std::size_t left = dims_, front = 0;
        while (left > 0) {
            const std::size_t piece = std::bit_floor(left);
            hadamard(vector.data() + (round % 2 == 0 ? front : left - piece), piece);
            front += piece;
            left -= piece;
        }
    }
}

}  // namespace memory::index
