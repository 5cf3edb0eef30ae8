#include "engine/kernels/machine_limits.h"

#include <cmath>

#include "kernel_fixture.h"

namespace {

TEST(MachineLimits, ReadsMemoryAtAPlausibleRate) {
    base::ThreadPool pool(2);
    const base::SystemClock clock;
    const auto limits = engine::measure_machine_limits(pool, clock, std::size_t{8} << 20);
    // Wide on purpose: under it nothing could be served, over it no machine reads.
    EXPECT_GT(limits.read_bytes_per_second, 1e7);
    EXPECT_LT(limits.read_bytes_per_second, 1e14);
}

TEST(MachineLimits, AClockThatStandsStillGivesNothing) {
    class Stopped final : public base::Clock {
    public:
        base::Instant now() const override { return {}; }
        std::int64_t unix_ns() const override { return 0; }
    };
    base::ThreadPool pool(1);
    EXPECT_EQ(engine::measure_machine_limits(pool, Stopped(), 1).read_bytes_per_second, 0.0);
}

}  // namespace
