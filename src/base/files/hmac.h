#pragma once
// HMAC-SHA256 (RFC 2104): how a receiver knows that bytes come from who shares a key with it.

#include <string>
#include <string_view>

namespace base {

/// The 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view bytes);

}  // namespace base
