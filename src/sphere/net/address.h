#pragma once
// IP addresses as values, and which of them are no place of the public internet.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr_storage;

namespace sphere::net {

/// An IPv4 address written as IPv6 (::ffff:a.b.c.d) is the IPv4 address: parse_address and
/// from_socket see to it, so that no rule is met under another spelling.
struct Address {
    bool v6 = false;
    std::array<std::uint8_t, 16> bytes{};  ///< 4 or 16 of them

    bool operator==(const Address&) const = default;
};

struct Endpoint {
    Address address;
    std::uint16_t port = 0;

    bool operator==(const Endpoint&) const = default;
};

/// Four decimal numbers without leading zeros, or IPv6 text; nothing that only some read.
std::optional<Address> parse_address(std::string_view text);
std::string to_text(const Address& address);
std::string to_text(const Endpoint& endpoint);  ///< "192.0.2.1:80", "[2001:db8::1]:80"

Endpoint from_socket(const sockaddr_storage& from);
/// Returns the length of what it filled in.
unsigned to_socket(const Endpoint& endpoint, sockaddr_storage& to);

/// Why `address` is closed unless a range names it: "loopback", "private", "link-local"... Empty
/// for the public internet. Of IPv6 only 2000::/3 is public, without the parts that carry IPv4.
std::string_view closed_range(const Address& address);

}  // namespace sphere::net
