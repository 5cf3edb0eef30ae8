#include "engine/batch/gap_window.h"

#include <algorithm>
#include <cmath>

namespace engine {
namespace {

constexpr std::int64_t kSlotNs = 5'000'000'000;
constexpr double kBucketsPerOctave = 8.;

double bucket_ms(std::size_t bucket) {
    return std::exp2(static_cast<double>(bucket) / kBucketsPerOctave) / 1000.;
}

}  // namespace

void GapWindow::add(base::Instant now, base::Duration gap) {
    const std::int64_t number = now.ns / kSlotNs;
    Slot& slot = slots_[static_cast<std::size_t>(number) % kSlots];
    if (slot.number != number) slot = Slot{.number = number};
    const double us = std::max(1., base::to_seconds(gap) * 1e6);
    const auto bucket = static_cast<std::size_t>(std::lround(std::log2(us) * kBucketsPerOctave));
    ++slot.buckets[std::min(bucket, kBuckets - 1)];
    ++slot.count;
    slot.max_us = std::max(slot.max_us, us);
}

TokenGaps GapWindow::read(base::Instant now) const {
    const std::int64_t newest = now.ns / kSlotNs;
    std::array<std::uint64_t, kBuckets> buckets{};
    std::uint64_t count = 0;
    TokenGaps gaps;
    for (const Slot& slot : slots_) {
        if (slot.number < 0 || slot.number <= newest - static_cast<std::int64_t>(kSlots)) continue;
        for (std::size_t i = 0; i < kBuckets; ++i) buckets[i] += slot.buckets[i];
        count += slot.count;
        gaps.max_ms = std::max(gaps.max_ms, slot.max_us / 1000.);
    }
    const auto quantile_ms = [&](double share) {
        const auto wanted =
            static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count)));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < kBuckets; ++i) {
            seen += buckets[i];
            if (seen >= wanted) return std::min(bucket_ms(i), gaps.max_ms);
        }
        return gaps.max_ms;
    };
    if (count == 0) return gaps;
    gaps.p50_ms = quantile_ms(0.5);
    gaps.p99_ms = quantile_ms(0.99);
    return gaps;
}

}  // namespace engine
