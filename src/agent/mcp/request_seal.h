#pragma once
// What a server wants to remember between two rounds of a call, on its way through the client:
// sealed, so that nobody reads or changes it; bound to who asked and to the call; gone stale after
// a while.

#include <string>
#include <string_view>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/files/aead.h"
#include "base/json/json.h"

namespace agent::mcp {

/// Immutable; any thread may use it.
class RequestSeal {
public:
    /// `key`: the same in all processes that clients may come to; of chance without more than one.
    RequestSeal(const base::SecretKey& key, const base::Clock& clock,
                std::chrono::milliseconds keep = std::chrono::hours(24))
        : key_(key), clock_(clock), keep_(keep) {}

    /// Base64. `bound`: what must be the same when it comes back.
    std::string close(const base::json::value& state, std::string_view bound) const;
    /// Errors: invalid_argument: not ours, of another call, or too old.
    base::Result<base::json::value> open(std::string_view text, std::string_view bound) const;

private:
    const base::SecretKey key_;
    const base::Clock& clock_;
    const std::chrono::milliseconds keep_;
};

}  // namespace agent::mcp
