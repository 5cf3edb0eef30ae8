#pragma once
// Time that stands until it is moved.

#include <atomic>
#include <cstdint>

#include "base/core/check.h"
#include "base/core/clock.h"

namespace base::sim {

/// The wall clock runs along and can be set, as administrators and NTP do. Thread-safe.
class SimClock final : public Clock {
public:
    Instant now() const override { return Instant{ns_}; }
    std::int64_t unix_ns() const override { return ns_ + wall_ahead_ns_; }

    void advance(Duration by) {
        DG_CHECK(by.count() >= 0, "a monotonic clock does not go back");
        ns_ += by.count();
    }
    void set_unix_ns(std::int64_t unix_ns) { wall_ahead_ns_ = unix_ns - ns_; }

private:
    std::atomic<std::int64_t> ns_{0};
    std::atomic<std::int64_t> wall_ahead_ns_{1'700'000'000'000'000'000};
};

}  // namespace base::sim
