#pragma once
// The smallest picture and the smallest sound, in Base64.

#include <string_view>

namespace agent::mcp::conformance {

/// PNG, 1 x 1.
inline constexpr std::string_view kPng =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg"
    "==";
/// WAV without samples.
inline constexpr std::string_view kWav =
    "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

}  // namespace agent::mcp::conformance
