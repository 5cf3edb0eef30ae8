#pragma once
// The calculator and the clock: what a model is bad at and a line of code is good at.

#include <cstdint>
#include <string_view>

#include "base/json/json.h"

namespace agent {

/// {"result": number or truth} of a formula. Errors: invalid_argument (no formula, or one that
/// gives no number), resource_exhausted.
base::Result<base::json::object> calculate(std::string_view expression);

/// {"utc": "2026-12-01T10:30:00Z", "weekday": "Tuesday", "unix_s"}.
base::json::object clock_reading(std::int64_t unix_s);

}  // namespace agent
