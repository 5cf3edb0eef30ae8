#pragma once
// Time comes in through this seam, so that simulations and tests own it.

#include <chrono>
#include <compare>
#include <cstdint>

namespace base {

using Duration = std::chrono::nanoseconds;

/// A point on a clock that never goes back. Meaningful only against the same Clock.
struct Instant {
    std::int64_t ns = 0;

    auto operator<=>(const Instant&) const = default;
    friend Instant operator+(Instant at, Duration by) { return Instant{at.ns + by.count()}; }
    friend Duration operator-(Instant a, Instant b) { return Duration{a.ns - b.ns}; }
    static constexpr Instant never() { return Instant{INT64_MAX}; }
};

inline double to_seconds(Duration d) {
    return std::chrono::duration<double>(d).count();
}
inline double to_millis(Duration d) {
    return std::chrono::duration<double, std::milli>(d).count();
}

class Clock {
public:
    virtual ~Clock() = default;
    /// Monotonic. Thread-safe.
    virtual Instant now() const = 0;
    /// Wall time, nanoseconds since 1970-01-01 UTC; may jump. Thread-safe.
    virtual std::int64_t unix_ns() const = 0;
};

/// The machine's clocks. Stateless: one instance, made by app, is passed by reference.
class SystemClock final : public Clock {
public:
    Instant now() const override;
    std::int64_t unix_ns() const override;
};

}  // namespace base
