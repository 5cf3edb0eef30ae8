// Every tensor type against values decoded by an independent program (data/make_types_gguf.py),
// and the quantiser against error bounds.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/model_files/gguf.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/quantize.h"
#include "support/seeds.h"

namespace {

using engine::TensorType;

const std::string kTypes =
    std::string(DG_SOURCE_DIR) + "/tests/unit/engine/model_files/data/types.gguf";

std::string lower(std::string_view name) {
    std::string text(name);
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

std::vector<float> floats(const engine::TensorView& tensor) {
    std::vector<float> values(tensor.elements());
    std::memcpy(values.data(), tensor.data, tensor.bytes());
    return values;
}

constexpr TensorType kAllTypes[] = {
    TensorType::f32,  TensorType::f16,  TensorType::bf16, TensorType::q8_0, TensorType::q4_0,
    TensorType::q4_1, TensorType::q5_0, TensorType::q5_1, TensorType::q2_k, TensorType::q3_k,
    TensorType::q4_k, TensorType::q5_k, TensorType::q6_k};

TEST(DequantizeRow, AgreesWithAnIndependentProgramForEveryType) {
    const auto file = engine::GgufFile::open(kTypes);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    for (const TensorType type : kAllTypes) {
        if (type == TensorType::f32) continue;
        const std::string name = lower(engine::tensor_type_name(type));
        SCOPED_TRACE(name);
        const auto stored = file->tensor(name + ".stored");
        const auto expected = file->tensor(name + ".expected");
        ASSERT_TRUE(stored.has_value() && expected.has_value());
        ASSERT_EQ(stored->type, type);
        std::vector<float> actual(stored->elements());
        engine::dequantize_row(type, stored->data, actual.size(), actual.data());
        const std::vector<float> wanted = floats(*expected);
        for (std::size_t i = 0; i < actual.size(); ++i) {
            // The package may order a product differently: one unit in the last place of the terms.
            const float slack = 1e-6f * (std::abs(wanted[i]) + 1.f);
            ASSERT_NEAR(actual[i], wanted[i], slack) << "element " << i;
        }
    }
}

TEST(QuantizeRow, EncodesQ8_0AsOtherProgramsDo) {
    const auto file = engine::GgufFile::open(kTypes);
    ASSERT_TRUE(file.has_value());
    const auto values = file->tensor("f32.stored");
    const auto encoded = file->tensor("q8_0.encoded");
    ASSERT_TRUE(values.has_value() && encoded.has_value());
    std::vector<std::byte> actual(encoded->bytes());
    engine::quantize_row(TensorType::q8_0, floats(*values).data(), values->elements(),
                         actual.data());
    EXPECT_EQ(std::memcmp(actual.data(), encoded->data, actual.size()), 0);
}

/// Upper bounds for rmse / standard deviation on normal values, a few percent above what the search
/// reaches. The plain extreme-value scale would miss them: it gives 0.0865 for Q4_0, 0.0785 for
/// Q4_1, 0.0430 for Q5_0, 0.0380 for Q5_1 (measured with the `gguf` package).
struct Bound {
    TensorType type;
    double relative_rmse;
};
constexpr Bound kBounds[] = {
    {TensorType::f32, 0.0},     {TensorType::f16, 2.5e-4},  {TensorType::bf16, 2e-3},
    {TensorType::q8_0, 0.0057}, {TensorType::q4_0, 0.0845}, {TensorType::q4_1, 0.0745},
    {TensorType::q5_0, 0.0418}, {TensorType::q5_1, 0.0360}, {TensorType::q2_k, 0.295},
    {TensorType::q3_k, 0.155},  {TensorType::q4_k, 0.0755}, {TensorType::q5_k, 0.0380},
    {TensorType::q6_k, 0.0182}};

std::vector<float> normal_values(base::Rng& rng, std::size_t n, float scale) {
    std::vector<float> values(n);
    for (float& value : values) {
        const double radius = std::sqrt(-2.0 * std::log(1.0 - rng.uniform()));
        value = scale * static_cast<float>(radius * std::cos(6.283185307179586 * rng.uniform()));
    }
    return values;
}

double relative_rmse(TensorType type, const std::vector<float>& values) {
    std::vector<std::byte> stored(engine::row_bytes(type, values.size()));
    std::vector<float> back(values.size());
    engine::quantize_row(type, values.data(), values.size(), stored.data());
    engine::dequantize_row(type, stored.data(), back.size(), back.data());
    double error = 0, total = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        error += std::pow(static_cast<double>(back[i]) - values[i], 2);
        total += std::pow(static_cast<double>(values[i]), 2);
    }
    return std::sqrt(error / total);
}

TEST(QuantizeRow, KeepsTheErrorOfEveryTypeUnderItsBound) {
    for (const Bound& bound : kBounds) {
        SCOPED_TRACE(std::string(engine::tensor_type_name(bound.type)));
        test::for_each_seed(3, [&](base::Rng& rng) {
            for (const float scale : {1.f, 0.02f}) {
                const double error = relative_rmse(bound.type, normal_values(rng, 16384, scale));
                EXPECT_LE(error, bound.relative_rmse);
            }
        });
    }
}

TEST(QuantizeRow, KeepsConstantAndZeroRows) {
    for (const TensorType type : kAllTypes) {
        SCOPED_TRACE(std::string(engine::tensor_type_name(type)));
        const std::vector<float> zeros(512, 0.f);
        std::vector<std::byte> stored(engine::row_bytes(type, zeros.size()));
        std::vector<float> back(zeros.size(), 1.f);
        engine::quantize_row(type, zeros.data(), zeros.size(), stored.data());
        engine::dequantize_row(type, stored.data(), back.size(), back.data());
        EXPECT_EQ(back, zeros);
        for (const float value : {0.37f, -0.37f}) {
            EXPECT_LE(relative_rmse(type, std::vector<float>(512, value)), 0.07) << value;
        }
    }
}

TEST(QuantizeRow, StaysFiniteForHugeAndTinyValues) {
    for (const TensorType type : kAllTypes) {
        SCOPED_TRACE(std::string(engine::tensor_type_name(type)));
        for (const float scale : {1e-30f, 1e-8f, 6e4f, 3e6f}) {
            if (type == TensorType::f16 && scale > 6e4f) continue;  // infinity is its answer
            base::Rng rng(7);
            const auto values = normal_values(rng, 512, scale == 6e4f ? 1e4f : scale);
            std::vector<std::byte> stored(engine::row_bytes(type, values.size()));
            std::vector<float> back(values.size());
            engine::quantize_row(type, values.data(), values.size(), stored.data());
            engine::dequantize_row(type, stored.data(), back.size(), back.data());
            for (const float value : back) ASSERT_TRUE(std::isfinite(value)) << scale;
        }
    }
}

TEST(HalfPrecision, SurvivesARoundTripOfEveryBitPattern) {
    for (std::uint32_t bits = 0; bits <= 0xffffu; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        const float value = engine::f16_to_f32(half);
        if (std::isnan(value)) {
            EXPECT_TRUE(std::isnan(engine::f16_to_f32(engine::f32_to_f16(value)))) << bits;
            continue;
        }
        ASSERT_EQ(engine::f32_to_f16(value), half) << bits;
    }
    EXPECT_EQ(engine::f16_to_f32(0x3c00), 1.f);
    EXPECT_EQ(engine::f16_to_f32(0x0001), 0x1p-24f);
    EXPECT_EQ(engine::f16_to_f32(0x7bff), 65504.f);
    EXPECT_TRUE(std::isinf(engine::f16_to_f32(0xfc00)));
}

TEST(HalfPrecision, RoundsToNearestEven) {
    EXPECT_EQ(engine::f32_to_f16(65519.f), 0x7bff);
    EXPECT_EQ(engine::f32_to_f16(65520.f), 0x7c00);
    EXPECT_EQ(engine::f32_to_f16(1.f + 0x1p-11f), 0x3c00);      // tie, even below
    EXPECT_EQ(engine::f32_to_f16(1.f + 3 * 0x1p-11f), 0x3c02);  // tie, even above
    EXPECT_EQ(engine::f32_to_f16(0x1p-25f), 0x0000);            // tie with zero
    EXPECT_EQ(engine::f32_to_f16(std::nextafter(0x1p-25f, 1.f)), 0x0001);
    EXPECT_EQ(engine::f32_to_f16(-0.f), 0x8000);
    // Against the definition, over random bit patterns: no other half is nearer.
    test::for_each_seed(1, [](base::Rng& rng) {
        for (int i = 0; i < 200'000; ++i) {
            const float value = std::bit_cast<float>(static_cast<std::uint32_t>(rng.next()));
            if (!(std::abs(value) < 65504.f)) continue;
            const std::uint16_t half = engine::f32_to_f16(value);
            const double error = std::abs(static_cast<double>(engine::f16_to_f32(half)) - value);
            const auto up = static_cast<std::uint16_t>(half + 1);
            const auto down = static_cast<std::uint16_t>(half - 1);
            if ((half & 0x7fff) < 0x7bff) {
                ASSERT_LE(error, std::abs(static_cast<double>(engine::f16_to_f32(up)) - value));
            }
            if ((half & 0x7fff) > 0) {
                ASSERT_LE(error, std::abs(static_cast<double>(engine::f16_to_f32(down)) - value));
            }
        }
    });
}

TEST(BrainFloat, RoundsToNearestEvenAndKeepsNan) {
    EXPECT_EQ(engine::f32_to_bf16(1.f), 0x3f80);
    EXPECT_EQ(engine::f32_to_bf16(1.f + 0x1p-8f), 0x3f80);
    EXPECT_EQ(engine::f32_to_bf16(1.f + 3 * 0x1p-8f), 0x3f82);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(engine::bf16_to_f32(engine::f32_to_bf16(nan))));
}

}  // namespace
