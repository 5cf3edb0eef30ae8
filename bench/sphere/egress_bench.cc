// What the egress broker costs: time added to a connection and to a round trip on it, and how much
// goes through, each beside the same without it, in turn within one run.
//
//   bench_sphere_egress [ROUNDS] [MIB] > result.json    2,000 round trips and 4,096 MiB unless
//   given
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "sphere/egress/broker.h"

namespace {

using sphere::egress::Listener;

const base::SystemClock machine_clock;

[[noreturn]] void give_up(const char* what) {
    fmt::print(stderr, "bench_sphere_egress: {}\n", what);
    std::exit(1);
}

base::UniqueFd listen_on_loopback(std::uint16_t& port, int flags) {
    base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket.get(), name, length) != 0 || ::listen(socket.get(), 64) != 0 ||
        ::getsockname(socket.get(), name, &length) != 0) {
        give_up("no socket");
    }
    port = ntohs(address.sin_port);
    return socket;
}

base::UniqueFd connect_to(std::uint16_t port) {
    base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        give_up("no connection");
    }
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return socket;
}

/// 'e': says back each byte. Any other first byte: reads to the end, then says so with one.
void serve_one(int socket) {
    std::vector<char> bytes(1 << 20);
    ssize_t got = ::recv(socket, bytes.data(), 1, 0);
    const bool echo = got == 1 && bytes[0] == 'e';
    while (got > 0) {
        if (echo && ::send(socket, bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) < 0) {
            break;
        }
        got = ::recv(socket, bytes.data(), bytes.size(), 0);
    }
    if (!echo) (void)::send(socket, "d", 1, MSG_NOSIGNAL);
    ::close(socket);
}

/// Every address leads to the one server.
class OnePlace final : public sphere::egress::Upstream {
public:
    explicit OnePlace(std::uint16_t port) : port_(port) {}
    base::Result<std::vector<sphere::net::Address>> resolve(const std::string&) override {
        return std::vector{*sphere::net::parse_address("127.0.0.1")};
    }
    sphere::net::Endpoint route(const sphere::net::Endpoint& wanted) const override {
        return {wanted.address, port_};
    }

private:
    const std::uint16_t port_;
};

struct Times {
    std::vector<double> connect_ms, trip_ms;
};

void round_trip(int socket) {
    char byte = 'e';
    if (::send(socket, &byte, 1, MSG_NOSIGNAL) != 1 || ::recv(socket, &byte, 1, 0) != 1) {
        give_up("no answer");
    }
}

void measure_trips(std::uint16_t port, Times& times) {
    base::Instant begin = machine_clock.now();
    const base::UniqueFd socket = connect_to(port);
    round_trip(socket.get());
    times.connect_ms.push_back(base::to_millis(machine_clock.now() - begin));
    for (int i = 0; i < 10; ++i) {
        begin = machine_clock.now();
        round_trip(socket.get());
        times.trip_ms.push_back(base::to_millis(machine_clock.now() - begin));
    }
}

/// Bytes per nanosecond, which is GB/s.
double measure_stream(std::uint16_t port, std::size_t bytes) {
    static const std::vector<char> piece(1 << 20, 'x');
    const base::UniqueFd socket = connect_to(port);
    const base::Instant begin = machine_clock.now();
    for (std::size_t left = bytes; left > 0;) {
        const ssize_t put =
            ::send(socket.get(), piece.data(), std::min(left, piece.size()), MSG_NOSIGNAL);
        if (put <= 0) give_up("the stream was cut");
        left -= static_cast<std::size_t>(put);
    }
    ::shutdown(socket.get(), SHUT_WR);
    char byte;
    if (::recv(socket.get(), &byte, 1, 0) != 1) give_up("the stream did not arrive");
    return static_cast<double>(bytes) / static_cast<double>((machine_clock.now() - begin).count());
}

double at(std::vector<double>& values, double share) {
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::max(10, std::atoi(argv[1])) : 2000;
    const std::size_t bytes = static_cast<std::size_t>(argc > 2 ? std::atoi(argv[2]) : 4096) << 20;
    std::uint16_t direct = 0, brokered = 0;
    const base::UniqueFd server = listen_on_loopback(direct, 0);
    std::thread([&server] {
        for (int socket; (socket = ::accept(server.get(), nullptr, nullptr)) >= 0;) {
            std::thread(serve_one, socket).detach();
        }
    }).detach();
    auto broker = sphere::egress::Broker::start(
        {machine_clock, std::make_shared<OnePlace>(direct), [](const auto&, const auto&) {}});
    if (!broker) give_up("no broker");
    sphere::NetworkPolicy policy;
    policy.mode = sphere::NetworkMode::egress;
    policy.allow_cidrs = {"127.0.0.1/32"};
    std::vector<Listener> listeners;
    listeners.push_back({Listener::Kind::connections, listen_on_loopback(brokered, SOCK_NONBLOCK)});
    const auto meter = (*broker)->attach("bench", policy, {}, std::move(listeners));
    if (!meter) give_up("not attached");

    Times without, with;
    for (int i = 0; i < rounds / 10; ++i) {
        measure_trips(direct, without);
        measure_trips(brokered, with);
    }
    std::vector<double> rate_without, rate_with;
    for (int i = 0; i < 3; ++i) {
        rate_without.push_back(measure_stream(direct, bytes / 4));
        rate_with.push_back(measure_stream(brokered, bytes / 4));
    }
    fmt::print(
        "{{\"round_trip_ms\": {{\"direct\": {:.4f}, \"broker\": {:.4f}, \"broker_p99\": {:.4f}}},\n"
        " \"connect_and_first_byte_ms\": {{\"direct\": {:.4f}, \"broker\": {:.4f}, \"broker_p99\": "
        "{:.4f}}},\n \"gb_per_s\": {{\"direct\": {:.3f}, \"broker\": {:.3f}}},\n"
        " \"bytes_counted\": {}}}\n",
        at(without.trip_ms, 0.5), at(with.trip_ms, 0.5), at(with.trip_ms, 0.99),
        at(without.connect_ms, 0.5), at(with.connect_ms, 0.5), at(with.connect_ms, 0.99),
        at(rate_without, 0.5), at(rate_with, 0.5), (*meter)->read().bytes_out);
    std::fflush(stdout);
    std::_Exit(0);  // threads of the server are in accept and recv
}
