// The network of boxes: whom the broker serves, and connections into a box.
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sphere/egress/rules.h"
#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::chrono::seconds kDialMax{5};
constexpr rlim_t kBrokerDescriptors = 16'384;

void allow_connections() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min(limit.rlim_cur + kBrokerDescriptors, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

egress::Listener::Kind kind_of(launcher::Socket socket) {
    switch (socket) {
        case launcher::Socket::http_proxy:
            return egress::Listener::Kind::http_proxy;
        case launcher::Socket::socks:
            return egress::Listener::Kind::socks;
        case launcher::Socket::dns_stream:
            return egress::Listener::Kind::dns_stream;
        case launcher::Socket::dns_datagrams:
            return egress::Listener::Kind::dns_datagrams;
        case launcher::Socket::connections:
            break;
    }
    return egress::Listener::Kind::connections;
}

/// Waits for a connection that has begun; 0, or why there is none.
int finish_connecting(int socket) {
    pollfd ready{socket, POLLOUT, 0};
    const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(kDialMax);
    if (::poll(&ready, 1, static_cast<int>(most.count())) != 1) return ETIMEDOUT;
    int error = 0;
    socklen_t length = sizeof(error);
    ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

}  // namespace

Result<egress::Broker*> NativeSphere::broker() {
    const std::lock_guard lock(broker_mutex_);
    if (broker_ == nullptr) {
        allow_connections();
        broker_ =
            DG_TRY(egress::Broker::start({clock_, options_.upstream, options_.on_network_attempt}));
    }
    return broker_.get();
}

Result<void> NativeSphere::serve(Box& box, const SandboxSpec& spec, const Secrets& secrets) {
    if (spec.network.mode <= NetworkMode::loopback) return {};
    egress::Broker* const serving = DG_TRY(broker());
    box.listened = egress::listened_ports(spec.network);
    box.meter =
        DG_TRY(serving->attach(box.id, spec.network, secrets, std::exchange(box.listeners, {})));
    return {};
}

void NativeSphere::tell_closed_ports(Box& box) const {
    const auto now = read_closed_ports(box.pid);
    if (!now || !options_.on_network_attempt) return;
    const auto tell = [&](std::string_view protocol, std::uint64_t count, std::string_view what) {
        if (count == 0) return;
        NetworkAttempt attempt;
        attempt.target = "ports without a listener";
        attempt.protocol = protocol;
        attempt.reason = fmt::format(
            "{} {} went to ports where neither the broker nor the sandbox listens; the kernel "
            "refused them",
            count, what);
        options_.on_network_attempt(box.id, attempt);
    };
    tell("udp", now->datagrams - box.closed_told.datagrams, "datagrams");
    tell("tcp", now->connections - box.closed_told.connections, "connections");
    box.closed_told = *now;
}

bool NativeSphere::take_socket(Box& box, launcher::Packet& packet) {
    launcher::Listening listening;
    launcher::Dialled dialled;
    if (launcher::read_message(packet.bytes, listening)) {
        base::UniqueFd socket(packet.take());
        packet.close_all();
        const Lock lock(mutex_);
        if (socket) box.listeners.push_back({kind_of(listening.kind), std::move(socket)});
        return true;
    }
    if (!launcher::read_message(packet.bytes, dialled)) return false;
    base::UniqueFd socket(packet.take());
    packet.close_all();
    const Lock lock(mutex_);
    const auto at = box.dials.find(dialled.request);
    if (at == box.dials.end()) return true;  // nobody waits for it any more
    at->second.answered = true;
    at->second.error = dialled.error;
    at->second.socket = std::move(socket);
    box.changed.notify_all();
    return true;
}

Result<base::UniqueFd> NativeSphere::ask_init_to_dial(Lock& lock, Box& box, std::uint16_t port,
                                                      bool v6) {
    auto message = launcher::make_message<launcher::Dial>();
    const std::uint64_t request = message.request = box.next_dial++;
    message.port = port;
    message.v6 = v6 ? 1 : 0;
    if (!launcher::send_message(box.init.fd.get(), message)) {
        return fail(Code::unavailable, "sandbox {} does not answer: {}", box.id,
                    std::strerror(errno));
    }
    box.dials[request];
    box.changed.wait_for(lock, kDialMax,
                         [&] { return box.dials[request].answered || box.gone || box.ending; });
    Box::Dialling answer = std::move(box.dials[request]);
    box.dials.erase(request);
    if (answer.socket) return std::move(answer.socket);
    return fail(Code::unavailable, "port {} of sandbox {}: {}", port, box.id,
                answer.answered ? std::strerror(answer.error) : "its init does not answer");
}

Result<int> NativeSphere::dial(const SandboxId& id, std::uint16_t port) {
    int error = 0;
    for (const bool v6 : {false, true}) {
        base::UniqueFd socket;
        {
            Lock lock(mutex_);
            const BoxPtr box = DG_TRY(find(id));
            DG_TRY(check_stops(box->spec, id));
            const NetworkPolicy& network = box->spec.network;
            if (box->ending || box->gone || box->paused || network.mode == NetworkMode::none) {
                return fail_on(id, Code::failed_precondition,
                               "sandbox {} is {} with network.mode {}; its ports need it running, "
                               "with a loopback",
                               id, sandbox_state_name(box->state()),
                               network_mode_name(network.mode));
            }
            const bool brokers =
                network.mode > NetworkMode::loopback &&
                (port == launcher::kHttpProxyPort || port == launcher::kSocksPort || port == 53 ||
                 std::ranges::count(egress::listened_ports(network), port) != 0);
            if (port == 0 || brokers) {
                return fail_on("port", Code::invalid_argument,
                               "port {} is {}; no program of the box listens there", port,
                               brokers ? "the egress broker's" : "no port");
            }
            box->used_at = clock_.now();
            socket = DG_TRY(ask_init_to_dial(lock, *box, port, v6));
        }
        error = finish_connecting(socket.get());
        if (error == 0) return socket.release();
    }
    return fail_on("port", Code::unavailable, "nothing listens on port {} of sandbox {}: {}", port,
                   id, std::strerror(error));
}

Result<void> NativeSphere::set_network(const SandboxId& id, const NetworkPolicy& policy) {
    SandboxSpec spec;
    std::vector<std::uint16_t> listened;
    {
        const Lock lock(mutex_);
        const BoxPtr box = DG_TRY(find(id));
        spec = box->spec;
        listened = box->listened;
    }
    if (policy.mode != spec.network.mode || policy.mode <= NetworkMode::loopback) {
        return fail_on("network.mode", Code::failed_precondition,
                       "network.mode of sandbox {} is {} for its life; the lists and budgets of "
                       "egress and full can change",
                       id, network_mode_name(spec.network.mode));
    }
    spec.network = policy;
    DG_TRY(check_spec(spec));
    for (const std::uint16_t port : egress::listened_ports(policy)) {
        if (std::ranges::count(listened, port) != 0) continue;
        return fail_on("network.allow_domains", Code::failed_precondition,
                       "sandbox {} is not listened to at port {}; make one whose allow_domains "
                       "name it",
                       id, port);
    }
    egress::Broker* const serving = DG_TRY(broker());
    DG_TRY(serving->set_policy(id, policy));
    const Lock lock(mutex_);
    const BoxPtr box = DG_TRY(find(id));
    box->spec.network = policy;
    return {};
}

}  // namespace sphere::native
