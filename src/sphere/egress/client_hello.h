#pragma once
// The first message of a TLS client, as far as it says for which host it is. [RFC 8446 4.1.2]

#include <string>
#include <string_view>

namespace sphere::egress {

inline constexpr std::size_t kHelloBytesMax = 64 * 1024;

struct ClientHello {
    enum class State { partial, whole, damaged } state = State::partial;
    std::string server_name = {};  ///< as sent; empty: none
    bool encrypted = false;        ///< the real name is hidden (ECH)
};

/// What `bytes` from the start of a connection say. partial: the message is not complete; it may be
/// split over records and records over reads. damaged: no ClientHello, two names, over the limit.
ClientHello read_client_hello(std::string_view bytes);

}  // namespace sphere::egress
