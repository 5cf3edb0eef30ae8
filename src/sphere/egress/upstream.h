#pragma once
// The world outside, as the broker needs it. The default is this host's resolver and network; tests
// put servers of their own on loopback in the place of public addresses.

#include <memory>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "sphere/net/address.h"

namespace sphere::egress {

class Upstream {
public:
    virtual ~Upstream() = default;
    /// Every address of a name. May block; several threads at a time. Errors: not_found when the
    /// name has none; unavailable.
    virtual base::Result<std::vector<net::Address>> resolve(const std::string& name) = 0;
    /// Where a connection really goes once `wanted` has passed every rule.
    virtual net::Endpoint route(const net::Endpoint& wanted) const { return wanted; }
    /// PEM file of the authorities a TLS upstream is checked against; empty: the system's.
    virtual std::string ca_file() const { return {}; }
};

std::shared_ptr<Upstream> system_upstream();

}  // namespace sphere::egress
