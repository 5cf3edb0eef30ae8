#pragma once
// Where a program wants to go, in one spelling: "EXAMPLE.org." and "example.org" are one host, and
// what some parsers take for an address (0x7f.1, 2130706433, 0177.0.0.1) is no host at all.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "sphere/net/address.h"

namespace sphere::egress {

struct Target {
    std::string name;  ///< empty: `address` is meant
    net::Address address;
    std::uint16_t port = 0;

    bool by_name() const { return !name.empty(); }
    bool operator==(const Target&) const = default;
};
std::string to_text(const Target& target);

/// "host", "host:port", "1.2.3.4:80", "[2001:db8::1]:80". Errors: invalid_argument; a port that is
/// neither there nor given as `default_port` (0: none).
base::Result<Target> parse_target(std::string_view authority, std::uint16_t default_port);

/// An absolute "http://..." of a request to a proxy: its target, and in `path` what the origin is
/// asked for ("/a?b"). User information is refused. Errors: invalid_argument.
base::Result<Target> parse_http_url(std::string_view url, std::string& path);

}  // namespace sphere::egress
