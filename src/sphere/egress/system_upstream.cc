#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "sphere/egress/upstream.h"

namespace sphere::egress {
namespace {

class SystemUpstream final : public Upstream {
public:
    base::Result<std::vector<net::Address>> resolve(const std::string& name) override {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        // With a dot at the end: the host's own search list is not the box's.
        const int error = ::getaddrinfo((name + ".").c_str(), nullptr, &hints, &found);
        if (error == EAI_NONAME || error == EAI_NODATA) {
            return base::fail_on(name, base::Code::not_found, "{} has no address", name);
        }
        if (error != 0) {
            return base::fail_on(name, base::Code::unavailable, "{} could not be resolved: {}",
                                 name, ::gai_strerror(error));
        }
        std::vector<net::Address> addresses;
        for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
            sockaddr_storage socket{};
            std::memcpy(&socket, each->ai_addr,
                        std::min<std::size_t>(each->ai_addrlen, sizeof(socket)));
            const net::Address address = net::from_socket(socket).address;
            if (!std::ranges::count(addresses, address)) addresses.push_back(address);
        }
        ::freeaddrinfo(found);
        return addresses;
    }
};

}  // namespace

std::shared_ptr<Upstream> system_upstream() {
    return std::make_shared<SystemUpstream>();
}

}  // namespace sphere::egress
