#pragma once
// DNS messages: a question read, and the answers that the broker gives itself. [RFC 1035]

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sphere/net/address.h"

namespace sphere::egress {

struct DnsQuestion {
    std::uint16_t id = 0, type = 0, kind = 0;
    bool recursion = false;
    std::string
        name;  ///< labels with dots between, lower case; bytes that are no host's become '?'
    std::string wire;  ///< the question as it came

    static constexpr std::uint16_t kA = 1, kAaaa = 28, kInternet = 1;
    bool asks_address() const { return kind == kInternet && (type == kA || type == kAaaa); }
};

/// The one question of a query. Nothing for what is no query or has another number of questions.
std::optional<DnsQuestion> read_dns_query(std::string_view message);

enum class DnsCode : std::uint8_t { ok = 0, format = 1, failure = 2, no_name = 3, refused = 5 };

/// With `address` when its family is the one asked for; without, an answer that says "none".
std::string dns_answer(const DnsQuestion& question, DnsCode code,
                       const std::optional<net::Address>& address = std::nullopt);

}  // namespace sphere::egress
