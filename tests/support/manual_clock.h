#pragma once
// A clock that stands until it is moved.

#include <atomic>

#include "base/core/clock.h"

namespace test {

class ManualClock final : public base::Clock {
public:
    base::Instant now() const override { return base::Instant{ns_}; }
    std::int64_t unix_ns() const override { return kEpochNs + ns_; }
    void advance(base::Duration by) { ns_ += by.count(); }

private:
    static constexpr std::int64_t kEpochNs = 1'700'000'000'000'000'000;
    std::atomic<std::int64_t> ns_{0};
};

}  // namespace test
