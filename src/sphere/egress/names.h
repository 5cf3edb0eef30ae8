#pragma once
// The names a box has looked up. Each gets addresses of a pool that exists nowhere (198.18.0.0/15
// and a local IPv6 range): a connection to one is a connection to its name, whatever the name's
// real address is then. So a name cannot change between the look-up and the connection.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"
#include "sphere/net/address.h"

namespace sphere::egress {

class Names {
public:
    static constexpr std::size_t kNamesMax = 16'384;

    struct Entry {
        std::string name;
        std::uint32_t index = 0;
        std::vector<net::Address> pinned;  ///< the real ones that passed the rules
        base::Instant pinned_until{0};
    };

    /// Null when kNamesMax are known. The pointer stays valid.
    Entry* find_or_add(const std::string& name);
    /// Whose address this is; null when it is of the pool and nobody's, or not of the pool.
    Entry* find(const net::Address& address);

    static bool in_pool(const net::Address& address);
    static net::Address address_of(const Entry& entry, bool v6);
    /// Forgets every real address: the rules have changed.
    void unpin();

private:
    std::deque<Entry> entries_;
    std::unordered_map<std::string, std::size_t> by_name_;
};

}  // namespace sphere::egress
