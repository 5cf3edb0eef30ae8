#include <algorithm>
#include <limits>

#include "engine/kernels/reference.h"
#include "kernel_fixture.h"
#include "support/seeds.h"

namespace {

using engine::TensorType;

bool is_float(TensorType type) {
    return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16;
}

/// The widest |w| of each output row times the row's sum |x|: what rounding errors scale with.
std::vector<double> magnitudes(const engine::TensorView& w, const float* x, std::size_t rows) {
    const std::size_t in = w.dims[0], outs = w.rows();
    std::vector<double> result(rows * outs);
    std::vector<float> weights(in);
    for (std::size_t o = 0; o < outs; ++o) {
        engine::dequantize_row(w, o, weights.data());
        double widest = 0;
        for (const float v : weights) widest = std::max<double>(widest, std::fabs(v));
        for (std::size_t r = 0; r < rows; ++r) {
            double sum = 0;
            for (std::size_t i = 0; i < in; ++i) sum += std::fabs(x[r * in + i]);
            result[r * outs + o] = sum * widest;
        }
    }
    return result;
}

struct Shape {
    std::size_t outs, in, rows;
};

Shape random_shape(base::Rng& rng, TensorType type) {
    const std::size_t block = engine::block_shape(type).elements;
    const std::size_t blocks_max = block == 256 ? 5 : block == 32 ? 40 : 200;
    return {1 + rng.below(50), block * (1 + rng.below(blocks_max)), 1 + rng.below(33)};
}

/// Checks one product on every target against the referee on the same rounded activations. Bound:
/// float rounding only, 2e-6 of max|w| * sum|x|; what rounding activations costs is judged by
/// AgreesWithFloatActivations.
void expect_matches_referee(base::ThreadPool& pool, base::Rng& rng, TensorType type, Shape shape) {
    const test::RandomWeight weight(rng, type, shape.outs, shape.in);
    const std::vector<float> x = test::random_floats(rng, shape.rows * shape.in);
    std::vector<float> seen = x;
    if (!is_float(type)) engine::reference::round_trip(x.data(), x.size(), seen.data());
    std::vector<float> expected(shape.rows * shape.outs);
    engine::reference::matmul(weight.view, seen.data(), shape.rows, expected.data(), shape.outs);
    const auto magnitude = magnitudes(weight.view, seen.data(), shape.rows);
    test::for_each_target([&] {
        const std::size_t stride = shape.outs + 3;
        std::vector<float> y(shape.rows * stride, 7.f);
        engine::Activations activations;
        activations.assign(x.data(), shape.rows, shape.in);
        engine::matmul(pool, weight.view, activations, y.data(), stride);
        for (std::size_t r = 0; r < shape.rows; ++r) {
            for (std::size_t o = 0; o < shape.outs; ++o) {
                const std::size_t i = r * shape.outs + o;
                ASSERT_NEAR(y[r * stride + o], expected[i], 2e-6 * magnitude[i] + 1e-12)
                    << "row " << r << " of " << shape.rows << ", output " << o << " of "
                    << shape.outs << ", inputs " << shape.in;
            }
            for (std::size_t o = shape.outs; o < stride; ++o) {
                ASSERT_EQ(y[r * stride + o], 7.f) << "wrote between rows";
            }
        }
    });
}

TEST(Matmul, EveryTypeAndTargetMatchesTheReferee) {
    base::ThreadPool pool(2);
    for (const TensorType type : test::kAllTypes) {
        SCOPED_TRACE(engine::tensor_type_name(type));
        test::for_each_seed(8, [&](base::Rng& rng) {
            expect_matches_referee(pool, rng, type, random_shape(rng, type));
        });
    }
}

// Longer than what is unpacked at a time, for every format.
TEST(Matmul, LongRowsMatchTheReferee) {
    base::ThreadPool pool(2);
    for (const TensorType type : test::kAllTypes) {
        SCOPED_TRACE(engine::tensor_type_name(type));
        base::Rng rng(21);
        expect_matches_referee(pool, rng, type, {18, 256 * 19, 1});
        expect_matches_referee(pool, rng, type, {33, 256 * 17, 9});
    }
}

// An activation is off by at most half a step of its block, max|x| / 254: the sum of such errors
// against |w| bounds the product. Uniform activations keep it under 1/254 of max|w| * in.
TEST(Matmul, AgreesWithFloatActivations) {
    base::ThreadPool pool(2);
    for (const TensorType type : test::kAllTypes) {
        SCOPED_TRACE(engine::tensor_type_name(type));
        base::Rng rng(11);
        const test::RandomWeight weight(rng, type, 20, 512);
        const std::vector<float> x = test::random_floats(rng, 3 * 512);
        std::vector<float> expected(3 * 20), y(3 * 20);
        engine::reference::matmul(weight.view, x.data(), 3, expected.data(), 20);
        const std::vector<float> ones(x.size(), 1.f);
        const auto magnitude = magnitudes(weight.view, ones.data(), 3);
        engine::Activations activations;
        activations.assign(x.data(), 3, 512);
        engine::matmul(pool, weight.view, activations, y.data(), 20);
        for (std::size_t i = 0; i < y.size(); ++i) {
            ASSERT_NEAR(y[i], expected[i], magnitude[i] / 254.0 * 1.001);
        }
    }
}

TEST(Matmul, ARowIsTheSameHoweverManyComeAlong) {
    base::ThreadPool pool(3);
    for (const TensorType type : test::kAllTypes) {
        SCOPED_TRACE(engine::tensor_type_name(type));
        test::for_each_seed(2, [&](base::Rng& rng) {
            const Shape shape = random_shape(rng, type);
            const std::size_t rows = 1 + rng.below(140);
            const test::RandomWeight weight(rng, type, shape.outs, shape.in);
            const std::vector<float> x = test::random_floats(rng, rows * shape.in);
            test::for_each_target([&] {
                std::vector<float> together(rows * shape.outs), alone(rows * shape.outs);
                engine::Activations activations;
                activations.assign(x.data(), rows, shape.in);
                engine::matmul(pool, weight.view, activations, together.data(), shape.outs);
                for (std::size_t r = 0; r < rows; ++r) {
                    activations.assign(x.data() + r * shape.in, 1, shape.in);
                    engine::matmul(pool, weight.view, activations, alone.data() + r * shape.outs,
                                   shape.outs);
                }
                ASSERT_TRUE(test::same_bits(together, alone)) << rows << " rows";
            });
        });
    }
}

TEST(Matmul, NanAndInfinityReachEveryOutputOfTheirRow) {
    base::ThreadPool pool(2);
    for (const TensorType type : test::kAllTypes) {
        SCOPED_TRACE(engine::tensor_type_name(type));
        base::Rng rng(5);
        const test::RandomWeight weight(rng, type, 17, 256);
        for (const float bad :
             {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
            std::vector<float> x = test::random_floats(rng, 3 * 256);
            x[256 + 100] = bad;
            test::for_each_target([&] {
                std::vector<float> y(3 * 17);
                engine::Activations activations;
                activations.assign(x.data(), 3, 256);
                engine::matmul(pool, weight.view, activations, y.data(), 17);
                for (std::size_t o = 0; o < 17; ++o) {
                    ASSERT_TRUE(std::isfinite(y[o]));
                    ASSERT_FALSE(std::isfinite(y[17 + o]));
                    ASSERT_TRUE(std::isfinite(y[34 + o]));
                }
            });
        }
    }
}

TEST(Matmul, ActivationsAreQuantisedAsTheRefereeDoes) {
    base::ThreadPool pool(1);
    base::Rng rng(3);
    // A weight of identity rows in Q8_0 reads the quantised activations back exactly.
    const std::size_t in = 64;
    test::RandomWeight weight(rng, TensorType::q8_0, in, in);
    std::fill(weight.bytes.begin(), weight.bytes.end(), std::byte{0});
    for (std::size_t o = 0; o < in; ++o) {
        for (std::size_t b = 0; b < in / 32; ++b) {
            auto* block = reinterpret_cast<engine::BlockQ8_0*>(weight.bytes.data()) + o * 2 + b;
            block->d = engine::f32_to_f16(1.f);
            if (o / 32 == b) block->qs[o % 32] = 1;
        }
    }
    std::vector<float> x = test::random_floats(rng, in);
    for (std::size_t i = 32; i < in; ++i) x[i] *= 1e-32f;  // a block too small to scale: zeros
    std::vector<float> expected(in);
    engine::reference::round_trip(x.data(), in, expected.data());
    test::for_each_target([&] {
        std::vector<float> y(in);
        engine::Activations activations;
        activations.assign(x.data(), 1, in);
        engine::matmul(pool, weight.view, activations, y.data(), in);
        for (std::size_t i = 0; i < in; ++i) ASSERT_EQ(y[i], expected[i]) << i;
    });
}

TEST(Matmul, EmptyInputsAreNoWork) {
    base::ThreadPool pool(2);
    base::Rng rng(1);
    const test::RandomWeight weight(rng, TensorType::q4_1, 16, 32);
    engine::Activations activations;
    activations.assign(nullptr, 0, 32);
    engine::matmul(pool, weight.view, activations, nullptr, 16);
}

}  // namespace
