#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/machine_limits.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/machine_limits.h"

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Reads every byte; the result depends on all of them, so that nothing is left out.
std::uint64_t ReadAll(const std::uint64_t* p, std::size_t words) {
    constexpr std::size_t kAheadWords = 2048 / sizeof(std::uint64_t);
    const hn::ScalableTag<std::uint64_t> d;
    const std::size_t lanes = hn::Lanes(d);
    auto a = hn::Zero(d), b = hn::Zero(d), c = hn::Zero(d), e = hn::Zero(d);
    for (std::size_t i = 0; i + 4 * lanes <= words; i += 4 * lanes) {
        for (std::size_t line = 0; line < 4 * lanes; line += 8) {
            hwy::Prefetch(p + i + kAheadWords + line);
        }
        a = hn::Xor(a, hn::LoadU(d, p + i));
        b = hn::Xor(b, hn::LoadU(d, p + i + lanes));
        c = hn::Xor(c, hn::LoadU(d, p + i + 2 * lanes));
        e = hn::Xor(e, hn::LoadU(d, p + i + 3 * lanes));
    }
    return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(c, e))));
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

HWY_EXPORT(ReadAll);

MachineLimits measure_machine_limits(base::ThreadPool& pool, const base::Clock& clock,
                                     std::size_t buffer_bytes) {
    constexpr std::size_t kPartWords = std::size_t{1} << 18;  // 2 MiB per task
    constexpr int kPasses = 8;
    const std::size_t parts = std::max<std::size_t>(1, buffer_bytes / (kPartWords * 8));
    AlignedBuffer buffer;
    auto* words = reinterpret_cast<std::uint64_t*>(buffer.reserve(parts * kPartWords * 8));
    // Written once: memory that was never touched would be one shared page of zeros.
    pool.run(parts, [&](std::size_t part, std::size_t) {
        std::fill_n(words + part * kPartWords, kPartWords, part + 1);
    });
    std::atomic<std::uint64_t> sink{0};
    MachineLimits limits;
    for (int pass = 0; pass < kPasses; ++pass) {
        const base::Instant start = clock.now();
        pool.run(parts, [&](std::size_t part, std::size_t) {
            sink += HWY_DYNAMIC_DISPATCH(ReadAll)(words + part * kPartWords, kPartWords);
        });
        const double seconds = base::to_seconds(clock.now() - start);
        if (seconds <= 0) continue;
        limits.read_bytes_per_second = std::max(
            limits.read_bytes_per_second, static_cast<double>(parts * kPartWords * 8) / seconds);
    }
    return limits;
}

}  // namespace engine
#endif  // HWY_ONCE
