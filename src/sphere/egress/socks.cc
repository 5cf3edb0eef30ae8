#include "sphere/egress/socks.h"

#include <algorithm>

namespace sphere::egress {
namespace {

using State = SocksRead::State;

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint8_t>(bytes[at]);
}

}  // namespace

SocksRead read_socks_greeting(std::string_view bytes) {
    if (!bytes.empty() && byte_at(bytes, 0) != 5) return {State::damaged, 0};
    if (bytes.size() < 2) return {};
    const std::size_t whole = 2 + byte_at(bytes, 1);
    if (bytes.size() < whole) return {};
    const std::string_view methods = bytes.substr(2, whole - 2);
    return {methods.find('\0') == std::string_view::npos ? State::damaged : State::whole, whole};
}

SocksRead read_socks_request(std::string_view bytes, Target& target, std::uint8_t& reply) {
    reply = kSocksFailure;
    if (!bytes.empty() && byte_at(bytes, 0) != 5) return {State::damaged, 0};
    if (bytes.size() < 5) return {};
    const std::uint8_t command = byte_at(bytes, 1), kind = byte_at(bytes, 3);
    const std::size_t head = kind == 3 ? 5 : 4;
    const std::size_t length = kind == 1 ? 4 : kind == 4 ? 16 : byte_at(bytes, 4);
    if (command != 1) {
        reply = kSocksNoCommand;
        return {State::damaged, 0};
    }
    if (kind != 1 && kind != 3 && kind != 4) {
        reply = kSocksNoAddress;
        return {State::damaged, 0};
    }
    const std::size_t whole = head + length + 2;
    if (bytes.size() < whole) return {};
    target = {};
    const std::string_view host = bytes.substr(head, length);
    const auto port =
        static_cast<std::uint16_t>(byte_at(bytes, whole - 2) << 8 | byte_at(bytes, whole - 1));
    if (kind == 3) {
        const bool plain = host.find(':') == std::string_view::npos || net::parse_address(host);
        const std::string text = host.find(':') == std::string_view::npos
                                     ? std::string(host)
                                     : '[' + std::string(host) + ']';
        const auto read = parse_target(text, port);
        if (!plain || !read) return {State::damaged, whole};
        target = *read;
        return {State::whole, whole};
    }
    if (port == 0) return {State::damaged, whole};
    target.address.v6 = kind == 4;
    std::ranges::transform(host, target.address.bytes.begin(),
                           [](char c) { return static_cast<std::uint8_t>(c); });
    // The mapped spelling of an IPv4 address becomes the address.
    target.address = *net::parse_address(net::to_text(target.address));
    target.port = port;
    return {State::whole, whole};
}

std::string socks_greeting_reply() {
    return std::string("\x05\x00", 2);
}

std::string socks_reply(std::uint8_t code) {
    std::string reply("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10);
    reply[1] = static_cast<char>(code);
    return reply;
}

}  // namespace sphere::egress
