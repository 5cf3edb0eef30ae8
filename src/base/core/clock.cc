#include "base/core/clock.h"

namespace base {

Instant SystemClock::now() const {
    return Instant{
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())
            .count()};
}

std::int64_t SystemClock::unix_ns() const {
    return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace base
