#pragma once
// Conversations as clients send them, checked and brought into the one shape that templates know.

#include <string>

#include "base/core/result.h"
#include "base/json/json.h"

namespace gate {

/// Content parts are joined, `developer` becomes `system`, tool calls are complete, and each
/// message of role tool answers a call of the assistant message before it. Errors name the place
/// below `path`.
base::Result<base::json::array> parse_messages(const base::json::array& messages,
                                               const std::string& path);

}  // namespace gate
