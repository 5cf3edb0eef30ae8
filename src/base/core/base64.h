#pragma once
// Base64 (RFC 4648, section 4) for bytes on their way into JSON and out of it.

#include <optional>
#include <string>
#include <string_view>

namespace base {

/// Appends `bytes` in the standard alphabet, with padding.
void append_base64(std::string& out, std::string_view bytes);

/// Nothing when `text` is no Base64 with padding.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace base
