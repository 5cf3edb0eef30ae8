#pragma once
// The machine's clock, which a test may move ahead: for what runs in threads of its own.

#include <atomic>

#include "base/core/clock.h"

namespace test {

class MovedClock final : public base::Clock {
public:
    base::Instant now() const override { return system_.now() + base::Duration(ahead_ns_); }
    std::int64_t unix_ns() const override { return system_.unix_ns() + ahead_ns_; }
    void advance(base::Duration by) { ahead_ns_ += by.count(); }

private:
    base::SystemClock system_;
    std::atomic<std::int64_t> ahead_ns_{0};
};

}  // namespace test
