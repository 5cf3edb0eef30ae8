#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "memory/index/kernels.cc"
#include "memory/index/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "memory/index/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace memory::index::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

std::uint64_t SignDistances(const std::uint64_t* block, const std::uint64_t* query,
                            std::size_t words, std::uint16_t limit, std::uint16_t* distances) {
    const hn::CappedTag<std::uint64_t, 8> d;  // a lane is a slot
    const std::size_t lanes = hn::Lanes(d);
    HWY_ALIGN std::uint64_t sums[8];
    std::uint64_t near = 0;
    for (std::size_t at = 0; at < kBlockSlots; at += lanes) {
        auto sum = hn::Zero(d);
        for (std::size_t w = 0; w < words; ++w) {
            const auto code = hn::LoadU(d, block + w * kBlockSlots + at);
            sum = hn::Add(sum, hn::PopulationCount(hn::Xor(code, hn::Set(d, query[w]))));
        }
        hn::Store(sum, d, sums);
        for (std::size_t i = 0; i < lanes; ++i) {
            distances[at + i] = static_cast<std::uint16_t>(sums[i]);
            near |= std::uint64_t{sums[i] <= limit} << (at + i);
        }
    }
    return near;
}

std::int32_t DotCoarse(const std::int8_t* codes, const std::int16_t* query, std::size_t dims) {
    std::size_t at = 0;
    std::int32_t sum = 0;
#if HWY_TARGET != HWY_SCALAR
    const hn::ScalableTag<std::int16_t> d16;
    const hn::Rebind<std::int8_t, decltype(d16)> d8;
    const hn::ScalableTag<std::int32_t> d32;
    const std::size_t lanes = hn::Lanes(d16);
    auto sum0 = hn::Zero(d32), sum1 = hn::Zero(d32);
    for (; at + lanes <= dims; at += lanes) {
        const auto code = hn::PromoteTo(d16, hn::LoadU(d8, codes + at));
        sum0 = hn::ReorderWidenMulAccumulate(d32, code, hn::LoadU(d16, query + at), sum0, sum1);
    }
    sum = hn::GetLane(hn::SumOfLanes(d32, hn::Add(sum0, sum1)));
#endif
    for (; at < dims; ++at) sum += std::int32_t{codes[at]} * query[at];
    return sum;
}

float DotFine(const std::int8_t* coarse, const std::int8_t* fine, const float* query,
              std::size_t dims) {
    const hn::ScalableTag<float> d;
    const hn::Rebind<std::int32_t, decltype(d)> d32;
    const hn::Rebind<std::int8_t, decltype(d)> d8;
    const std::size_t lanes = hn::Lanes(d);
    auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
    std::size_t at = 0;
    for (; at + lanes <= dims; at += lanes) {
        const auto upper = hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, coarse + at)));
        const auto lower = hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, fine + at)));
        const auto q = hn::LoadU(d, query + at);
        sum0 = hn::MulAdd(upper, q, sum0);
        sum1 = hn::MulAdd(lower, q, sum1);
    }
    const auto sums = hn::MulAdd(sum0, hn::Set(d, 256.f), sum1);
    float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    for (; at < dims; ++at) {
        sum += static_cast<float>(256 * coarse[at] + fine[at]) * query[at];
    }
    return sum;
}

}  // namespace memory::index::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace memory::index {

HWY_EXPORT(SignDistances);
HWY_EXPORT(DotCoarse);
HWY_EXPORT(DotFine);

std::uint64_t sign_distances(const std::uint64_t* block, const std::uint64_t* query,
                             std::size_t words, std::uint16_t limit, std::uint16_t* distances) {
    return HWY_DYNAMIC_DISPATCH(SignDistances)(block, query, words, limit, distances);
}

std::int32_t dot_coarse(const std::int8_t* codes, const std::int16_t* query, std::size_t dims) {
    return HWY_DYNAMIC_DISPATCH(DotCoarse)(codes, query, dims);
}

float dot_fine(const std::int8_t* coarse, const std::int8_t* fine, const float* query,
               std::size_t dims) {
    return HWY_DYNAMIC_DISPATCH(DotFine)(coarse, fine, query, dims);
}

}  // namespace memory::index
#endif  // HWY_ONCE
