#include "sphere/egress/listeners.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "sphere/egress/flow.h"

namespace sphere::egress {
namespace {

constexpr int kAcceptsPerRound = 16, kQueriesPerRound = 64;
constexpr std::size_t kQueryBytesMax = 4096;
constexpr std::chrono::seconds kQueryTime{30};

/// Queries over TCP: each with its length before it, one after the other. [RFC 7766]
class DnsStream final : public Session {
public:
    DnsStream(Core& core, Box& box, base::UniqueFd socket)
        : Session(core, box), socket_(std::move(socket)) {
        set_deadline(kQueryTime);
        core_.watch(socket_.get(), *this, EPOLLIN);
    }
    void on_ready() override {
        if (retired()) return;
        char bytes[kQueryBytesMax];
        const ssize_t got = ::recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) return retire();
        in_.append(bytes, static_cast<std::size_t>(got));
        while (!retired() && answer_one()) {
        }
    }
    void on_deadline() override { retire(); }
    void on_cut(const std::string&) override { retire(); }

private:
    bool answer_one() {
        if (in_.size() < 2) return false;
        const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(in_[0]))
                                       << 8 |
                                   static_cast<unsigned char>(in_[1]);
        if (length > kQueryBytesMax) {
            retire();
            return false;
        }
        if (in_.size() < 2 + length) return false;
        const auto question = read_dns_query(std::string_view(in_).substr(2, length));
        in_.erase(0, 2 + length);
        if (!question) {
            retire();
            return false;
        }
        core_.look_up(box_, *question, [&core = core_, id = id()](const std::string& answer) {
            if (auto* const self = static_cast<DnsStream*>(core.find_session(id))) {
                self->send(answer);
            }
        });
        return true;
    }
    /// Answers are small and few; who does not read them loses the connection.
    void send(const std::string& answer) {
        std::string framed;
        framed += static_cast<char>(answer.size() >> 8);
        framed += static_cast<char>(answer.size() & 0xff);
        framed += answer;
        const ssize_t sent =
            ::send(socket_.get(), framed.data(), framed.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent != static_cast<ssize_t>(framed.size())) retire();
    }

    const base::UniqueFd socket_;
    std::string in_;
};

class ConnectionListener final : public ListenerHandler {
public:
    ConnectionListener(Core& core, Box& box, Listener listener)
        : core_(core), box_(box), listener_(std::move(listener)) {
        core_.watch(listener_.socket.get(), *this, EPOLLIN);
    }
    void on_ready() override {
        for (int i = 0; i < kAcceptsPerRound && listener_.socket; ++i) {
            if (!core_.may_accept(box_)) return pause();
            base::UniqueFd socket(
                ::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (!socket && (errno == EMFILE || errno == ENFILE)) return pause();
            if (!socket) return;
            serve(std::move(socket));
        }
    }
    void rearm() override {
        if (!paused_ || !listener_.socket || !core_.may_accept(box_)) return;
        paused_ = false;
        core_.rearm(listener_.socket.get(), *this, EPOLLIN);
    }
    void close() override { listener_.socket.reset(); }

private:
    /// Who connects waits in the kernel's queue meanwhile.
    void pause() {
        paused_ = true;
        core_.rearm(listener_.socket.get(), *this, 0);
    }
    void serve(base::UniqueFd socket) {
        const int on = 1;
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (listener_.kind == Listener::Kind::dns_stream) {
            return core_.add_session(std::make_unique<DnsStream>(core_, box_, std::move(socket)));
        }
        sockaddr_storage name{};
        socklen_t length = sizeof(name);
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length);
        auto flow = std::make_unique<Flow>(core_, box_, std::move(socket), listener_.kind,
                                           net::from_socket(name));
        Flow& added = *flow;
        core_.add_session(std::move(flow));
        added.begin();
    }

    Core& core_;
    Box& box_;
    Listener listener_;
    bool paused_ = false;
};

/// Queries over UDP. The answer comes from the address that was asked, whichever that was.
class DnsSocket final : public ListenerHandler {
public:
    DnsSocket(Core& core, Box& box, base::UniqueFd socket)
        : core_(core), box_(box), socket_(std::make_shared<base::UniqueFd>(std::move(socket))) {
        const int on = 1;
        ::setsockopt(socket_->get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
        ::setsockopt(socket_->get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
        core_.watch(socket_->get(), *this, EPOLLIN);
    }
    void on_ready() override {
        for (int i = 0; i < kQueriesPerRound && *socket_; ++i) {
            if (!answer_one()) return;
        }
    }
    void close() override { socket_->reset(); }

private:
    struct Peer {
        sockaddr_storage address{};
        socklen_t length = sizeof(sockaddr_storage);
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
        std::size_t control_length = sizeof(control);
    };

    bool answer_one() {
        char bytes[kQueryBytesMax];
        Peer peer;
        iovec piece{bytes, sizeof(bytes)};
        msghdr message{};
        message.msg_name = &peer.address;
        message.msg_namelen = peer.length;
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = peer.control;
        message.msg_controllen = peer.control_length;
        const ssize_t got = ::recvmsg(socket_->get(), &message, MSG_DONTWAIT);
        if (got < 0) return errno == EINTR;
        peer.length = message.msg_namelen;
        peer.control_length = message.msg_controllen;
        const auto question = read_dns_query({bytes, static_cast<std::size_t>(got)});
        if (!question) return true;  // whoever sends noise hears nothing
        core_.look_up(box_, *question, [socket = socket_, peer](const std::string& answer) mutable {
            reply(socket->get(), peer, answer);
        });
        return true;
    }
    static void reply(int socket, Peer& peer, const std::string& answer) {
        iovec piece{const_cast<char*>(answer.data()), answer.size()};
        msghdr message{};
        message.msg_name = &peer.address;
        message.msg_namelen = peer.length;
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = peer.control;
        message.msg_controllen = peer.control_length;
        // The sender's interface is not ours to choose.
        for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
             part = CMSG_NXTHDR(&message, part)) {
            if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
                in_pktinfo info;
                std::memcpy(&info, CMSG_DATA(part), sizeof(info));
                info.ipi_spec_dst = info.ipi_addr;
                info.ipi_ifindex = 0;
                std::memcpy(CMSG_DATA(part), &info, sizeof(info));
            } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
                in6_pktinfo info;
                std::memcpy(&info, CMSG_DATA(part), sizeof(info));
                info.ipi6_ifindex = 0;
                std::memcpy(CMSG_DATA(part), &info, sizeof(info));
            }
        }
        // A full queue loses an answer, as any network does; the program asks again.
        (void)::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }

    Core& core_;
    Box& box_;
    const std::shared_ptr<base::UniqueFd> socket_;
};

}  // namespace

std::unique_ptr<ListenerHandler> make_listener(Core& core, Box& box, Listener listener) {
    if (listener.kind == Listener::Kind::dns_datagrams) {
        return std::make_unique<DnsSocket>(core, box, std::move(listener.socket));
    }
    return std::make_unique<ConnectionListener>(core, box, std::move(listener));
}

}  // namespace sphere::egress
