#pragma once
// Shared by the kernel tests: random data, and a run per instruction set this machine has.

#include "engine/kernels/simd_targets.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/core/rng.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/tensor_view.h"

namespace test {

/// Uniform in [-1, 1).
inline float uniform_float(base::Rng& rng) {
    return static_cast<float>(rng.uniform() * 2.0 - 1.0);
}

inline std::vector<float> random_floats(base::Rng& rng, std::size_t n) {
    std::vector<float> values(n);
    for (float& v : values) v = uniform_float(rng);
    return values;
}

/// Calls body() once per instruction set that kernels were compiled for and this machine runs.
template <class Body>
void for_each_target(Body body) {
    const std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
    for (std::int64_t left = targets; left != 0; left &= left - 1) {
        const std::int64_t target = left & -left;
        SCOPED_TRACE(::testing::Message() << "target " << hwy::TargetName(target));
        hwy::SetSupportedTargetsForTest(target);
        body();
        hwy::SetSupportedTargetsForTest(0);
        if (::testing::Test::HasFailure()) return;
    }
}

constexpr engine::TensorType kAllTypes[] = {
    engine::TensorType::f32,  engine::TensorType::f16,  engine::TensorType::bf16,
    engine::TensorType::q8_0, engine::TensorType::q4_0, engine::TensorType::q4_1,
    engine::TensorType::q5_0, engine::TensorType::q5_1, engine::TensorType::q2_k,
    engine::TensorType::q3_k, engine::TensorType::q4_k, engine::TensorType::q5_k,
    engine::TensorType::q6_k};

/// Byte offsets of a block's F16 scale and minimum; -1 for none.
struct HalfFields {
    int d, m;
};
inline HalfFields half_fields(engine::TensorType type) {
    using enum engine::TensorType;
    switch (type) {
        case q4_0:
        case q5_0:
        case q8_0:
            return {0, -1};
        case q4_1:
        case q5_1:
        case q4_k:
        case q5_k:
            return {0, 2};
        case q2_k:
            return {80, 82};
        case q3_k:
            return {108, -1};
        case q6_k:
            return {208, -1};
        case f32:
        case f16:
        case bf16:
            break;
    }
    return {-1, -1};
}

/// A random [outs, in] weight in `type`, owning its bytes. Quantised blocks are random bits, so
/// that codes and scales no quantiser would write are met too; only their F16 fields are tame.
struct RandomWeight {
    RandomWeight(base::Rng& rng, engine::TensorType type, std::size_t outs, std::size_t in) {
        view.type = type;
        view.dims = {in, outs, 1, 1};
        bytes.resize(outs * engine::row_bytes(type, in));
        const engine::BlockShape block = engine::block_shape(type);
        for (std::size_t at = 0; at < bytes.size(); at += block.bytes) fill(rng, at, block.bytes);
        view.data = bytes.data();
    }
    engine::TensorView view;
    std::vector<std::byte> bytes;

private:
    void fill(base::Rng& rng, std::size_t at, std::size_t size) {
        if (view.type == engine::TensorType::f32) return put(at, uniform_float(rng));
        if (view.type == engine::TensorType::f16) {
            return put(at, engine::f32_to_f16(uniform_float(rng)));
        }
        if (view.type == engine::TensorType::bf16) {
            return put(at, engine::f32_to_bf16(uniform_float(rng)));
        }
        for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<std::byte>(rng.next());
        const HalfFields fields = half_fields(view.type);
        put(at + static_cast<std::size_t>(fields.d),
            engine::f32_to_f16(uniform_float(rng) * 0.01f));
        if (fields.m >= 0) {
            put(at + static_cast<std::size_t>(fields.m),
                engine::f32_to_f16(uniform_float(rng) * 0.01f));
        }
    }
    template <class T>
    void put(std::size_t at, T value) {
        std::memcpy(bytes.data() + at, &value, sizeof(value));
    }
};

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace test
