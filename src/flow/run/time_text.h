#pragma once
// Moments as people and programs write them in a workflow.

#include <cstdint>

#include "base/core/result.h"
#include "base/json/json.h"

namespace flow {

/// Milliseconds since 1970: of RFC 3339 text ("2026-12-01T09:00:00Z", "...+08:00") or a number of
/// seconds since 1970. Errors: invalid_argument.
base::Result<std::int64_t> moment_ms(const base::json::value& value);

}  // namespace flow
