#pragma once
// Host names in arguments and patterns, in one spelling: lower case, no dot at the end.

#include <string>
#include <string_view>

#include "base/core/result.h"

namespace sphere::policy {

/// "example.org", "*.example.org" (names below it, not itself), or a literal IPv4 address.
/// Errors: invalid_argument.
base::Result<void> check_domain_pattern(const std::string& pattern);

/// The host of `text`, a host with or without a port, or a URL. Refused: user information, percent
/// signs, anything but ASCII, and numbers that some resolvers read as addresses (0x7f.1,
/// 2130706433). Errors: invalid_argument.
base::Result<std::string> host_of(std::string_view text);

/// Pre: `host` as host_of gives it, `pattern` checked.
bool domain_matches(std::string_view pattern, std::string_view host);
/// Every host that `asked` matches, `allowed` matches too.
bool pattern_covers(std::string_view allowed, std::string_view asked);

}  // namespace sphere::policy
