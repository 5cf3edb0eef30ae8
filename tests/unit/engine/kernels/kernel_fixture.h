#pragma once
// Shared by the kernel tests: random data, and a run per instruction set this machine has.

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/core/rng.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/quantize.h"

namespace test {

/// Uniform in [-1, 1).
inline float uniform_float(base::Rng& rng) { return static_cast<float>(rng.uniform() * 2.0 - 1.0); }

inline std::vector<float> random_floats(base::Rng& rng, std::size_t n) {
    std::vector<float> values(n);
    for (float& v : values) v = uniform_float(rng);
    return values;
}

/// Calls body() once per instruction set that kernels were compiled for and this machine runs.
template <class Body>
void for_each_target(Body body) {
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
        SCOPED_TRACE(::testing::Message() << "target " << hwy::TargetName(target));
        hwy::SetSupportedTargetsForTest(target);
        body();
        hwy::SetSupportedTargetsForTest(0);
        if (::testing::Test::HasFailure()) return;
    }
}

/// A random [outs, in] weight in `type`, owning its bytes.
struct RandomWeight {
    RandomWeight(base::Rng& rng, engine::TensorType type, std::size_t outs, std::size_t in) {
        view.type = type;
        view.dims = {in, outs, 1, 1};
        bytes.resize(outs * engine::row_bytes(type, in));
        std::vector<float> row(in);
        for (std::size_t o = 0; o < outs; ++o) {
            for (float& v : row) v = uniform_float(rng);
            engine::quantize_row(type, row.data(), in, bytes.data() + o * engine::row_bytes(type, in));
        }
        view.data = bytes.data();
    }
    engine::TensorView view;
    std::vector<std::byte> bytes;
};

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace test
