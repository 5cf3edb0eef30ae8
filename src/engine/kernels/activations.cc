#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/activations.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/product_plan.h"

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

namespace {

constexpr std::size_t kRowsPerTask = 8;

/// f(row) for all rows, some at a time.
template <class F>
void for_rows(base::ThreadPool& pool, std::size_t rows, F f) {
    pool.run((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::size_t task, std::size_t) {
        const std::size_t end = std::min(rows, (task + 1) * kRowsPerTask);
        for (std::size_t r = task * kRowsPerTask; r < end; ++r) f(r);
    });
}

QuantizedRowsOut reserve_quantized(Activations::Impl& x) {
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
    return out;
}

void copy_row(const QuantizedRows& from, std::size_t from_row, const QuantizedRowsOut& to,
              std::size_t to_row) {
    const std::size_t cols = from.cols, blocks = from.blocks();
    std::copy_n(from.q + from_row * cols, cols, to.q + to_row * cols);
    std::copy_n(from.scale + from_row * blocks, blocks, to.scale + to_row * blocks);
    std::copy_n(from.scaled_sum + from_row * blocks, blocks, to.scaled_sum + to_row * blocks);
    std::copy_n(from.sum32 + from_row * blocks, blocks, to.sum32 + to_row * blocks);
    std::copy_n(from.sum16 + from_row * blocks * 2, blocks * 2, to.sum16 + to_row * blocks * 2);
}

}  // namespace

const QuantizedRows& quantized_form(base::ThreadPool& pool, Activations::Impl& x) {
    if (x.quantized) return x.quantized_rows;
    DG_CHECK(x.cols % QuantizedRows::kBlock == 0, "quantised weights have rows of whole blocks");
    const QuantizedRowsOut out = reserve_quantized(x);
    if (x.source != nullptr) {
        const QuantizedRows& from = quantized_form(pool, *x.source);
        for_rows(pool, x.rows, [&](std::size_t r) { copy_row(from, x.source_rows[r], out, r); });
    } else {
        const std::size_t blocks = x.cols / QuantizedRows::kBlock;
        for_rows(pool, x.rows, [&](std::size_t r) {
            const QuantizedRowsOut row{out.q + r * x.cols, out.scale + r * blocks,
                                       out.scaled_sum + r * blocks, out.sum32 + r * blocks,
                                       out.sum16 + r * blocks * 2};
            HWY_DYNAMIC_DISPATCH(QuantizeRow)(x.x + r * x.cols, x.cols, row);
        });
    }
    x.quantized_rows =
        QuantizedRows{out.q, out.scale, out.scaled_sum, out.sum32, out.sum16, x.cols};
    x.quantized = true;
    return x.quantized_rows;
}

const float* float_form(base::ThreadPool& pool, Activations::Impl& x) {
    if (x.x != nullptr || x.source == nullptr) return x.x;
    const float* from = float_form(pool, *x.source);
    auto* rows = reinterpret_cast<float*>(x.gathered.reserve(x.rows * x.cols * sizeof(float)));
    for_rows(pool, x.rows, [&](std::size_t r) {
        std::copy_n(from + x.source_rows[r] * x.cols, x.cols, rows + r * x.cols);
    });
    return x.x = rows;
}

Activations::Activations() : impl_(std::make_unique<Impl>()) {}
Activations::~Activations() = default;
Activations::Activations(Activations&&) noexcept = default;
Activations& Activations::operator=(Activations&&) noexcept = default;

void Activations::assign(const float* x, std::size_t rows, std::size_t cols) {
    impl_->x = x;
    impl_->rows = rows;
    impl_->cols = cols;
    impl_->source = nullptr;
    impl_->quantized = false;
}

void Activations::assign_rows(Activations& from, std::span<const std::uint32_t> rows) {
    assign(nullptr, rows.size(), from.impl_->cols);
    impl_->source = from.impl_.get();
    impl_->source_rows = rows;
}

}  // namespace engine
#endif  // HWY_ONCE
