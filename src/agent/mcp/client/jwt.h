#pragma once
// Signed claims (RFC 7515, 7519), as a client proves itself to an authorization server without a
// secret that both know (RFC 7523).

#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

/// Of the URL alphabet, without padding.
std::string base64_url(std::string_view bytes);

/// `algorithm`: ES256, RS256 or PS256; empty: the one that fits the key. `key_pem`: a private key.
/// Errors: invalid_argument: no key, or one that does not fit.
base::Result<std::string> sign_jwt(const base::json::object& claims, const std::string& key_pem,
                                   std::string_view algorithm);

}  // namespace agent::mcp
