#include "sphere/net/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace sphere::net {
namespace {

Cidr masked(Cidr cidr) {
    for (std::size_t bit = cidr.prefix_bits; bit < 128; ++bit) {
        cidr.bytes[bit / 8] = static_cast<std::uint8_t>(cidr.bytes[bit / 8] & ~(0x80u >> bit % 8));
    }
    return cidr;
}

}  // namespace

bool Cidr::contains(const Cidr& other) const {
    if (v6 != other.v6 || other.prefix_bits < prefix_bits) return false;
    Cidr wider = other;
    wider.prefix_bits = prefix_bits;
    return masked(wider).bytes == bytes;
}

bool Cidr::contains(const Address& address) const {
    Cidr one{address.v6, static_cast<std::uint8_t>(address.v6 ? 128 : 32), address.bytes};
    return contains(one);
}

base::Result<Cidr> parse_cidr(std::string_view text) {
    const std::size_t slash = text.find('/');
    Cidr cidr;
    const std::string address(text.substr(0, slash));
    cidr.v6 = address.find(':') != std::string::npos;
    const unsigned bits_max = cidr.v6 ? 128 : 32;
    unsigned bits = bits_max;
    bool good = ::inet_pton(cidr.v6 ? AF_INET6 : AF_INET, address.c_str(), cidr.bytes.data()) == 1;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), bits);
        good = good && error == std::errc() && end == digits.data() + digits.size() &&
               bits <= bits_max;
    }
    cidr.prefix_bits = static_cast<std::uint8_t>(bits);
    if (!good || masked(cidr).bytes != cidr.bytes) {
        return base::fail(base::Code::invalid_argument,
                          "'{}' is not an address range such as 203.0.113.0/24 or 2001:db8::/32, "
                          "with zero bits behind the prefix",
                          text.substr(0, 100));
    }
    return cidr;
}

}  // namespace sphere::net
