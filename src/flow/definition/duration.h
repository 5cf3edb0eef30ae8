#pragma once
// Spans of time as people write them.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace flow {

/// "250ms", "30s", "5m", "2h30m", "1.5h", "3d", "2w"; a bare number is seconds. Units from large to
/// small, each once; at most ten years. Empty for anything else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The shortest such text.
std::string duration_text(std::chrono::milliseconds duration);

}  // namespace flow
