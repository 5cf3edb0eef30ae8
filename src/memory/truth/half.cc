#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "memory/truth/half.cc"
#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <cstring>

#include "memory/truth/half.h"

HWY_BEFORE_NAMESPACE();
namespace memory::truth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void ToHalf(const float* from, std::size_t count, hwy::float16_t* to) {
    const hn::ScalableTag<float> f32;
    const hn::Rebind<hwy::float16_t, decltype(f32)> f16;
    const std::size_t lanes = hn::Lanes(f32);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        hn::StoreU(hn::DemoteTo(f16, hn::LoadU(f32, from + i)), f16, to + i);
    }
    const hn::CappedTag<float, 1> one;
    const hn::Rebind<hwy::float16_t, decltype(one)> half;
    for (; i < count; ++i) {
        hn::StoreU(hn::DemoteTo(half, hn::LoadU(one, from + i)), half, to + i);
    }
}

void FromHalf(const hwy::float16_t* from, std::size_t count, float* to) {
    const hn::ScalableTag<float> f32;
    const hn::Rebind<hwy::float16_t, decltype(f32)> f16;
    const std::size_t lanes = hn::Lanes(f32);
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        hn::StoreU(hn::PromoteTo(f32, hn::LoadU(f16, from + i)), f32, to + i);
    }
    const hn::CappedTag<float, 1> one;
    const hn::Rebind<hwy::float16_t, decltype(one)> half;
    for (; i < count; ++i) {
        hn::StoreU(hn::PromoteTo(one, hn::LoadU(half, from + i)), one, to + i);
    }
}

}  // namespace memory::truth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace memory::truth {
namespace {
HWY_EXPORT(ToHalf);
HWY_EXPORT(FromHalf);
}  // namespace

std::string to_half(std::span<const float> numbers) {
    std::string bytes(numbers.size() * sizeof(hwy::float16_t), '\0');
    HWY_DYNAMIC_DISPATCH(ToHalf)
    (numbers.data(), numbers.size(), reinterpret_cast<hwy::float16_t*>(bytes.data()));
    return bytes;
}

std::vector<float> from_half(std::string_view bytes) {
    // Rows of a database start at any byte.
    std::vector<hwy::float16_t> halves(bytes.size() / sizeof(hwy::float16_t));
    std::memcpy(halves.data(), bytes.data(), halves.size() * sizeof(hwy::float16_t));
    std::vector<float> numbers(halves.size());
    HWY_DYNAMIC_DISPATCH(FromHalf)(halves.data(), halves.size(), numbers.data());
    return numbers;
}

}  // namespace memory::truth
#endif
