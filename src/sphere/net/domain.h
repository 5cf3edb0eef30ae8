#pragma once
// Host names in arguments and patterns, in one spelling: lower case, no dot at the end.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace sphere::net {

/// "example.org", "*.example.org" (names below it, not itself), or a literal IPv4 address.
/// Errors: invalid_argument.
base::Result<void> check_domain_pattern(const std::string& pattern);

/// A host name in its one spelling, or a literal IPv4 address; refused: as host_of does.
base::Result<std::string> normal_host(std::string_view host);

/// What a list of allowed domains names: a pattern, and the port it is for.
struct DomainRule {
    std::string pattern;
    std::uint16_t port = 0;  ///< 0: 80 and 443

    bool has_port(std::uint16_t wanted) const {
        return port == 0 ? wanted == 80 || wanted == 443 : port == wanted;
    }
    /// Every host and port of `asked` is one of this rule, too.
    bool covers(const DomainRule& asked) const;
};
/// "example.org", "*.example.org:8443". Errors: invalid_argument.
base::Result<DomainRule> parse_domain_rule(std::string_view text);

/// The host of `text`, a host with or without a port, or a URL. Refused: user information, percent
/// signs, anything but ASCII, and numbers that some resolvers read as addresses (0x7f.1,
/// 2130706433). Errors: invalid_argument.
base::Result<std::string> host_of(std::string_view text);

/// Pre: `host` as host_of gives it, `pattern` checked.
bool domain_matches(std::string_view pattern, std::string_view host);
/// Every host that `asked` matches, `allowed` matches too.
bool pattern_covers(std::string_view allowed, std::string_view asked);

}  // namespace sphere::net
