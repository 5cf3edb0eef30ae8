#pragma once
// Address ranges: "203.0.113.0/24", "2001:db8::/32".

#include <array>
#include <cstdint>
#include <string_view>

#include "base/core/result.h"
#include "sphere/net/address.h"

namespace sphere::net {

struct Cidr {
    bool v6 = false;
    std::uint8_t prefix_bits = 0;
    std::array<std::uint8_t, 16> bytes{};  ///< 4 or 16 of them; zero behind the prefix

    bool contains(const Cidr& other) const;
    bool contains(const Address& address) const;
};

/// Errors: invalid_argument; bits behind the prefix must be zero.
base::Result<Cidr> parse_cidr(std::string_view text);

}  // namespace sphere::net
