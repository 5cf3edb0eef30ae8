#include "sphere/launcher/box_network.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "sphere/launcher/channel.h"
#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

constexpr int kBacklog = 128;

bool raise_loopback() {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return false;
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    bool raised = ::ioctl(socket, SIOCGIFFLAGS, &request) == 0;
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    raised = raised && ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
    const int error = errno;
    ::close(socket);
    errno = error;
    return raised;
}

/// "local default dev lo" of one family: every destination is this box itself.
bool route_everything_here(int netlink, unsigned char family) {
    struct {
        nlmsghdr head;
        rtmsg route;
        rtattr device_head;
        std::uint32_t device;
    } request{};
    request.head.nlmsg_len = sizeof(request);
    request.head.nlmsg_type = RTM_NEWROUTE;
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    request.route.rtm_family = family;
    request.route.rtm_table = RT_TABLE_LOCAL;
    request.route.rtm_protocol = RTPROT_BOOT;
    request.route.rtm_scope = RT_SCOPE_HOST;
    request.route.rtm_type = RTN_LOCAL;
    request.device_head.rta_len = RTA_LENGTH(sizeof(request.device));
    request.device_head.rta_type = RTA_OIF;
    request.device = 1;  // lo is the first device of every namespace
    if (::send(netlink, &request, sizeof(request), 0) != sizeof(request)) return false;
    alignas(nlmsghdr) char answer[1024];
    if (::recv(netlink, answer, sizeof(answer), 0) < static_cast<ssize_t>(NLMSG_LENGTH(4))) {
        errno = EPROTO;
        return false;
    }
    int error = 0;
    std::memcpy(&error, answer + NLMSG_HDRLEN, sizeof(error));
    errno = -error;
    return error == 0;
}

Outcome make_everything_local(bool& v6) {
    const int netlink = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (netlink < 0) return failed(Step::route);
    const Outcome outcome =
        route_everything_here(netlink, AF_INET) ? Outcome{} : failed(Step::route);
    v6 = route_everything_here(netlink, AF_INET6);  // a kernel without it has nothing to close
    ::close(netlink);
    return outcome;
}

/// Bound to `port` of every address, or of 127.0.0.1 alone.
int bound_socket(bool v6, int type, std::uint16_t port, bool everywhere) {
    const int socket = ::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) return -1;
    const int off = 0;
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    if (!everywhere) four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool bound =
        v6 ? ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0 &&
                 ::bind(socket, reinterpret_cast<const sockaddr*>(&six), sizeof(six)) == 0
           : ::bind(socket, reinterpret_cast<const sockaddr*>(&four), sizeof(four)) == 0;
    if (bound && (type == SOCK_DGRAM || ::listen(socket, kBacklog) == 0)) return socket;
    const int error = errno;
    ::close(socket);
    errno = error;
    return -1;
}

/// Opens a socket and gives it to the server.
bool give(int server, Socket kind, bool v6, std::uint16_t port) {
    const bool everywhere = kind != Socket::http_proxy && kind != Socket::socks;
    const int type = kind == Socket::dns_datagrams ? SOCK_DGRAM : SOCK_STREAM;
    const int socket = bound_socket(v6 && everywhere, type, port, everywhere);
    if (socket < 0) return false;
    auto told = make_message<Listening>();
    told.kind = kind;
    const bool sent = send_message(server, told, {&socket, 1});
    ::close(socket);
    return sent;
}

}  // namespace

Outcome set_up_network(const Create& create, int server) {
    if (!raise_loopback()) return failed(Step::loopback);
    if ((create.flags & kBroker) == 0) return {};
    if (create.port_count > kPortsMax) return {Step::message, EINVAL};
    bool v6 = false;
    const Outcome local = make_everything_local(v6);
    if (!local) return local;
    bool given = give(server, Socket::dns_datagrams, v6, 53) &&
                 give(server, Socket::dns_stream, v6, 53) &&
                 give(server, Socket::http_proxy, v6, kHttpProxyPort) &&
                 give(server, Socket::socks, v6, kSocksPort);
    for (std::uint32_t i = 0; given && i < create.port_count; ++i) {
        given = give(server, Socket::connections, v6, create.ports[i]);
    }
    return given ? Outcome{} : failed(Step::listen);
}

int connect_loopback(std::uint16_t port, bool v6) {
    const int socket =
        ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) return -1;
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    six.sin6_addr.s6_addr[15] = 1;
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int connected =
        v6 ? ::connect(socket, reinterpret_cast<const sockaddr*>(&six), sizeof(six))
           : ::connect(socket, reinterpret_cast<const sockaddr*>(&four), sizeof(four));
    if (connected == 0 || errno == EINPROGRESS) return socket;
    const int error = errno;
    ::close(socket);
    errno = error;
    return -1;
}

}  // namespace sphere::launcher
