#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/activations.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kSmallest = 1e-30f;  // below, 127 / x could overflow

/// Quantises one row of `cols` values.
void QuantizeRow(const float* x, std::size_t cols, const QuantizedRowsOut& out) {
    const hn::CappedTag<float, 16> df;
    const hn::Rebind<std::int32_t, decltype(df)> di32;
    const hn::Rebind<std::int8_t, decltype(df)> di8;
    const std::size_t lanes = hn::Lanes(df);
    for (std::size_t b = 0; b < cols / 32; ++b, x += 32) {
        auto highest = hn::Zero(df);
        auto poison = hn::Zero(df);  // stays 0 unless a value is NaN or infinite
        for (std::size_t i = 0; i < 32; i += lanes) {
            const auto v = hn::LoadU(df, x + i);
            highest = hn::Max(highest, hn::Abs(v));
            poison = hn::MulAdd(v, hn::Zero(df), poison);
        }
        const float amax = hn::GetLane(hn::MaxOfLanes(df, highest));
        const float zero_or_nan = hn::GetLane(hn::SumOfLanes(df, poison));
        const bool usable = zero_or_nan == 0.f && amax > kSmallest;
        const float scale = usable ? amax / 127.f : zero_or_nan;
        const auto inverse = hn::Set(df, usable ? 127.f / amax : 0.f);
        std::int32_t sums[2] = {0, 0};
        for (std::size_t half = 0; half < 2; ++half) {
            auto sum = hn::Zero(di32);
            for (std::size_t i = half * 16; i < half * 16 + 16; i += lanes) {
                const auto v = usable ? hn::LoadU(df, x + i) : hn::Zero(df);
                const auto q = hn::NearestInt(hn::Mul(v, inverse));
                sum = hn::Add(sum, q);
                hn::StoreU(hn::DemoteTo(di8, q), di8, out.q + b * 32 + i);
            }
            sums[half] = hn::GetLane(hn::SumOfLanes(di32, sum));
            out.sum16[b * 2 + half] = sums[half];
        }
        out.scale[b] = scale;
        out.sum32[b] = sums[0] + sums[1];
        out.scaled_sum[b] = scale * static_cast<float>(sums[0] + sums[1]);
    }
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

HWY_EXPORT(QuantizeRow);

const QuantizedRows& quantized_form(base::ThreadPool& pool, Activations::Impl& x) {
    if (x.quantized) return x.quantized_rows;
    DG_CHECK(x.cols % QuantizedRows::kBlock == 0, "quantised weights have rows of whole blocks");
    const std::size_t values = x.rows * x.cols;
    const std::size_t blocks = values / QuantizedRows::kBlock;
    // Every part's size is a multiple of its own alignment needs; kernels load unaligned.
    std::byte* at = x.forms.reserve(values + blocks * (3 * 4 + 2 * 4));
    const auto part = [&](std::size_t bytes) {
        std::byte* begin = at;
        at += bytes;
        return begin;
    };
    QuantizedRowsOut out{};
    out.q = reinterpret_cast<std::int8_t*>(part(values));
    out.scale = reinterpret_cast<float*>(part(blocks * 4));
    out.scaled_sum = reinterpret_cast<float*>(part(blocks * 4));
    out.sum32 = reinterpret_cast<std::int32_t*>(part(blocks * 4));
    out.sum16 = reinterpret_cast<std::int32_t*>(part(blocks * 8));
    const std::size_t row_blocks = x.cols / QuantizedRows::kBlock;
    constexpr std::size_t kRowsPerTask = 8;
    pool.run((x.rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::size_t task, std::size_t) {
        const std::size_t end = std::min(x.rows, (task + 1) * kRowsPerTask);
        for (std::size_t r = task * kRowsPerTask; r < end; ++r) {
            const QuantizedRowsOut row{out.q + r * x.cols, out.scale + r * row_blocks,
                                       out.scaled_sum + r * row_blocks, out.sum32 + r * row_blocks,
                                       out.sum16 + r * row_blocks * 2};
            HWY_DYNAMIC_DISPATCH(QuantizeRow)(x.x + r * x.cols, x.cols, row);
        }
    });
    x.quantized_rows =
        QuantizedRows{out.q, out.scale, out.scaled_sum, out.sum32, out.sum16, x.cols};
    x.quantized = true;
    return x.quantized_rows;
}

}  // namespace engine
#endif  // HWY_ONCE
