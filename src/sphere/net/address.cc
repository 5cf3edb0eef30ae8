#include "sphere/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "sphere/net/cidr.h"

namespace sphere::net {
namespace {

Address from_v6(const std::uint8_t* bytes) {
    Address address;
    constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    address.v6 = !std::equal(kMapped.begin(), kMapped.end(), bytes);
    if (address.v6) {
        std::memcpy(address.bytes.data(), bytes, 16);
    } else {
        std::memcpy(address.bytes.data(), bytes + 12, 4);
    }
    return address;
}

struct Named {
    Cidr range;
    std::string_view name;
};

// IANA's special-purpose registries, and the addresses at which clouds answer their guests.
std::vector<Named> closed_ranges() {
    constexpr std::pair<std::string_view, std::string_view> kRanges[] = {
        {"127.0.0.0/8", "loopback"},
        {"0.0.0.0/8", "this host"},
        {"10.0.0.0/8", "private"},
        {"172.16.0.0/12", "private"},
        {"192.168.0.0/16", "private"},
        {"100.64.0.0/10", "shared (carrier NAT)"},
        {"169.254.0.0/16", "link-local (metadata)"},
        {"168.63.129.16/32", "metadata"},
        {"192.0.0.0/24", "protocol assignments (metadata)"},
        {"192.0.2.0/24", "documentation"},
        {"192.88.99.0/24", "6to4 relay"},
        {"198.18.0.0/15", "benchmarking"},
        {"198.51.100.0/24", "documentation"},
        {"203.0.113.0/24", "documentation"},
        {"224.0.0.0/4", "multicast"},
        {"240.0.0.0/4", "reserved"},
        {"::1/128", "loopback"},
        {"fc00::/7", "private"},
        {"fe80::/10", "link-local"},
        {"ff00::/8", "multicast"},
        {"64:ff9b::/96", "translated IPv4"},
        {"2001::/23", "protocol assignments"},
        {"2001:db8::/32", "documentation"},
        {"2002::/16", "6to4"},
        {"3fff::/20", "documentation"},
    };
    std::vector<Named> ranges;
    for (const auto& [text, name] : kRanges) ranges.push_back({*parse_cidr(text), name});
    return ranges;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
    const std::string copy(text);
    std::uint8_t bytes[16];
    if (text.find(':') != std::string_view::npos) {
        if (::inet_pton(AF_INET6, copy.c_str(), bytes) != 1) return std::nullopt;
        return from_v6(bytes);
    }
    Address address;
    if (copy.find('\0') != std::string::npos ||
        ::inet_pton(AF_INET, copy.c_str(), address.bytes.data()) != 1) {
        return std::nullopt;
    }
    return address;
}

std::string to_text(const Address& address) {
    char text[INET6_ADDRSTRLEN];
    ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof(text));
    return text;
}

std::string to_text(const Endpoint& endpoint) {
    const std::string address = to_text(endpoint.address);
    return endpoint.address.v6 ? fmt::format("[{}]:{}", address, endpoint.port)
                               : fmt::format("{}:{}", address, endpoint.port);
}

Endpoint from_socket(const sockaddr_storage& from) {
    Endpoint endpoint;
    if (from.ss_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &from, sizeof(in));
        endpoint.address = from_v6(in.sin6_addr.s6_addr);
        endpoint.port = ntohs(in.sin6_port);
    } else if (from.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &from, sizeof(in));
        std::memcpy(endpoint.address.bytes.data(), &in.sin_addr, 4);
        endpoint.port = ntohs(in.sin_port);
    }
    return endpoint;
}

unsigned to_socket(const Endpoint& endpoint, sockaddr_storage& to) {
    to = {};
    if (endpoint.address.v6) {
        sockaddr_in6 out{};
        out.sin6_family = AF_INET6;
        out.sin6_port = htons(endpoint.port);
        std::memcpy(out.sin6_addr.s6_addr, endpoint.address.bytes.data(), 16);
        std::memcpy(&to, &out, sizeof(out));
        return sizeof(out);
    }
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(endpoint.port);
    std::memcpy(&out.sin_addr, endpoint.address.bytes.data(), 4);
    std::memcpy(&to, &out, sizeof(out));
    return sizeof(out);
}

std::string_view closed_range(const Address& address) {
    static const std::vector<Named> ranges = closed_ranges();
    for (const Named& each : ranges) {
        if (each.range.contains(address)) return each.name;
    }
    const bool global = !address.v6 || (address.bytes[0] & 0xe0) == 0x20;
    return global ? "" : "reserved";
}

}  // namespace sphere::net
