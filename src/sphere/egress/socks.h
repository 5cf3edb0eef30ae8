#pragma once
// SOCKS5, the part that programs use: no authentication, CONNECT. [RFC 1928]

#include <cstdint>
#include <string>
#include <string_view>

#include "sphere/egress/target.h"

namespace sphere::egress {

struct SocksRead {
    enum class State { partial, whole, damaged } state = State::partial;
    std::size_t used = 0;  ///< bytes of the message
};

/// The greeting; damaged when it does not offer "no authentication".
SocksRead read_socks_greeting(std::string_view bytes);
/// The request; `target` is where to, as parse_target gives it. `reply` is the code to refuse with
/// when it is damaged.
SocksRead read_socks_request(std::string_view bytes, Target& target, std::uint8_t& reply);

inline constexpr std::uint8_t kSocksDone = 0, kSocksFailure = 1, kSocksRefused = 2,
                              kSocksUnreachable = 4, kSocksNoCommand = 7, kSocksNoAddress = 8;
std::string socks_greeting_reply();
std::string socks_reply(std::uint8_t code);

}  // namespace sphere::egress
