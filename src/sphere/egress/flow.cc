#include "sphere/egress/flow.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sphere/egress/exchange.h"
#include "sphere/egress/socks.h"

namespace sphere::egress {
namespace {

constexpr std::chrono::seconds kSayTime{30}, kConnectTime{20}, kDrainTime{5};
constexpr int kStepsPerEvent = 64;

/// A fatal alert, access_denied: clients of TLS show it where a reset tells nothing.
constexpr std::string_view kTlsAlert("\x15\x03\x03\x00\x02\x02\x31", 7);

}  // namespace

Flow::Flow(Core& core, Box& box, base::UniqueFd client, Listener::Kind kind,
           const net::Endpoint& original)
    : Session(core, box), kind_(kind), original_(original) {
    client_.link = Link(std::move(client));
}

Flow::~Flow() = default;

void Flow::begin() {
    set_deadline(kSayTime);
    switch (kind_) {
        case Listener::Kind::http_proxy:
            stage_ = Stage::proxy_idle;
            break;
        case Listener::Kind::socks:
            stage_ = Stage::greeting;
            break;
        default:
            begin_transparent();
    }
    if (!retired()) pump();
}

void Flow::begin_transparent() {
    Target target;
    target.port = original_.port;
    if (const Names::Entry* const entry = box_.names.find(original_.address)) {
        target.name = entry->name;
    } else if (Names::in_pool(original_.address)) {
        attempt_.emplace(core_, box_, net::to_text(original_), "tcp");
        return drop("no name was looked up that has this address");
    } else {
        target.address = original_.address;
    }
    if (!may_be_http(target)) return open_tunnel(target);
    target_ = target;
    stage_ = Stage::http_idle;
}

void Flow::on_ready() {
    if (!retired()) pump();
}

void Flow::on_deadline() {
    if (attempt_) attempt_->finish();
    if (stage_ == Stage::connecting && !up_ready_ && !retired()) {
        on_unreachable(fmt::format("{} does not answer", to_text(up_target_)));
        return pump();
    }
    on_cut("");
}

void Flow::on_cut(const std::string&) {
    if (attempt_) attempt_->finish();
    client_.link.reset_on_close();
    client_.link.close();
    up_.link.close();
    retire();
}

void Flow::drop(const std::string& why) {
    if (attempt_) attempt_->refuse(why);
    on_cut(why);
}

void Flow::check_rules() {
    const bool goes = up_ready_ || stage_ == Stage::connecting;
    if (!goes || stage_ == Stage::draining) return;
    if (const Refusal why = refuse_target(up_target_)) drop(*why);
}

void Flow::pump() {
    // TLS of ours may hold bytes that epoll does not know of: on until nothing moves.
    for (int i = 0; (i < kStepsPerEvent || up_tls_) && !retired(); ++i) {
        if (!step()) break;
    }
    if (!retired()) arm();
}

bool Flow::step() {
    bool moved = flush(client_);
    if (!retired() && up_ready_) moved = flush(up_) || moved;
    if (retired()) return false;
    switch (stage_) {
        case Stage::proxy_idle:
        case Stage::http_idle:
            return step_request() || moved;
        case Stage::greeting:
            return read_greeting() || moved;
        case Stage::request:
            return read_socks() || moved;
        case Stage::connecting:
            return step_connecting() || moved;
        case Stage::first_bytes:
            return step_first_bytes() || moved;
        case Stage::tunnel:
            return step_tunnel() || moved;
        case Stage::http:
            return step_exchange() || moved;
        case Stage::draining:
            break;
    }
    if (!client_.out.empty() || (up_ready_ && !up_.out.empty())) return moved;
    if (up_ready_) up_.link.close();
    up_ready_ = false;
    if (!client_.shut) {
        client_.link.end_writing();
        client_.shut = true;
    }
    // Closing with bytes unread would destroy the last ones on their way.
    client_.in.clear();
    if (client_.ended) retire();
    return !client_.ended && (read_more(client_) || moved);
}

void Flow::arm() {
    bool read_client = !client_.ended && client_.in.size() < kBufferBytes;
    bool read_up = up_ready_ && !up_.ended && up_.in.size() < kBufferBytes;
    bool write_up = up_ready_ && !up_.out.empty();
    switch (stage_) {
        case Stage::connecting:
            read_client = false;
            read_up = up_tls_ && up_.link && !up_.link.wants_write();
            write_up = up_.link && (!up_connected_ || up_.link.wants_write());
            break;
        case Stage::first_bytes:
            read_up = read_up && speaks_first() && client_.out.empty();
            break;
        case Stage::tunnel:
            read_client = read_client && up_.out.empty();
            read_up = read_up && client_.out.empty();
            break;
        case Stage::http:
            read_client = read_client && !exchange_->request_done && up_.out.size() < kBufferBytes;
            read_up = read_up && client_.out.size() < kBufferBytes;
            break;
        default:
            read_up = false;
    }
    arm_side(client_, read_client, !client_.out.empty());
    arm_side(up_, read_up, write_up);
}

/// A descriptor of which nothing is wanted leaves epoll, which would tell of its errors for ever.
void Flow::arm_side(Side& side, bool read, bool write) {
    if (!side.link) return;
    const std::uint32_t wanted = (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u);
    if (wanted == side.armed && side.watched == (wanted != 0)) return;
    if (wanted == 0) {
        core_.unwatch(side.link.fd());
    } else if (side.watched) {
        core_.rearm(side.link.fd(), *this, wanted);
    } else {
        core_.watch(side.link.fd(), *this, wanted);
    }
    side.watched = wanted != 0;
    side.armed = wanted;
}

bool Flow::read_more(Side& side) {
    if (side.ended || side.in.size() >= kBufferBytes) return false;
    const auto scratch = core_.scratch();
    const ssize_t got = side.link.read(scratch.data(), scratch.size());
    if (got > 0) {
        side.in.append(scratch.data(), static_cast<std::size_t>(got));
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    side.ended = true;
    return true;
}

bool Flow::flush(Side& side) {
    if (side.out.empty()) return false;
    const ssize_t put = side.link.write(side.out.data(), side.out.size());
    if (put > 0) {
        side.out.erase(0, static_cast<std::size_t>(put));
        return true;
    }
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    side.out.clear();
    side.ended = side.shut = true;
    if (&side == &client_) on_cut("");
    return true;
}

bool Flow::read_greeting() {
    const SocksRead read = read_socks_greeting(client_.in);
    if (read.state == SocksRead::State::partial) {
        if (read_more(client_)) return true;
        if (client_.ended) on_cut("");
        return false;
    }
    if (read.state == SocksRead::State::damaged) {
        on_cut("");
        return false;
    }
    client_.in.erase(0, read.used);
    client_.out += socks_greeting_reply();
    stage_ = Stage::request;
    return true;
}

bool Flow::read_socks() {
    Target target;
    std::uint8_t code = kSocksFailure;
    const SocksRead read = read_socks_request(client_.in, target, code);
    if (read.state == SocksRead::State::partial) {
        if (read_more(client_)) return true;
        if (client_.ended) on_cut("");
        return false;
    }
    if (read.state == SocksRead::State::damaged) {
        attempt_.emplace(core_, box_, "socks", "tcp");
        attempt_->refuse("the SOCKS request is not one for a plain host and port");
        client_.out += socks_reply(code);
        stage_ = Stage::draining;
        return true;
    }
    client_.in.erase(0, read.used);
    tunnelled_ = true;
    open_tunnel(target);
    return true;
}

Refusal Flow::refuse_target(const Target& target) const {
    return target.by_name() ? box_.rules.refuse_name(target.name, target.port)
                            : box_.rules.refuse_address(target.address);
}

bool Flow::may_be_http(const Target& target) const {
    if (!target.by_name() || target.port != 80) return false;
    return !box_.rules.everything() ||
           std::ranges::any_of(box_.secrets, [&](const SecretValue& secret) {
               return secret_port(secret, target) != 0;
           });
}

void Flow::open_tunnel(const Target& target) {
    target_ = up_target_ = target;
    attempt_.emplace(core_, box_, to_text(target), "tcp");
    if (const Refusal why = refuse_target(target)) return refuse(*why);
    if (const Refusal why = attempt_->admit()) return refuse(*why);
    inspect_ = target.by_name() && !box_.rules.everything();
    connect_to(target, false);
}

/// Tells the program as well as its protocol can.
void Flow::refuse(const std::string& why) {
    if (attempt_) attempt_->refuse(why);
    if (exchange_ || (kind_ == Listener::Kind::http_proxy && !up_ready_)) {
        return answer_http(403, why);
    }
    if (kind_ == Listener::Kind::socks && !up_ready_) {
        client_.out += socks_reply(kSocksRefused);
    } else if (target_ && target_->port == 443) {
        client_.out += kTlsAlert;
    } else {
        return drop(why);
    }
    stage_ = Stage::draining;
    set_deadline(kDrainTime);
}

void Flow::cut_over_budget() {
    attempt_->refuse(fmt::format("bytes_max, {}, is used up", box_.policy.bytes_max));
    stage_ = Stage::draining;  // what was counted arrives
    set_deadline(kDrainTime);
}

void Flow::connect_to(const Target& target, bool tls) {
    up_target_ = target;
    up_tls_ = tls;
    up_ready_ = up_connected_ = false;
    up_ = Side();
    stage_ = Stage::connecting;
    set_deadline(kConnectTime);
    if (!target.by_name()) {
        candidates_ = {target.address};
        return try_next();
    }
    Names::Entry* const entry = box_.names.find_or_add(target.name);
    if (entry == nullptr) return on_unreachable("too many names were looked up");
    core_.resolve(box_, *entry, [&core = core_, id = id()](const Resolved& found) {
        if (auto* const self = static_cast<Flow*>(core.find_session(id))) self->on_resolved(found);
    });
}

void Flow::on_resolved(const Resolved& found) {
    if (stage_ != Stage::connecting || up_.link) return;
    switch (found.state) {
        case Resolved::State::found:
            candidates_ = found.addresses;
            try_next();
            break;
        case Resolved::State::closed:
            refuse(found.why);
            break;
        case Resolved::State::no_name:
        case Resolved::State::failed:
            on_unreachable(found.why.empty() ? up_target_.name + " has no address" : found.why);
            break;
    }
    if (!retired()) arm();
}

void Flow::try_next() {
    up_ = Side();
    up_connected_ = false;
    while (!candidates_.empty()) {
        const net::Endpoint to = core_.upstream().route({candidates_.front(), up_target_.port});
        candidates_.erase(candidates_.begin());
        sockaddr_storage socket_address;
        const unsigned length = net::to_socket(to, socket_address);
        base::UniqueFd socket(
            ::socket(socket_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const int on = 1;
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (socket && (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&socket_address),
                                 length) == 0 ||
                       errno == EINPROGRESS)) {
            up_.link = Link(std::move(socket));
            return;
        }
    }
    on_unreachable(fmt::format("{} does not answer", to_text(up_target_)));
}

bool Flow::step_connecting() {
    if (!up_.link) return false;
    if (!up_connected_) {
        pollfd ready{up_.link.fd(), POLLOUT, 0};
        if (::poll(&ready, 1, 0) != 1) return false;
        int error = 0;
        socklen_t length = sizeof(error);
        ::getsockopt(up_.link.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) {
            try_next();
            return true;
        }
        up_connected_ = true;
        if (up_tls_) {
            const auto context = core_.tls_context();
            const auto begun = context ? up_.link.use_tls(*context, up_target_.name)
                                       : std::unexpected(context.error());
            if (!begun) {
                on_unreachable(begun.error().message);
                return true;
            }
        }
    }
    switch (up_.link.handshake()) {
        case Ready::later:
            return false;
        case Ready::failed:
            on_unreachable(fmt::format("{}: {}", to_text(up_target_), up_.link.failure()));
            return true;
        case Ready::yes:
            on_connected();
            return true;
    }
    return false;
}

void Flow::on_connected() {
    up_ready_ = true;
    if (exchange_) return send_request();
    if (kind_ == Listener::Kind::http_proxy) {
        client_.out += "HTTP/1.1 200 Connection established\r\n\r\n";
    } else if (kind_ == Listener::Kind::socks) {
        client_.out += socks_reply(kSocksDone);
    }
    stage_ = inspect_ ? Stage::first_bytes : Stage::tunnel;
    set_deadline(kSayTime);
}

void Flow::on_unreachable(const std::string& why) {
    if (attempt_) attempt_->finish();
    up_ = Side();
    if (exchange_ || kind_ == Listener::Kind::http_proxy) return answer_http(502, why);
    if (kind_ != Listener::Kind::socks) return on_cut(why);
    client_.out += socks_reply(kSocksUnreachable);
    stage_ = Stage::draining;
    set_deadline(kDrainTime);
}

}  // namespace sphere::egress
