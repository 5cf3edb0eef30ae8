#pragma once
// What a box's network policy lets through. Pure: a question in, a reason out.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/net/cidr.h"
#include "sphere/net/domain.h"
#include "sphere/spec.h"

namespace sphere::egress {

/// Why something is refused; nothing: it may go.
using Refusal = std::optional<std::string>;

class Rules {
public:
    /// Pre: check_spec has passed the policy. What does not parse allows nothing.
    explicit Rules(const NetworkPolicy& policy);

    /// Mode full: everything public is allowed, and what a connection says inside is its affair.
    bool everything() const { return everything_; }
    /// Pre: `name` is in its one spelling.
    Refusal refuse_name(std::string_view name, std::uint16_t port) const;
    /// Whether any port of `name` is allowed: what its look-up is decided by.
    Refusal refuse_lookup(std::string_view name) const;
    /// Of an address that a program wrote down itself.
    Refusal refuse_address(const net::Address& address) const;
    /// Of an address that an allowed name resolved to.
    Refusal refuse_resolved(const net::Address& address) const;

private:
    bool named(const net::Address& address) const;

    bool everything_ = false;
    std::vector<net::DomainRule> domains_;
    std::vector<net::Cidr> ranges_;
};

/// At which a box of this policy is listened to on every address; none without the broker.
std::vector<std::uint16_t> listened_ports(const NetworkPolicy& policy);

}  // namespace sphere::egress
